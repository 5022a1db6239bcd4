"""The rule for another attempt of a task, the same after an exception as after the death of the worker."""

UNLIMITED = 0xFFFF  #: max_retries of a task without a limit of attempts; the core's RL_ATTEMPTS


def may_retry(attempts: int, max_retries: int) -> bool:
    """Whether a task that was begun `attempts` times may begin once more."""
    return max_retries == UNLIMITED or attempts <= max_retries
