"""AttemptError: an error that ended an attempt of a task, what follows it, and the failure that the task's returns hold then.

Neighbours: policy/attempt_ends.py has the table of what follows; task_runner.py asks and stores.
"""

from __future__ import annotations

from typing import Any

from ray_lite.control.report_channel import Reporter
from ray_lite.exceptions import TaskCancelledError
from ray_lite.policy.attempt_ends import End, Follows, cancelled_text, follows
from ray_lite.values.failures import ArgumentFailed, Failure, SystemFailure, pack
from ray_lite.workers.task_facts import TaskFacts


class AttemptError:
    """An error that ended an attempt.

    Args:
        error: the error.
        facts: what the task's record says; whether the task is cancelled is read only from here.
        retry_exceptions: classes of the errors after which the user wants another attempt.
    """

    def __init__(self, error: BaseException, facts: TaskFacts, retry_exceptions: Any) -> None:
        self.error, self.facts, self.retry_exceptions = error, facts, retry_exceptions
        self.end = self._end()
        self.follows = follows(self.end, facts.cancelled)

    def _end(self) -> End:
        """How the error ended the attempt."""
        if isinstance(self.error, ArgumentFailed):
            return End.ARGUMENT
        if self.facts.cancelled and isinstance(self.error, TaskCancelledError):
            return End.CANCELLATION
        return End.RETRIED_ERROR if self._is_retried() else End.ERROR

    def _is_retried(self) -> bool:
        """Whether the user wants another attempt after this error, and one is left."""
        try:
            if not isinstance(self.error, self.retry_exceptions):
                return False
        except BaseException:  # from code of the user's class: it would hide the task's error and end the worker
            return False
        return self.facts.retries_left > 0

    def failure(self, name: str, reporter: Reporter) -> Failure | SystemFailure:
        """The failure to store if no other attempt follows; `name`: name of the function.

        It is reported, unless it was reported where an argument failed, or the caller of `cancel` knows.
        """
        if self.follows is Follows.CANCELLED:
            last = "" if self.end is End.CANCELLATION else f"its last attempt failed:\n\n{pack(self.error, name).text}"
            return SystemFailure("TaskCancelledError", cancelled_text(name, self.end, self.facts.attempts, last))
        failure = pack(self.error, name)
        if self.end is End.ARGUMENT:
            return failure
        if isinstance(failure, Failure) and self.retry_exceptions:
            failure = failure._replace(attempts=self.facts.attempts)
        return reporter.report(name, failure, data={"task_id": self.facts.id.hex(), "attempts": self.facts.attempts})
