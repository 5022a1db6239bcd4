"""Starting workers: the fork into a slot, its undoing, and what follows when the machine refuses a process.

policy/scheduler.py decides how many start.  Neighbours: pool.py calls; worker_process.py is what the child does.
"""

from __future__ import annotations

import math
import os
import resource
import time
from collections.abc import Callable
from typing import NamedTuple

from ray_lite import _core
from ray_lite.control.control_starter import ControlStarter
from ray_lite.control.report_channel import Reporter
from ray_lite.exceptions import ObjectStoreFullError
from ray_lite.node.worker_process import WorkerProcess, become_worker, kill_group
from ray_lite.session_setting import SessionSetting
from ray_lite.workers.child import end_child


class There(NamedTuple):
    """How many processes there are of each kind."""

    workers: int
    actors: int


class WorkerStarter:
    """Starts the workers of a session, and the processes of its actors.

    Args:
        watch: adds the pidfd of a new worker to the node's events.
        private: returns the descriptors of the node that no child may have.
    """

    def __init__(self, region: _core.Region, setting: SessionSetting, control: ControlStarter, reporter: Reporter,
                 watch: Callable[[int], None], private: Callable[[], list[int]]) -> None:
        self.region, self.setting, self.config = region, setting, setting.config
        self.control, self.reporter, self.watch, self.private = control, reporter, watch, private
        self.hopeless = ""  #: why no worker could be started for long while there is none, or ""
        self._failing_since = math.inf  # time since which workers are wanted and every start failed
        self._refused_until, self._refused_at = 0.0, 0  # no new try before that time; processes at the refusal
        self._limit_noted = False  # whether the user was told that no more workers can start
        self._files = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._files[1], self._files[1]))  # the node needs three for each worker

    def start(self, pin_index: int, there: There) -> tuple[int, WorkerProcess] | None:
        """Forks a worker besides those there; returns (its pidfd, the worker), or None if no slot or process is free.

        A dead worker keeps its slot until the slot is swept.
        """
        try:
            slot = _core.open_worker(self.region)
        except ObjectStoreFullError:
            return None
        return self.fork(slot, pin_index, there)

    def fork(self, slot: int, pin_index: int | None, there: There, class_name: str = "") -> tuple[int, WorkerProcess] | None:
        """Forks a process into an open slot; the slot is free again if that fails. `class_name`: of its actor, or ""."""
        pid = pidfd = -1
        try:
            pid = self.control.fork(class_name)
            if pid == 0:
                self._become(slot, pin_index)
            pidfd = os.pidfd_open(pid)
            self.watch(pidfd)
        except OSError as error:
            self._undo(slot, pid, pidfd)
            self._refused(error, there)
            return None
        self._failing_since, self.hopeless = math.inf, ""
        return pidfd, WorkerProcess(pid, slot, pin_index)

    def _become(self, slot: int, pin_index: int | None) -> None:
        """Turns the forked child into a worker that leads a process group; does not return."""
        try:
            os.setpgid(0, 0)
            _core.die_with_parent(self.setting.node_pid)
            for fd in self.private():
                os.close(fd)
        except BaseException as error:
            end_child(error)
        reporter = Reporter(self.region, self.reporter.sender)  # what the node has lost is the node's to tell
        become_worker(self.region, self.setting, reporter, self._files, (slot, pin_index))

    def _undo(self, slot: int, pid: int, pidfd: int) -> None:
        """Undoes the start of a worker that was not forked, or can't be watched; it may have begun a task meanwhile."""
        if pidfd >= 0:
            os.close(pidfd)
        if pid > 0:
            kill_group(pid)
            os.waitpid(pid, 0)
            self.control.forget(pid)
            _core.answer_bell(self.region)  # as after any other death
        _core.begin_sweep(self.region, slot)
        while (found := _core.adopt_task(self.region, slot))[0]:
            task, complete = found
            if complete:
                _core.finish_task(self.region, task)
            else:
                _core.requeue_task(self.region, task, False, True)
        if actor := _core.actor_in(self.region, slot):
            _core.retry_actor(self.region, actor)
        _core.end_sweep(self.region, slot)
        _core.wake_all(self.region)

    def _refused(self, error: OSError, there: There) -> None:
        """Takes those there as the most processes for a while, since the machine refused one."""
        now = time.monotonic()
        self._failing_since = min(self._failing_since, now)
        self._refused_until, self._refused_at = now + self.config.fork_again, sum(there)
        if not there.workers and now - self._failing_since >= self.config.start_timeout:
            self.hopeless = f"no worker could be started for {now - self._failing_since:.0f} s: {error}"
            self._failing_since = math.inf  # later tasks wait for the same time
        if not self._limit_noted:
            besides = f" besides the present {sum(there):,}" if sum(there) else ""
            self.reporter.note(f"no worker can be started{besides}: {error}", "worker_not_started")
        self._limit_noted = True

    def refuses(self) -> bool:
        """Whether the machine has refused a process, and it is too early to try again."""
        return self._refused_until > time.monotonic()

    def limit(self, actors: int) -> int:
        """Most workers that there can be now, besides the processes of so many actors."""
        processes = self._refused_at if self.refuses() else self.setting.process_limit.value
        return min(self.setting.worker_limit.value, max(0, processes - actors))

    def nobody_wanted(self) -> None:
        """Forgets failed starts: no task waits for a worker."""
        self._failing_since = math.inf

    def note_limit(self, limit: int, actors: int) -> None:
        """Tells the user once that there is work for more workers than there can be."""
        source, besides = self.setting.worker_limit.source, ""
        if limit < self.setting.worker_limit.value:
            source, besides = self.setting.process_limit.source, f" besides {actors:,} actors"
        if not self._limit_noted and source not in ("max_workers", "RAY_LITE_MAX_WORKERS"):
            self._limit_noted = True
            self.reporter.note(f"the session can have at most {limit:,} workers{besides}: {source}", "worker_not_started")

    def take_hopeless(self) -> str:
        """Returns why no worker could be started for long, or "", and clears this reason."""
        hopeless, self.hopeless = self.hopeless, ""
        return hopeless
