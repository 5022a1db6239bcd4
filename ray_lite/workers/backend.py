"""WorkerBackend: the LocalBackend of a worker, which runs tasks inline before it blocks, and gives its CPUs back meanwhile.

Neighbours: inline_tasks.py, cancellation.py (what may interrupt a call), main.py (makes it).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from ray_lite import _core
from ray_lite.backends.local import LocalBackend
from ray_lite.calls.functions import Call
from ray_lite.calls.identities import process_id
from ray_lite.config import WORKER_MODE
from ray_lite.control.report_channel import Reporter
from ray_lite.exceptions import DeadlockError
from ray_lite.policy.wait_cycles import Need, cycles, describe
from ray_lite.session_setting import SessionSetting
from ray_lite.workers.actor_runner import ActorRunner
from ray_lite.workers.cancellation import Cancellation
from ray_lite.workers.concurrent_calls import ConcurrentCalls
from ray_lite.workers.inline_tasks import InlineRunner
from ray_lite.workers.resource_env import ResourceEnv
from ray_lite.workers.signal_watch import SignalWatch
from ray_lite.workers.task_runner import TaskRunner


class WorkerBackend(LocalBackend):
    """The backend that tasks in a worker use."""

    is_worker = True
    mode = WORKER_MODE

    def __init__(self, region: _core.Region, setting: SessionSetting, pin_index: int | None, reporter: Reporter) -> None:
        super().__init__(region, setting.info)
        self.worker_id = process_id(self.session_id, os.getpid())
        self.worker_limit, self.process_limit = setting.worker_limit, setting.process_limit
        pools = 1 if setting.preload else 0  # node/preload.py lets libraries make them for one thread
        resource_env = ResourceEnv(region, setting.info.resources, pin_index if setting.pin else None, pools)
        self.serializers.report = partial(reporter.keep, "register_custom_serializer", "register_custom_serializer")
        self.signals = SignalWatch(lambda: self.worker.ask())
        runner = ActorRunner if _core.own_actor(region) else TaskRunner
        self.runner = runner(self, resource_env, reporter, self.signals)
        self.worker = _core.Worker(region, self.runner)
        self.cancellation = Cancellation(
            region, self.worker, lambda: self.inline.waiting_task, self.config.cancel_again)
        self.inline = InlineRunner(region, self.worker, self.runtime_env, self.cancellation, self.signals)
        self.main_thread = threading.get_ident()
        self.concurrent: ConcurrentCalls | None = None  #: the calls of an actor that runs several at a time
        self.asleep = partial(self._asleep, False)

    def submit(self, call: Call) -> Any:
        if self.cancellation.pending:
            self.look_around()
        return super().submit(call)

    def get(self, object_ids: Any, timeout: float | None, writable: bool = False) -> Any:
        if self.cancellation.pending:
            self.look_around()
        return super().get(object_ids, timeout, writable)

    def put(self, value: Any, timeout: float | None = None) -> _core.ObjectID:
        if self.cancellation.pending:
            self.look_around()
        return super().put(value, timeout)

    def wait(self, object_ids: list[Any], num_returns: int, timeout: float | None) -> tuple[list[Any], list[Any]]:
        if self.cancellation.pending:
            self.look_around()
        return super().wait(object_ids, num_returns, timeout)

    def wait_until(self, ids: list[_core.ObjectID], allowed: int, timeout: float | None, inline: bool) -> bool:
        """Runs inline what can run inline, which only the main thread does, then sleeps with the CPUs given back."""
        if self.concurrent is None and threading.get_ident() == self.main_thread and _core.current_task()[0]:
            if _core.is_cancelled(self.region):
                self.cancellation.raise_it()
            if inline and self.inline.run_all(ids):
                return True
        return self._asleep(timeout is None, partial(super().wait_until, ids, allowed, timeout, False))

    def _asleep(self, for_ever: bool, wait: Callable[[], bool]) -> bool:
        """Calls `wait`, which sleeps, with the CPUs given back. `for_ever`: it has no timeout.

        Only the main thread gives them back: it may be working while another one sleeps, which is just counted as waiting.  An
        actor that runs several calls at a time does so while all of them wait.
        """
        if self.concurrent is not None:
            return self.concurrent.wait(for_ever, wait)
        if threading.get_ident() != self.main_thread:
            return _core.while_thread_waits(self.region, for_ever, wait)
        return _core.while_blocked(self.region, for_ever, wait) if _core.current_task()[0] else wait()

    @property
    def inline_depth(self) -> int:
        """Number of inline tasks on top of each other now."""
        return self.inline.depth

    def raise_cancelled(self) -> None:
        """Raises TaskCancelledError in the innermost task."""
        self.cancellation.raise_it()

    def wait_for_function(self, x: _core.ObjectID) -> None:
        """Waits for a function that another process is exporting, without giving CPUs back."""
        super().wait_until([x], 0, None, False)

    def look_around(self, awaited: list[_core.ObjectID] | None = None, all_of_them: bool = False) -> None:
        """Raises DeadlockError if the wait for `awaited` can never end; in the main thread, TaskCancelledError if the innermost
        task is cancelled."""
        if self.concurrent is not None:
            self.concurrent.check()
            own = self.concurrent.own()
            if awaited is not None and all_of_them and own is not None:
                self._look_for_cycle(awaited, own.record)
            return
        main = threading.get_ident() == self.main_thread
        if main:
            self.cancellation.check()
        if awaited is None:
            return
        if main and all_of_them:
            self._look_for_cycle(awaited)
        if _core.take_deadlock(self.region, main, awaited):
            raise DeadlockError(self._why_stuck())

    def _look_for_cycle(self, awaited: list[_core.ObjectID], call: int = 0) -> None:
        """Says what is awaited, by this process or by one of several calls; raises DeadlockError if the node has chosen this
        wait, and it is in a cycle still: another member may have been cancelled meanwhile."""
        _core.await_first(self.region, awaited, call)
        if not _core.take_cycle(self.region, call):
            return
        for cycle in cycles(Need(*edge) for edge in _core.wait_edges(self.region)):
            for place, need in enumerate(cycle):
                if need.task == call or call == 0 and need.slot == self.region.slot:
                    raise DeadlockError(describe(cycle[place:] + cycle[:place], self.runner.task_name))

    def _why_stuck(self) -> str:
        lacked = ", ".join(map(self.info.resources.name_of, _core.scarce_resources(self.region)))
        if lacked:
            return f"no worker runs a task any more: the remaining tasks need resources that waiting tasks hold ({lacked})"
        there = len(self.view.worker_pids())
        why = f"the session can have at most {self.worker_limit.value:,} ({self.worker_limit.source})"
        if there < self.worker_limit.value:
            actors = len(self.region.workers()) - there
            why = "the machine can start no more processes"
            if there + actors >= self.process_limit.value:
                why = f"{actors:,} of at most {self.process_limit.value:,} processes ({self.process_limit.source}) are actors'"
        return f"all {there:,} workers wait for tasks, and no worker is left to run these tasks: {why}"
