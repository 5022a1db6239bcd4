"""Every exception of ray_lite.  Must not import anything else of the package.

    RayError
    +-- RayTaskError            a task raised an exception; the error is an instance of that exception's class too
    +-- WorkerCrashedError      the process that ran the task died
    +-- RayActorError           the actor is dead, or a call was lost when its process died
    |   +-- PendingCallsLimitExceeded   raised at the call: the actor lives, and has max_pending_calls calls that have not begun
    +-- GetTimeoutError         (a TimeoutError too) `get(timeout=)` ran out
    +-- TaskCancelledError      the task was cancelled
    +-- ObjectStoreFullError    no room for an object
    +-- ObjectLostError         the object is gone, or never existed
    +-- DeadlockError           a wait that can never end: no worker or no resource is left, or a cycle of calls
    +-- SerializationError      (a TypeError too) a value can't be pickled
    +-- ForkedError             a forked child used its parent's session
    +-- RaySystemError          a bug of ray_lite, or a session that has ended
"""

from __future__ import annotations

import enum


class RayError(Exception):
    """Base class of all exceptions of ray_lite."""


class RayTaskError(RayError):
    """Error of an object whose task raised an exception.

    Attributes:
        cause: the exception that the task raised, or None when it could not be pickled.
        task_name: name of the remote function.
        remote_traceback: the traceback in the worker, as text.
        attempts: how many attempts were begun, if the task has retry_exceptions; else 1, also after a worker was killed.
    """

    cause: BaseException | None = None
    task_name: str = ""
    remote_traceback: str = ""
    attempts: int = 1


class WorkerCrashedError(RayError):
    """Error of an object whose task's process died; the message says how.

    Attributes:
        pid: process id of the worker.
        task_name: name of the task's function.
        call_site: where the task was called, as "file:line in function".
        signal: number of the signal that killed the process, or None.
        exit_code: exit code of a process that ended itself, or None.
        peak_memory: most bytes of memory that the process had.
        out_of_memory: whether the kernel killed the process because memory ran out, as far as its cgroup's counters tell.
        last_words: the end of the process's stderr, with the fault handler's trace if there is one.
    """

    pid: int = 0
    task_name: str = ""
    call_site: str = ""
    signal: int | None = None
    exit_code: int | None = None
    peak_memory: int = 0
    out_of_memory: bool = False
    last_words: str = ""


class RayActorError(RayError):
    """Error of a call of a dead actor, or one that was lost when its process died; the message says why it died.

    Attributes:
        class_name: name of the actor's class.
        lost: whether the call alone was lost: the actor has come back, and can be called.
        cause: the exception that its constructor raised, or None; the error is then an instance of that class, too.
    """

    class_name: str = ""
    lost: bool = False
    cause: BaseException | None = None


class PendingCallsLimitExceeded(RayActorError):
    """Error of a call of an actor that has max_pending_calls calls which have not begun."""


class GetTimeoutError(RayError, TimeoutError):
    """Error of a `get` whose objects were not ready within its timeout."""


class TaskCancelledError(RayError):
    """Error of an object whose task was cancelled, and what a running task gets when it is cancelled."""


class FullReason(enum.Enum):
    """What is full, as the text of the error."""

    STORE = "the object store is full"
    PROMISED = "the object store is full, and other processes have waited longer for room in it"
    MEMORY = "no memory is left for the object store, or no space where its plasma_directory is"
    SPILL_FILE = "the file of spilled objects has reached its largest size, 4 TiB"
    SPILL_DISK = "the object store is full, and spilling failed"
    TABLE = ("a table of the shared region is full, or no memory is left for it; "
             "raise RAY_LITE_OBJECTS or keep fewer objects and tasks alive")


class ObjectStoreFullError(RayError):
    """Error of a value for which the object store has no room; the message names sizes, the largest objects and their holders.

    Attributes:
        reason: what is full.
    """

    def __init__(self, text: str = "", reason: FullReason = FullReason.STORE) -> None:
        super().__init__(text)
        self.reason = reason


class ObjectLostError(RayError):
    """Error of an object that is gone, or never existed in this session."""


class DeadlockError(RayError):
    """Error of a wait that can never end.

    The tasks that all others wait for can't run: the session can't have another worker, or these tasks need resources that
    waiting tasks hold.  Or tasks and calls of actors wait for each other; then the message names them in their order.
    """


class SerializationError(RayError, TypeError):
    """Error of a value that can't be pickled; the message names the path to the part that fails."""


class ForkedError(RayError):
    """Error of a forked child that uses the session of its parent."""


class RaySystemError(RayError):
    """Error of a session that has ended or broken, or a bug of ray_lite."""
