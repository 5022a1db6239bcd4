"""The pool: the node's workers, started, retired, told of cancellations and deadlocks, and ended.

policy/scheduler.py decides how many there are, and what a death means; policy/deadlocks.py, what is done when none can go on.
Neighbours: supervisor.py owns the one `Pool`; worker_starter.py starts workers.
"""

from __future__ import annotations

import math
import os
import select
import signal
import time
from typing import NamedTuple

from ray_lite import _core
from ray_lite.control.control_starter import ControlStarter
from ray_lite.node.worker_process import WorkerProcess
from ray_lite.node.worker_starter import There, WorkerStarter
from ray_lite.policy.deadlocks import Deadlocks, LendCpus, WaitState
from ray_lite.policy.scheduler import PoolState, Retire, Scheduler
from ray_lite.session_setting import SessionSetting
from ray_lite.system.polling import readable
from ray_lite.workers.cancellation import CANCEL_SIGNAL

RESEND_MOST = 1.0  # seconds; the longest pause before a process is signalled again, of which the first is Config.cancel_resend


class Startable(NamedTuple):
    """What the region knows about work for one worker more (`_core.can_start`)."""

    ready: int
    idle: int
    starting: int
    cpus_free: int
    fits: bool
    resting: int


class Pool:
    """The workers of a session, by pidfd."""

    def __init__(self, region: _core.Region, setting: SessionSetting, control: ControlStarter, starter: WorkerStarter,
                 poll: select.epoll) -> None:
        self.region, self.config, self.control, self.starter, self.poll = region, setting.config, control, starter, poll
        warm = max(1, math.ceil(setting.info.resources.cpus), setting.num_workers)
        self.scheduler = Scheduler(setting.worker_limit.value, warm, self.config.brief)
        self.deadlocks = Deadlocks(self.config.deadlock)
        self.workers: dict[int, WorkerProcess] = {}
        self.others: dict[int, WorkerProcess] = {}  #: processes of actors, which get cancellations as workers do
        self._cancelled = 0  # number of cancellations of running tasks when processes were last signalled
        self._resend_at, self._pause = math.inf, 0.0  # when they are signalled again; the pause before that

    def __len__(self) -> int:
        return len(self.workers)

    def pids(self) -> set[int]:
        """Pids of workers not yet reported dead."""
        return {one.pid for one in self.workers.values()}

    def adjust(self, at_least: int = 0, most: int = 1 << 30) -> None:
        """Starts, retires and wakes workers as the scheduler says; `at_least` and `most` bound the number of starts."""
        _core.recheck_stalled(self.region)
        self.scheduler.set_limit(self.starter.limit(len(self.others)))
        startable, waits = self._resolve()
        if not startable.ready:
            self.starter.nobody_wanted()
        running = len(self) - startable.resting - startable.starting - waits.blocked
        orders = self.scheduler.workers_wanted(PoolState(*startable[:5], len(self), startable.resting, running,
                                                         waits.finished, waits.now))
        at_least = min(at_least, self.scheduler.max_workers - len(self))
        wanted = sum(order.number for order in orders if not isinstance(order, Retire))
        self._start(min(most, max(at_least, wanted)))
        if any(isinstance(order, Retire) for order in orders) and not self._leaving():
            self._retire(0)
        if startable.fits and len(self) >= self.scheduler.max_workers:
            self.starter.note_limit(self.scheduler.max_workers, len(self.others))
        _core.set_at_limit(self.region, 0 < len(self) >= self.scheduler.max_workers)
        while self.scheduler.may_retire(len(self) - self._leaving()) and self._retire(self.config.retire_after):
            pass
        self.deliver_cancellations()

    def _resolve(self) -> tuple[Startable, WaitState]:
        """Lends CPUs, or ends waits in vain, until no more of that is due; returns what is known afterwards."""
        while True:
            startable = Startable(*_core.can_start(self.region))
            facts = _core.waiting_workers(self.region, int(self.deadlocks.broken * 1e9))
            workers = len(self), self.scheduler.max_workers, startable.resting
            waits = WaitState(*facts, startable.fits, *workers, time.monotonic(), _core.actors_busy(self.region))
            orders = self.deadlocks.decide(waits)
            for order in orders:
                if isinstance(order, LendCpus):
                    _core.lend_cpus(self.region, order.least)
                else:
                    _core.break_deadlock(self.region, order.slot)
            if not orders:
                return startable, waits

    def _start(self, number: int) -> None:
        """Starts this number of workers, as far as the machine allows."""
        for _ in range(number):
            taken = {one.pin_index for one in self.workers.values()}
            pin_index = next(index for index in range(len(self) + 1) if index not in taken)
            started = self.starter.start(pin_index, There(len(self), len(self.others)))
            if started is None:
                break
            self.workers[started[0]] = started[1]
        self.scheduler.set_limit(self.starter.limit(len(self.others)))  # the machine may have refused

    def make_room(self) -> None:
        """Asks an idle worker to end, since a process is needed for an actor; the last worker stays."""
        if len(self) > 1 and not self._leaving():
            self._retire(0)

    def _leaving(self) -> int:
        """Number of workers that were asked to end and have not ended yet."""
        return sum(one.leaving for one in self.workers.values())

    def _retire(self, idle_for: float) -> bool:
        """Asks the longest-idle worker to end, if it is idle for at least these seconds; returns whether there was one."""
        slot = _core.retire_idle(self.region, int(idle_for * 1e9))
        for one in self.workers.values():
            one.leaving |= one.slot == slot
        return slot != 0

    def patience(self) -> float:
        """Seconds until a worker may be retired or signalled again, or a deadlock broken, if no event comes before; infinite:
        never."""
        now = time.monotonic()
        due = min(self.deadlocks.due(now), max(0.0, self._resend_at - now))
        if not self.scheduler.may_retire(len(self) - self._leaving()):
            return due
        idle = _core.longest_idle(self.region)
        return float(min(due, max(0.01, self.config.retire_after - max(0, idle) / 1e9)))

    def deliver_cancellations(self) -> None:
        """Signals the processes whose running tasks were cancelled, or kills them: at new cancellations, and again while some
        are not told. A signal that comes just before a task waits in C code, such as `time.sleep`, is only handled after it."""
        count, now = _core.cancel_count(self.region), time.monotonic()
        if count == self._cancelled and now < self._resend_at:
            return
        self._pause = min(2 * self._pause, RESEND_MOST) if count == self._cancelled else self.config.cancel_resend
        self._cancelled = count
        marks = {slot: (innermost, forced) for slot, innermost, forced in _core.cancel_marks(self.region)}
        self._resend_at = now + self._pause if any(innermost for innermost, _ in marks.values()) else math.inf
        for pidfd, one in [*self.workers.items(), *self.others.items()]:
            innermost, forced = marks.get(one.slot, (False, False))
            if forced:
                one.forced = True
                one.kill()
            elif innermost:
                signal.pidfd_send_signal(pidfd, CANCEL_SIGNAL)

    def remove(self, pidfd: int) -> WorkerProcess:
        """Forgets a worker whose process has ended, and kills its group. The caller reaps it afterwards: until then no other
        process can get this id."""
        one = self.workers.pop(pidfd)
        self.poll.unregister(pidfd)
        one.kill()
        return one

    def reap(self, pidfd: int) -> bool:
        """Reaps a worker at the end of the session, and kills what is left of its group; False: the pidfd is no worker's."""
        if pidfd not in self.workers:
            return False
        readable(pidfd)
        one = self.remove(pidfd)
        os.waitpid(one.pid, 0)
        os.close(pidfd)
        self.control.forget(one.pid)
        return True

    def kill(self) -> None:
        """Kills all workers, and reaps them."""
        for one in self.workers.values():
            one.kill()
        for pidfd in list(self.workers):
            self.reap(pidfd)
