"""The scheduler: events in, instructions out, for deaths and for the size of the pool.  node/ feeds it and carries them out.

A death's meaning: the innermost task of the dead worker is to blame.  Killed from outside (SIGKILL, SIGTERM: the OOM
killer, an operator) it runs again, up to max_retries; a process that ended itself (exit, abort, segfault) is reported at
once.  The outer tasks of its stack are innocent: they run again, uncounted, and don't help again.  A cancelled task never runs
again; if its worker was killed for it, all others of that process are innocent.
"""

from __future__ import annotations

import math
from textwrap import indent
from typing import Any, NamedTuple

from ray_lite.config import CPU_UNIT
from ray_lite.policy.retries import may_retry

OUTSIDE = ("SIGKILL", "SIGTERM")  # signals of an operator, or the kernel


class PoolState(NamedTuple):
    """What decides whether a worker more, or fewer, is wanted."""

    ready: int  #: tasks ready that no idle worker is right for, or all that are ready where workers don't differ
    idle: int  #: workers idle that can run them
    starting: int  #: workers on their way
    cpus_free: int  #: in ten-thousandths
    fits: bool  #: some ready task fits into what is free
    workers: int
    resting: int = 0  #: workers that are idle, also those that can't run what is ready
    running: int = 0  #: workers that run a task and are not blocked
    finished: int = 0  #: tasks that all workers have finished
    now: float = 0.0


class BlockedState(NamedTuple):
    """How the workers wait."""

    workers: int
    blocked: int  #: without a timeout
    last: int  #: slot of the one of these that began last
    finished: int  #: tasks that all workers have finished
    fits: bool  #: some ready task fits into what is free
    lacks: bool  #: there are ready tasks, and each lacks something that others hold
    idle: int
    now: float


class Died(NamedTuple):
    """The end of a worker's process: the signal that killed it, or "" and its exit code."""

    pid: int
    signal: str
    number: int  #: of the signal, or the exit code
    peak: int = 0  #: most bytes of memory it had
    out_of_memory: bool = False  #: the kernel killed it for want of memory
    last_words: str = ""  #: the end of its stderr
    forced: bool = False  #: the node killed it, for `cancel(force=True)`


class Running(NamedTuple):
    """A task that the dead worker ran; they come innermost first."""

    task: int
    name: str
    site: str  #: where it was called, or ""
    attempts: int
    max_retries: int
    innermost: bool
    complete: bool  #: all its returns were sealed
    cancelled: bool = False


class Retire(NamedTuple):
    """End the worker that is idle the longest."""


class BreakDeadlock(NamedTuple):
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
    """The returns of the task get an exception."""

    task: int
    name: str  #: of its function
    text: str
    attributes: dict[str, Any]  #: of the exception
    error: str = "WorkerCrashedError"  #: its class


class Scheduler:
    """The policy of one session.

    Args:
        max_workers: most workers at once, blocked ones included.
        warm: so many workers stay, however long they are idle.
        patience: seconds without progress after which blocked workers are taken for deadlocked.
        brief: tasks that take less than so many seconds start no workers beyond `warm`.
    """

    def __init__(self, max_workers: int, warm: int = 1, patience: float = 1.0, brief: float = 0.01) -> None:
        self.max_workers, self.warm, self.patience, self.brief = max_workers, warm, patience, brief
        self._pace = 0.0, 0  # when it was last taken, and how many tasks had finished
        self._brisk = False
        self._broken = -math.inf  # when a deadlock was broken last
        self._stuck: tuple[float, int] | None = None  # since when, and how many tasks had finished

    def set_limit(self, max_workers: int) -> None:
        """There can't be more workers than this from now on."""
        self.max_workers = max_workers

    def workers_wanted(self, event: PoolState) -> list[StartWorkers | Retire]:
        """Starts workers when tasks fit that no idle or starting worker will take; makes room for them when others rest."""
        if not event.fits:
            return []
        if event.workers >= self.max_workers and event.resting and not event.starting:
            return [Retire()]
        if event.running >= self.warm and self._is_brisk(event):
            return []
        wanted = event.ready - event.idle - event.starting
        wanted = min(wanted, max(1, event.cpus_free // CPU_UNIT) - event.starting, self.max_workers - event.workers)
        return [StartWorkers(wanted)] if wanted > 0 else []

    def _is_brisk(self, event: PoolState) -> bool:
        """Whether tasks end so fast that those who run some will soon get to what is ready: tasks that need little or no CPU
        would else have a process each, however short they are."""
        since, finished = self._pace
        if event.now - since >= self.brief:
            self._brisk = event.finished - finished >= event.running * (event.now - since) / self.brief
            self._pace = event.now, event.finished
        return self._brisk

    def may_retire(self, workers: int) -> bool:
        """Whether a worker that has been idle for long may end."""
        return workers > self.warm

    def deadlocks(self, event: BlockedState) -> list[BreakDeadlock]:
        """Ends the wait of the worker that began to wait last, when no waiting worker can ever go on.

        That is when all wait for tasks, and there can't be another worker to run these, or they need what waiting ones hold.
        """
        limit = event.fits and event.blocked >= event.workers >= self.max_workers
        held = event.lacks and event.blocked + event.idle >= event.workers
        everybody = event.blocked > 0 and (limit or held)
        if not everybody or self._stuck is None or self._stuck[1] != event.finished:
            self._stuck = (event.now, event.finished) if everybody else None
            return []
        again = event.now - self._broken < 2 * self.patience  # the tasks that the last one waited for go on to wait
        if event.now - self._stuck[0] < (self.patience / 10 if again else self.patience):
            return []
        self._stuck = None
        self._broken = event.now
        return [BreakDeadlock(event.last)]

    def on_death(self, event: Died, task: Running) -> Finish | Requeue | Fail:
        """What becomes of one task of a dead worker."""
        if task.complete:
            return Finish(task.task)
        if task.cancelled:
            return Fail(task.task, task.name, f"task {task.name} was cancelled while it ran", {}, "TaskCancelledError")
        if not task.innermost or event.forced:
            return Requeue(task.task, counted=False, front=True)
        if event.signal in OUTSIDE and may_retry(task.attempts, task.max_retries):
            return Requeue(task.task, counted=True, front=False)
        return Fail(task.task, task.name, self.story(event, task), attributes(event, task))

    def story(self, event: Died, task: Running) -> str:
        """The message of WorkerCrashedError."""
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


def attributes(event: Died, task: Running) -> dict[str, Any]:
    """What WorkerCrashedError says of a death, as attributes."""
    return {
        "pid": event.pid, "task_name": task.name, "call_site": task.site,
        "signal": event.number if event.signal else None,
        "exit_code": None if event.signal else event.number, "peak_memory": event.peak,
        "out_of_memory": event.out_of_memory, "last_words": event.last_words,
    }
