"""The node's workers: forking them into slots of their own, retiring them, telling them what the node knows, ending them.

How many there are is scheduler.py's to say; what a death means, too.  Neighbours: node.py owns the one `Pool`; worker.py is
what a child becomes.
"""

from __future__ import annotations

import math
import os
import resource
import select
import signal
import time
from collections.abc import Callable
from typing import Any, NoReturn

from ray_lite import _core, worker
from ray_lite.control_process import Control
from ray_lite.descriptors import readable
from ray_lite.exceptions import ObjectStoreFullError
from ray_lite.forkserver import started_at
from ray_lite.reporter import Reporter
from ray_lite.scheduler import Blocked, Look, Retire, Scheduler


class Worker:
    """One of them."""

    def __init__(self, pid: int, slot: int, seat: int) -> None:
        self.pid, self.slot, self.seat = pid, slot, seat
        self.forced = False  #: killed for the sake of `cancel(force=True)`
        self.leaving = False  #: asked to end


class Pool:
    """All of them, by pidfd.

    Args:
        private: gives the descriptors of the node that no child may have.
    """

    def __init__(self, region: _core.Region, setting: dict[str, Any], control: Control, reporter: Reporter,
                 private: Callable[[], list[int]]) -> None:
        self.region, self.setting, self.config = region, setting, setting["config"]
        self.control, self.reporter, self.private = control, reporter, private
        self.warm = max(1, math.ceil(setting["resources"].cpus), setting["num_workers"])
        self.scheduler = Scheduler(setting["limit"].value, self.warm, self.config.deadlock, self.config.brief)
        self.workers: dict[int, Worker] = {}
        self.failing_since = math.inf  # workers are wanted, and no attempt to start one has succeeded since
        self.hopeless = ""  # why nobody can be started, if that is so for long and nobody is there
        self.bound_until = 0.0  # the machine gave no more, and is not asked again before
        self.told_limit = False  # that the machine gives no more processes is said once
        self.cancels = 0  # of running tasks, that were dealt with
        self.files = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.poll = select.epoll()
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.files[1], self.files[1]))  # the node needs three for each worker

    def __len__(self) -> int:
        return len(self.workers)

    def pids(self) -> set[int]:
        """Of those that are not known to be dead."""
        return {one.pid for one in self.workers.values()}

    def look(self, at_least: int = 0, most: int = 1 << 30) -> None:
        """Starts workers, or makes room for them, when the scheduler says so."""
        _core.refresh(self.region)
        ready, idle, starting, free, fits, resting = _core.can_start(self.region)
        waits, last, finished, blocked, lacks = _core.blocked_workers(self.region)
        now = time.monotonic()
        if not ready:
            self.failing_since = math.inf  # nobody is wanted
        if self.bound_until <= now:
            self.scheduler.max_workers = self.setting["limit"].value
        orders = self.scheduler.look(Look(ready, idle, starting, free, fits, len(self), resting,
                                          len(self) - resting - starting - blocked, finished, now))
        at_least = min(at_least, self.scheduler.max_workers - len(self))
        for _ in range(min(most, max(at_least, sum(order.number for order in orders if not isinstance(order, Retire))))):
            if not self.start():
                break
        if any(isinstance(order, Retire) for order in orders) and not self._leaving():
            self._retire(0)
        for order in self.scheduler.stuck(Blocked(len(self), waits, last, finished, fits, lacks, resting, now)):
            _core.condemn(self.region, order.slot)
        if fits and len(self) >= self.scheduler.max_workers:
            self._note_limit()
        _core.set_full(self.region, 0 < len(self) >= self.scheduler.max_workers)
        while self.scheduler.rest(len(self) - self._leaving()) and self._retire(self.config.retire_after):
            pass
        if _core.cancels(self.region) != self.cancels:
            self._interrupt()

    def _leaving(self) -> int:
        """How many were asked to end, and have not yet."""
        return sum(one.leaving for one in self.workers.values())

    def _retire(self, idle_for: float) -> bool:
        """Asks the worker that is idle the longest to end, if it is for so many seconds; whether there was one."""
        slot = _core.retire_idle(self.region, int(idle_for * 1e9))
        for one in self.workers.values():
            one.leaving |= one.slot == slot
        return slot != 0

    def patience(self) -> float:
        """How long nothing needs a look, if nothing happens."""
        if not self.scheduler.rest(len(self) - self._leaving()):
            return math.inf
        idle = _core.longest_idle(self.region)
        return float(max(0.01, self.config.retire_after - max(0, idle) / 1e9))

    def _note_limit(self) -> None:
        """There is work, and there can't be more workers: that is said once."""
        limit = self.setting["limit"]
        if not self.told_limit and limit.source not in ("max_workers", "RAY_LITE_MAX_WORKERS"):
            self.told_limit = True
            self.reporter.note(f"there can't be more than {self.scheduler.max_workers:,} workers: {limit.source}")

    def _interrupt(self) -> None:
        """Running tasks were cancelled: their workers hear of it, or are killed."""
        self.cancels = _core.cancels(self.region)
        marks = {slot: (innermost, forced) for slot, innermost, forced in _core.marks(self.region)}
        for pidfd, one in self.workers.items():
            innermost, forced = marks.get(one.slot, (False, False))
            if forced:
                one.forced = True
                self.kill(one.pid)
            elif innermost:
                signal.pidfd_send_signal(pidfd, worker.CANCEL_SIGNAL)

    def start(self) -> bool:
        """Whether a worker was forked, into a slot of its own, if there is one: the dead keep theirs until they are buried."""
        try:
            slot = _core.open_worker(self.region)
        except ObjectStoreFullError:
            return False
        taken = {one.seat for one in self.workers.values()}
        seat = next(number for number in range(len(self) + 1) if number not in taken)
        pid = pidfd = -1
        try:
            pid = self.control.fork()
            if pid == 0:
                self._become(slot, seat)
            pidfd = os.pidfd_open(pid)
            self.poll.register(pidfd, select.EPOLLIN)
        except OSError as error:
            self._undo(slot, pid, pidfd)
            self._no_more(error)
            return False
        self.workers[pidfd] = Worker(pid, slot, seat)
        self.failing_since, self.hopeless = math.inf, ""
        return True

    def _undo(self, slot: int, pid: int, pidfd: int) -> None:
        """A worker that was not forked, or that can't be watched: nothing of it stays. It may have begun a task meanwhile."""
        if pidfd >= 0:
            os.close(pidfd)
        if pid > 0:
            self.kill(pid)
            os.waitpid(pid, 0)
            self.control.forget(pid)
            _core.answer_bell(self.region)  # as when any other dies
        _core.begin_sweep(self.region, slot)
        while (found := _core.adopt_task(self.region, slot))[0]:
            task, complete = found
            if complete:
                _core.finish_task(self.region, task)
            else:
                _core.requeue_task(self.region, task, False, True)
        _core.end_sweep(self.region, slot)

    def _no_more(self, error: OSError) -> None:
        """The machine gives no more processes: that is the limit for a while."""
        now = time.monotonic()
        self.failing_since = min(self.failing_since, now)
        self.scheduler.max_workers = len(self)
        self.bound_until = now + self.config.fork_again
        if not len(self) and now - self.failing_since >= self.config.start_timeout:
            self.hopeless = f"no worker could be started for {now - self.failing_since:.0f} s: {error}"
            self.failing_since = math.inf  # tasks that come later wait as long
        if not self.told_limit:
            self.reporter.note(f"no worker{f' beyond {len(self)}' if len(self) else ''} can be started: {error}")
        self.told_limit = True

    def _become(self, slot: int, seat: int) -> NoReturn:
        """In the child: nothing of the node's stays, and it ends without the node's exit handlers."""
        error: BaseException | None = None
        try:
            os.setpgid(0, 0)
            _core.die_with_parent(self.setting["node"])
            for fd in self.private():
                os.close(fd)
            resource.setrlimit(resource.RLIMIT_NOFILE, self.files)
            hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
            resource.setrlimit(resource.RLIMIT_CORE, (min(1, hard) if hard >= 0 else 1, hard))
            _core.become(self.region, slot, os.getpid(), started_at(os.getpid()))
            worker.main(self.region, {**self.setting, "seat": seat}, self.reporter)
        except BaseException as problem:  # a worker's last words, whatever ended it
            error = problem
            if _core.node_died(self.region):  # seen before the signal of it: the group ends now, without a word
                os.killpg(0, signal.SIGKILL)
        worker.end_child(error)

    def lose(self, pidfd: int) -> Worker:
        """A worker's process has ended: it is counted no more. Its group goes with it, before its leader is reaped: until
        then nobody else can have this id."""
        one = self.workers.pop(pidfd)
        self.poll.unregister(pidfd)
        self.kill(one.pid)
        return one

    def kill(self, pid: int) -> None:
        """Ends a worker's process group for certain."""
        for kill in (os.kill, os.killpg):
            try:
                kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it went by itself, or had no group yet

    def forget(self, pidfd: int) -> None:
        """Reaps a worker at the end of the session, and what it left in its group."""
        readable(pidfd)
        one = self.lose(pidfd)
        os.waitpid(one.pid, 0)
        os.close(pidfd)
        self.control.forget(one.pid)

    def end(self) -> None:
        """Ends all of them for certain."""
        for one in self.workers.values():
            self.kill(one.pid)
        for pidfd in list(self.workers):
            self.forget(pidfd)
