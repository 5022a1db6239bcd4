"""What to do when something happens: events in, instructions out. Pure logic, no I/O; node.py feeds it and obeys.

A death's meaning: the innermost task of the dead worker is to blame.  Killed from outside (SIGKILL, SIGTERM: the OOM
killer, an operator) it runs again, up to max_retries; a process that ended itself (exit, abort, segfault) is reported at
once.  The outer tasks of its stack are innocent: they run again, uncounted, and don't help again.  A cancelled task never runs
again; if its worker was killed for it, all others of that process are innocent.
"""

from __future__ import annotations

import math
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
    resting: int = 0  #: workers that are idle, also those that can't run what is ready
    running: int = 0  #: workers that run a task and are not blocked
    finished: int = 0  #: tasks that all workers have finished
    now: float = 0.0


class Blocked(NamedTuple):
    """How the workers wait: how many do without a timeout, who of them (a slot) began last, how many tasks all have finished,
    whether a task fits, or each lacks something that others hold, how many workers are idle, and the time."""

    workers: int
    blocked: int
    last: int
    finished: int
    fits: bool
    lacks: bool
    idle: int
    now: float


class Died(NamedTuple):
    """A worker's process is gone: the signal that killed it, or "" and its exit code."""

    pid: int
    signal: str
    number: int  #: of the signal, or the exit code
    peak: int = 0  #: most bytes of memory it had
    out_of_memory: bool = False  #: the kernel killed it for want of memory
    last_words: str = ""  #: the end of its stderr
    forced: bool = False  #: the node killed it, for `cancel(force=True)`


class Running(NamedTuple):
    """A task that the dead worker ran, and where it was called; `innermost` first. `complete`: all its returns were sealed."""

    task: int
    name: str
    site: str  #: where it was called, or ""
    attempts: int
    max_retries: int
    innermost: bool
    complete: bool
    cancelled: bool = False


class Retire(NamedTuple):
    """The worker that is idle the longest ends."""


class Condemn(NamedTuple):
    """The worker in this slot waits for what can't come: its call ends with DeadlockError."""

    slot: int


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
    """The returns of the task of this name get an exception of this kind with this text and these attributes."""

    task: int
    name: str
    text: str
    facts: dict[str, Any]
    kind: str = "WorkerCrashedError"


class Scheduler:
    """The policy of one session.

    Args:
        max_workers: most workers at once, blocked ones included.
        warm: so many stay, however long they are idle.
        patience: seconds without progress after which blocked workers are taken for deadlocked.
        brief: tasks that take less than so many seconds are not worth more workers than `warm`.
    """

    def __init__(self, max_workers: int, warm: int = 1, patience: float = 1.0, brief: float = 0.01) -> None:
        self.max_workers, self.warm, self.patience, self.brief = max_workers, warm, patience, brief
        self._pace = 0.0, 0  # when it was last taken, and how many tasks had finished
        self._brisk = False
        self._condemned = -math.inf  # when
        self._stuck: tuple[float, int] | None = None  # since when, and how many tasks had finished

    def look(self, event: Look) -> list[StartWorkers | Retire]:
        """More workers, when tasks fit that nobody idle or starting will take; room for them, when others rest."""
        if not event.fits:
            return []
        if event.workers >= self.max_workers and event.resting and not event.starting:
            return [Retire()]
        if event.running >= self.warm and self._is_brisk(event):
            return []
        wanted = event.ready - event.idle - event.starting
        wanted = min(wanted, max(1, event.cpus_free // 10_000) - event.starting, self.max_workers - event.workers)
        return [StartWorkers(wanted)] if wanted > 0 else []

    def _is_brisk(self, event: Look) -> bool:
        """Whether tasks end so fast that those who run some will soon get to what is ready: tasks that need little or no CPU
        would else have a process each, however short they are."""
        since, finished = self._pace
        if event.now - since >= self.brief:
            self._brisk = event.finished - finished >= event.running * (event.now - since) / self.brief
            self._pace = event.now, event.finished
        return self._brisk

    def rest(self, workers: int) -> bool:
        """Whether a worker that has been idle for long may end."""
        return workers > self.warm

    def stuck(self, event: Blocked) -> list[Condemn]:
        """Every worker waits for tasks, and there can't be another to run them, or they need what those hold who wait: the one
        that began to wait last gives up."""
        limit = event.fits and event.blocked >= event.workers >= self.max_workers
        held = event.lacks and event.blocked + event.idle >= event.workers
        everybody = event.blocked > 0 and (limit or held)
        if not everybody or self._stuck is None or self._stuck[1] != event.finished:
            self._stuck = (event.now, event.finished) if everybody else None
            return []
        again = event.now - self._condemned < 2 * self.patience  # the tasks that the last one waited for go on to wait
        if event.now - self._stuck[0] < (self.patience / 10 if again else self.patience):
            return []
        self._stuck = None
        self._condemned = event.now
        return [Condemn(event.last)]

    def died(self, event: Died, task: Running) -> Finish | Requeue | Fail:
        """What becomes of one task of a dead worker."""
        if task.complete:
            return Finish(task.task)
        if task.cancelled:
            return Fail(task.task, task.name, f"task {task.name} was cancelled while it ran", {}, "TaskCancelledError")
        if not task.innermost or event.forced:
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
