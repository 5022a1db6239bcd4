"""The scheduler: events in, instructions out, for workers' deaths and for the size of the pool.

A death counts against the innermost task of the dead worker.  If the worker was killed from outside (SIGKILL, SIGTERM: the
out-of-memory killer, an operator), that task runs again, up to max_retries times; if the process ended itself (exit, abort,
segfault), the task fails at once.  The outer tasks of its stack run again, uncounted, and from then on run no task inline.
If its worker was killed to cancel a task, the death counts against no other task.
Neighbours: attempt_ends.py says what follows; node/ sends the events and carries out the instructions.  Must not do I/O or
read a clock.
"""

import math
from textwrap import indent
from typing import Any, NamedTuple

from ray_lite.config import CPU_UNIT
from ray_lite.policy.attempt_ends import End, Follows, cancelled_text, follows

OUTSIDE = ("SIGKILL", "SIGTERM")  # signals that an operator or the kernel sends


class PoolState(NamedTuple):
    """Facts that decide whether one worker more, or one fewer, is wanted."""

    ready: int  #: ready tasks that suit no idle worker; where workers don't differ, all ready tasks
    idle: int  #: idle workers that can run ready tasks
    starting: int  #: workers that are starting
    cpus_free: int  #: free CPUs in ten-thousandths
    fits: bool  #: some ready task fits into the free resources
    workers: int
    resting: int = 0  #: all idle workers, also those that can't run what is ready
    running: int = 0  #: workers that run a task and are not blocked
    finished: int = 0  #: number of tasks that all workers have finished
    now: float = 0.0  #: seconds of a monotonic clock


class Died(NamedTuple):
    """A worker's death: the signal that killed the process, or "" and its exit code."""

    pid: int
    signal: str
    number: int  #: number of the signal, or the exit code
    peak: int = 0  #: most bytes of memory that it had
    out_of_memory: bool = False  #: the kernel killed it because memory ran out
    last_words: str = ""  #: the end of its stderr
    forced: bool = False  #: the node killed it, for `cancel(force=True)`


class Running(NamedTuple):
    """A task that the dead worker ran; the innermost task comes first."""

    task: int
    name: str
    site: str  #: where it was called, or ""
    attempts: int  #: attempts begun
    retries_left: int
    innermost: bool
    complete: bool  #: all its returns were sealed
    cancelled: bool = False


class Retire(NamedTuple):
    """Instruction to end the longest-idle worker."""


class StartWorkers(NamedTuple):
    """Instruction to fork a number of workers."""

    number: int


class Finish(NamedTuple):
    """Instruction to free the record of a task that had ended."""

    task: int


class Requeue(NamedTuple):
    """Instruction to run the task again."""

    task: int
    counted: bool  #: the attempt that ended counts towards max_retries
    front: bool  #: the task goes to the front of its queue


class Fail(NamedTuple):
    """Instruction to store an exception in the returns of the task."""

    task: int
    name: str  #: name of its function
    text: str
    attributes: dict[str, Any]  #: attributes of the exception
    error: str = "WorkerCrashedError"  #: class of the exception, in ray_lite.exceptions


def actors_most(processes: int, cpus: float) -> int:
    """Most processes of actors, of so many that there can be: tasks always have room for a worker for each CPU, but for no more
    than half of the processes, and for one at least."""
    return max(0, processes - max(1, min(math.ceil(cpus), processes // 2)))


class Scheduler:
    """The policy of one session.

    Args:
        max_workers: most workers at once, blocked ones included.
        warm: number of workers that stay, however long they are idle.
        brief: tasks of fewer seconds than this start no workers beyond `warm`.
    """

    def __init__(self, max_workers: int, warm: int = 1, brief: float = 0.01) -> None:
        self.max_workers, self.warm, self.brief = max_workers, warm, brief
        self._pace = 0.0, 0  # (time of the last measurement, tasks finished then)
        self._brisk = False

    def set_limit(self, max_workers: int) -> None:
        """Sets the most workers from now on."""
        self.max_workers = max_workers

    def workers_wanted(self, event: PoolState) -> list[StartWorkers | Retire]:
        """Decides to start workers for tasks that no idle or starting worker will take, or to end an idle one to make room."""
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
        """Whether tasks end so fast that the running workers will soon take what is ready. Without this rule, tasks that need
        little or no CPU would get a process each, however short they are."""
        since, finished = self._pace
        if event.now - since >= self.brief:
            self._brisk = event.finished - finished >= event.running * (event.now - since) / self.brief
            self._pace = event.now, event.finished
        return self._brisk

    def may_retire(self, workers: int) -> bool:
        """Whether a long-idle worker may end when there are this many."""
        return workers > self.warm

    def on_death(self, event: Died, task: Running) -> Finish | Requeue | Fail:
        """Decides what happens to one task of a dead worker."""
        end = end_by_death(event, task)
        after = follows(end, task.cancelled)
        if after is Follows.ATTEMPT:
            return Requeue(task.task, counted=end is End.KILL, front=end is End.UNCOUNTED)
        if after is Follows.CANCELLED:
            last = "" if event.forced else self.story(event, task)
            return Fail(task.task, task.name, cancelled_text(task.name, end, task.attempts, last), {}, "TaskCancelledError")
        if end is End.RETURNED:
            return Finish(task.task)
        return Fail(task.task, task.name, self.story(event, task), attributes(event, task))

    def story(self, event: Died, task: Running) -> str:
        """The message of WorkerCrashedError for a task."""
        if event.out_of_memory:
            how = f"was killed by the kernel, out of memory (signal {event.number}, {event.signal})"
        elif event.signal:
            how = f"was killed by signal {event.number} ({event.signal})"
        else:
            how = f"ended itself with exit code {event.number}"
        tries = f", attempt {task.attempts} of {task.attempts + task.retries_left}" if event.signal in OUTSIDE else ""
        peak = f"; its memory peaked at {event.peak / 1e6:,.0f} MB" if event.peak else ""
        words = "\nIts last lines on stderr:\n" + indent(event.last_words, "    ") if event.last_words else ""
        where = f", called at {task.site}," if task.site else ""
        return f"the worker (pid {event.pid}) that ran task {task.name}{where} {how}{tries}{peak}{words}"


def end_by_death(event: Died, task: Running) -> End:
    """How a worker's death ended the attempt of one of its tasks."""
    if task.complete:
        return End.RETURNED  # or failed: it has its outcome
    if not task.innermost or event.forced:
        return End.UNCOUNTED
    retried = event.signal in OUTSIDE and task.retries_left > 0
    return End.KILL if retried else End.CRASH


def attributes(event: Died, task: Running) -> dict[str, Any]:
    """The attributes of WorkerCrashedError for a task."""
    return {
        "pid": event.pid, "task_name": task.name, "call_site": task.site,
        "signal": event.number if event.signal else None,
        "exit_code": None if event.signal else event.number, "peak_memory": event.peak,
        "out_of_memory": event.out_of_memory, "last_words": event.last_words,
    }
