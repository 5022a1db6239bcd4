"""What to do when something happens: events in, instructions out. Pure logic, no I/O; node.py feeds it and obeys.

A death's meaning: the innermost task of the dead worker is to blame.  Killed from outside (SIGKILL, SIGTERM: the OOM
killer, an operator) it runs again, up to max_retries; a process that ended itself (exit, abort, segfault) is reported at
once.  The outer tasks of its stack are innocent: they run again, uncounted, and don't help again.
"""

from __future__ import annotations

from textwrap import indent
from typing import Any, NamedTuple

OUTSIDE = ("SIGKILL", "SIGTERM")
UNLIMITED = 0xFFFF


class Look(NamedTuple):
    """What the region holds: tasks ready, workers idle and starting, CPUs free (ten-thousandths), whether a task fits."""

    ready: int
    idle: int
    starting: int
    cpus_free: int
    fits: bool
    workers: int


class Died(NamedTuple):
    """A worker's process is gone: the signal that killed it, or "" and its exit code."""

    pid: int
    signal: str
    number: int  #: of the signal, or the exit code
    peak: int = 0  #: most bytes of memory it had
    out_of_memory: bool = False  #: the kernel killed it for want of memory
    last_words: str = ""  #: the end of its stderr


class Running(NamedTuple):
    """A task that the dead worker ran, and where it was called; `innermost` first. `complete`: all its returns were sealed."""

    task: int
    name: str
    site: str  #: where it was called, or ""
    attempts: int
    max_retries: int
    innermost: bool
    complete: bool


class StartWorkers(NamedTuple):
    """Fork so many workers."""

    number: int


class Finish(NamedTuple):
    """The task had ended: only its record is left to free."""

    task: int


class Requeue(NamedTuple):
    """The task runs again."""

    task: int
    counted: bool
    front: bool


class Fail(NamedTuple):
    """The returns of the task of this name get WorkerCrashedError with this text and these attributes."""

    task: int
    name: str
    text: str
    facts: dict[str, Any]


class Scheduler:
    """The policy of one session.

    Args:
        max_workers: most workers at once, blocked ones included.
    """

    def __init__(self, max_workers: int) -> None:
        self.max_workers = max_workers

    def look(self, event: Look) -> list[StartWorkers]:
        """More workers, when tasks fit that nobody idle or starting will take."""
        if not event.fits:
            return []
        wanted = event.ready - event.idle - event.starting
        wanted = min(wanted, max(1, event.cpus_free // 10_000) - event.starting, self.max_workers - event.workers)
        return [StartWorkers(wanted)] if wanted > 0 else []

    def died(self, event: Died, task: Running) -> Finish | Requeue | Fail:
        """What becomes of one task of a dead worker."""
        if task.complete:
            return Finish(task.task)
        if not task.innermost:
            return Requeue(task.task, counted=False, front=True)
        if event.signal in OUTSIDE and (task.max_retries == UNLIMITED or task.attempts <= task.max_retries):
            return Requeue(task.task, counted=True, front=False)
        return Fail(task.task, task.name, self.story(event, task), facts(event, task))

    def story(self, event: Died, task: Running) -> str:
        """What the user reads."""
        if event.out_of_memory:
            how = f"was killed by the kernel, out of memory (signal {event.number}, {event.signal})"
        elif event.signal:
            how = f"was killed by signal {event.number} ({event.signal})"
        else:
            how = f"ended itself with exit code {event.number}"
        tries = f", attempt {task.attempts} of {task.max_retries + 1}" if event.signal in OUTSIDE else ""
        peak = f"; its memory peaked at {event.peak / 1e6:,.0f} MB" if event.peak else ""
        words = "\nThe last it wrote to stderr:\n" + indent(event.last_words, "    ") if event.last_words else ""
        where = f", called at {task.site}," if task.site else ""
        return f"the worker (pid {event.pid}) that ran task {task.name}{where} {how}{tries}{peak}{words}"


def facts(event: Died, task: Running) -> dict[str, Any]:
    """The same as attributes of WorkerCrashedError."""
    return {
        "pid": event.pid, "task_name": task.name, "call_site": task.site,
        "signal": event.number if event.signal else None,
        "exit_code": None if event.signal else event.number, "peak_memory": event.peak,
        "out_of_memory": event.out_of_memory, "last_words": event.last_words,
    }
