"""Every exception of ray_lite; imports nothing of ours.

    RayError
    +-- RayTaskError            a task raised; `get` raises it as an instance of the user's own class too
    +-- WorkerCrashedError      the process that ran the task died
    +-- RayActorError           the actor is dead
    +-- GetTimeoutError         `get(timeout=)` ran out
    +-- TaskCancelledError      the task was cancelled
    +-- ObjectStoreFullError    no room for an object
    +-- ObjectLostError         the object is gone, or never was
    +-- DeadlockError           nobody is left who could run what a task waits for
    +-- SerializationError      (a TypeError too) a value can't be pickled
    +-- ForkedError             a forked child used its parent's session
    +-- RaySystemError          a bug of ours, or a session that was torn down
"""

from __future__ import annotations

import enum


class RayError(Exception):
    """Base of all exceptions of ray_lite."""


class RayTaskError(RayError):
    """A task raised an exception.

    Attributes:
        cause: the exception that the task raised, or None when it could not be pickled.
        task_name: name of the remote function.
        remote_traceback: the traceback in the worker, as text.
        attempts: how often the task ran (retry_exceptions).
    """

    cause: BaseException | None = None
    task_name: str = ""
    remote_traceback: str = ""
    attempts: int = 1


class WorkerCrashedError(RayError):
    """The process that ran the task died; the message says how.

    Attributes:
        pid, task_name: of the process, and of the task it ran.
        call_site: where that task was called, as "file:line in function".
        signal: number of the signal that killed it, or None.
        exit_code: with which it ended itself, or None.
        peak_memory: most bytes of memory that it had.
        out_of_memory: whether the kernel killed it for want of memory, as far as its cgroup's counters tell.
        last_words: the end of its stderr, with the fault handler's trace if there is one.
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
    """The actor is dead; the message says why."""


class GetTimeoutError(RayError, TimeoutError):
    """The objects were not ready in time."""


class TaskCancelledError(RayError):
    """The task was cancelled."""


class FullReason(enum.Enum):
    """Why there is no room."""

    STORE = "the object store is full"
    PROMISED = "the object store is full, and other processes have waited longer for room in it"
    MEMORY = "no memory is left for the object store, or no space where its plasma_directory is"
    SPILL_FILE = "the file of spilled objects has reached its largest size, 4 TiB"
    SPILL_DISK = "the object store is full, and spilling failed"
    TABLE = ("a table of the shared region is full, or no memory is left for it; "
             "raise RAY_LITE_OBJECTS or keep fewer objects and tasks alive")


class ObjectStoreFullError(RayError):
    """The object store has no room; the message names sizes and the largest holders.

    Attributes:
        reason: what is full.
    """

    def __init__(self, text: str = "", reason: FullReason = FullReason.STORE) -> None:
        super().__init__(text)
        self.reason = reason


class ObjectLostError(RayError):
    """The object is gone, or never was in this session."""


class DeadlockError(RayError):
    """All tasks wait for others that can't run: there can't be another worker, or they need what those hold that wait."""


class SerializationError(RayError, TypeError):
    """A value can't be pickled; the message names the path to the culprit."""


class ForkedError(RayError):
    """A forked child used the session of its parent."""


class RaySystemError(RayError):
    """A bug of ray_lite, or a session that was torn down."""
