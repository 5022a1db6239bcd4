"""Deadlocks: what is done when nothing can go on, because workers wait for tasks and hold what these tasks need.

While a task's main thread waits, its CPUs are free.  While only other threads of a task wait, its main thread may work, so the
task keeps its CPUs: they are lent if tasks lack nothing else and no task ends.  If no task can start even so, the wait that
began last ends with DeadlockError.  Neighbour: node/pool.py sends the events and carries out the instructions.
"""

import math
from typing import NamedTuple


class WaitState(NamedTuple):
    """Facts that decide whether CPUs are lent, and whether the workers are deadlocked. CPUs are in ten-thousandths."""

    waiting: int  #: workers that wait without a timeout
    last: int  #: slot of the worker that began such a wait last
    chained: int  #: of these workers, those whose wait belongs to the chain of the deadlock that was broken last
    blocked: int  #: all workers whose CPUs are free while they run a task
    lendable: int  #: workers whose CPUs can be lent, since threads of their tasks wait
    finished: int  #: number of tasks that all workers have finished
    lendable_cpus: int
    short_cpus: int  #: the least CPUs that a ready task lacks which has everything else; 0: there is no such task
    lacks: bool  #: there are ready tasks, and each lacks something that others hold
    fits: bool  #: some ready task fits into the free resources
    workers: int
    max_workers: int
    idle: int
    now: float  #: seconds of a monotonic clock
    actors_busy: int = 0  #: actors that start, or run a call and don't wait: what others wait for may come from them


class LendCpus(NamedTuple):
    """Instruction to lend CPUs of workers whose threads wait: at least so many ten-thousandths, or all (-1)."""

    least: int


class BreakDeadlock(NamedTuple):
    """Instruction to end the wait of the worker in this slot with DeadlockError."""

    slot: int


class Standstill:
    """The time since when something is so and no task has ended."""

    def __init__(self) -> None:
        self._begun: tuple[float, int] | None = None  # (time, tasks finished then)
        self.ends = math.inf  #: when it will have lasted for as long as `lasts` was last asked

    def lasts(self, event: WaitState, holds: bool, seconds: float) -> bool:
        """Whether it holds now, and has for so many seconds, at each event in between."""
        if not holds or self._begun is None or self._begun[1] != event.finished:
            self._begun = (event.now, event.finished) if holds else None
        self.ends = self._begun[0] + seconds if self._begun is not None else math.inf
        return event.now >= self.ends

    def forget(self) -> None:
        """Lets the time begin again."""
        self._begun = None


class Deadlocks:
    """The policy of one session.

    Args:
        patience: seconds without progress after which something is done.
    """

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.broken = 0.0  #: time when a deadlock was last broken, or 0
        self._lent = -math.inf  # time when CPUs were last lent
        self._short, self._stuck = Standstill(), Standstill()

    def decide(self, event: WaitState) -> list[LendCpus | BreakDeadlock]:
        """Decides to lend CPUs, or to end a wait that can never end."""
        return self._lend(event) or self._break(event)

    def due(self, now: float) -> float:
        """Seconds until a decision may be due, if nothing changes; infinite: none is, or it was made."""
        return min((ends - now for ends in (self._short.ends, self._stuck.ends) if ends > now), default=math.inf)

    def _lend(self, event: WaitState) -> list[LendCpus | BreakDeadlock]:
        """Lends what a task lacks. A loan is soon followed by the next one: a program whose threads wait does so all the time,
        and a loan without need does little harm."""
        again = event.now - self._lent < 2 * self.patience
        short = event.short_cpus > 0 and not event.fits
        if not self._short.lasts(event, short, self.patience / 10 if again else self.patience):
            return []
        if event.lendable_cpus < event.short_cpus:
            return []
        self._short.forget()
        self._lent = event.now
        return [LendCpus(event.short_cpus)]

    def _break(self, event: WaitState) -> list[LendCpus | BreakDeadlock]:
        """Ends the wait that began last, when no waiting worker can ever continue.

        That is so when all workers wait for tasks, and either no further worker can start to run these tasks, or the tasks
        need resources that waiting workers hold.
        """
        limit = event.fits and event.waiting >= event.workers >= event.max_workers
        held = event.lacks and event.waiting + event.idle >= event.workers
        chain = event.chained == event.waiting and event.now - self.broken < 2 * self.patience
        stuck = event.waiting > 0 and not event.actors_busy and (limit or held)
        if not self._stuck.lasts(event, stuck, self.patience / 10 if chain else self.patience):
            return []
        if held and event.lendable:
            return [LendCpus(-1)]  # what was reserved for a shape is free once no worker counts as working
        self._stuck.forget()
        self.broken = event.now
        return [BreakDeadlock(event.last)]
