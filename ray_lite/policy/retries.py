"""The one rule for another attempt, whether an exception or the death of the worker ended this one."""

UNLIMITED = 0xFFFF  #: max_retries of a task that may run again for ever; the core's RL_ATTEMPTS


def may_retry(attempts: int, max_retries: int) -> bool:
    """Whether a task that was begun `attempts` times may be begun once more."""
    return max_retries == UNLIMITED or attempts <= max_retries
