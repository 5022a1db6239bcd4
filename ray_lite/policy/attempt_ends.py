"""The ends of a task's attempts: what follows each one, for a cancelled task and for any other.

What ended a task first counts, and a cancelled task never begins another attempt.  docs/internals.md shows the table; a test
compares.  Neighbours: workers/attempt_error.py and scheduler.py name the end and say what follows; node/task_ends.py ends tasks
that have not begun.  Must not do I/O.
"""

from __future__ import annotations

from enum import Enum


class End(Enum):
    """How an attempt ended, in the words of docs/internals.md."""

    UNBEGUN = "it has not begun: it waits, is queued, or a worker gave it back"
    RETURNED = "it returned"
    ARGUMENT = "one of its arguments is a failure"
    CANCELLATION = "its TaskCancelledError got out"
    ERROR = "another error got out"
    RETRIED_ERROR = "an error of `retry_exceptions` got out, and an attempt is left"
    CRASH = "its worker died"
    KILL = "its worker was killed from outside, and an attempt is left"
    UNCOUNTED = "its worker was killed by `force=True`, or died in another task that ran inline"


class Follows(Enum):
    """What follows the end of an attempt, in the words of docs/internals.md."""

    ATTEMPT = "an attempt"
    OUTCOME = "what it ended with: the value or error"
    CANCELLED = "TaskCancelledError"


#: (what follows for a task that was not cancelled, what follows for a cancelled one)
TABLE: dict[End, tuple[Follows | None, Follows]] = {
    End.UNBEGUN: (Follows.ATTEMPT, Follows.CANCELLED),
    End.RETURNED: (Follows.OUTCOME, Follows.OUTCOME),
    End.ARGUMENT: (Follows.OUTCOME, Follows.OUTCOME),
    End.CANCELLATION: (None, Follows.CANCELLED),  # to any other task, a TaskCancelledError is an error like another
    End.ERROR: (Follows.OUTCOME, Follows.OUTCOME),
    End.RETRIED_ERROR: (Follows.ATTEMPT, Follows.CANCELLED),
    End.CRASH: (Follows.OUTCOME, Follows.CANCELLED),
    End.KILL: (Follows.ATTEMPT, Follows.CANCELLED),
    End.UNCOUNTED: (Follows.ATTEMPT, Follows.CANCELLED),
}


def follows(end: End, cancelled: bool) -> Follows:
    """What follows an end; raises ValueError if only a cancelled task can end like that, and this one was not cancelled."""
    after = TABLE[end][cancelled]
    if after is None:
        raise ValueError(f"a task that was not cancelled can't end like this: {end.value}")
    return after


def cancelled_text(name: str, end: End, attempts: int, last: str = "") -> str:
    """The message of TaskCancelledError for a task.

    Args:
        attempts: attempts that were begun.
        last: what ended the last attempt, if that was not the cancellation itself.
    """
    when = "while it ran"
    if end is End.UNBEGUN:
        when = "before it began again" if attempts else "before it began"
    return f"task {name} was cancelled {when}" + (f"; {last}" if last else "")
