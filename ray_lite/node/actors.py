"""Actors, for the node: their processes are started, asked to end, killed, and their calls fail once they are dead.

Neighbours: supervisor.py owns the one `Actors`; worker_starter.py forks; deaths.py reports deaths.
"""

from __future__ import annotations

import os
import select

from ray_lite import _core
from ray_lite.exceptions import ObjectStoreFullError
from ray_lite.node.worker_process import WorkerProcess
from ray_lite.node.worker_starter import There, WorkerStarter
from ray_lite.policy.actor_deaths import KILLED
from ray_lite.policy.scheduler import actors_most
from ray_lite.session_setting import SessionSetting
from ray_lite.store.kept_labels import kept_label
from ray_lite.store.object_store import Store
from ray_lite.system.polling import readable
from ray_lite.values.failures import dead

START_TRIES = 3  # processes that may die before they take their slot; then the actor is dead
DRAIN_AT_ONCE = 2000  # calls that fail at a time; other events come in between


class Actors:
    """The processes of a session's actors, by pidfd."""

    def __init__(self, store: Store, setting: SessionSetting, starter: WorkerStarter, poll: select.epoll) -> None:
        self.region, self.store, self.setting, self.starter, self.poll = store.region, store, setting, starter, poll
        self.most = actors_most(setting.process_limit.value, setting.info.resources.cpus)
        self.at_limit = False  #: whether no more processes can be started now, so that actors may wait for one
        self.processes: dict[int, WorkerProcess] = {}
        self.tries: dict[int, int] = {}  #: by actor: processes that died before they took their slot, one after the other
        self._spare_cause = self._cause("of this call", None, "the object store was too full to keep how it died", True)
        self._dying: set[int] = set()  # DEAD actors that have calls or handles left

    def pids(self) -> set[int]:
        """Pids of processes not yet reported dead."""
        return {one.pid for one in self.processes.values()}

    def may_retry(self, actor: int) -> bool:
        """Whether an actor may be started again whose process died before it took its slot; counts the tries."""
        self.tries[actor] = self.tries.get(actor, 0) + 1
        return self.tries[actor] <= START_TRIES

    def adjust(self, workers: int) -> None:
        """Starts what can be started besides so many workers, and does what is due."""
        while actor := _core.take_due_actor(self.region):
            self._due(actor)
        while not self._is_full(workers) and self._start(workers):
            pass
        for actor in list(self._dying):
            self._drain(actor)

    def _is_full(self, workers: int) -> bool:
        """Whether no more processes can be started besides so many workers."""
        room = min(self.most, self.setting.process_limit.value - workers) - len(self)
        self.at_limit = room <= 0 or self.starter.refuses()
        return self.at_limit

    def _start(self, workers: int) -> bool:
        """Starts the next actor whose resources fit, if there is one."""
        try:
            actor, slot = _core.open_actor(self.region)
        except ObjectStoreFullError:  # dead processes keep their slots until these are swept
            self.at_limit = True
            return False
        if not actor:
            return False
        class_name = kept_label(self.region, _core.facts_of_actor(self.region, actor))[0].rpartition("<locals>.")[2]
        started = self.starter.fork(slot, None, There(workers, len(self)), class_name)
        if started is None:
            if _core.actor_facts(self.region, actor)[0] == "ENDING":
                self.end(actor, KILLED)
            return False
        self.processes[started[0]] = started[1]
        return True

    def _due(self, actor: int) -> None:
        state, _, slot, _, _, _, killed, _ = _core.actor_facts(self.region, actor)
        if state == "DEAD":
            self._dying.add(actor)
        elif killed and not slot:
            self.end(actor, KILLED)
        elif killed:
            for one in self.processes.values():
                if one.slot == slot:
                    one.forced = True
                    one.kill()
        else:
            _core.retire_actor(self.region, actor)

    def end(self, actor: int, how: str) -> None:
        """Makes an actor without a process DEAD."""
        class_name, name, *_ = kept_label(self.region, _core.facts_of_actor(self.region, actor))
        try:
            cause = self._cause(class_name, name, how)
        except ObjectStoreFullError:  # not even an entry of the table is left
            cause = self._spare_cause
        _core.end_actor(self.region, actor, cause)
        self._dying.add(actor)

    def _cause(self, class_name: str, name: str | None, how: str, for_job: bool = False) -> _core.ObjectID:
        """An object with the error of a dead actor's calls; `for_job`: the session keeps it."""
        x = _core.create_object(self.region, _core.next_put_id(), 0, for_job)
        self.store.fail(_core.object_index(x), dead(class_name, name, how))
        _core.seal_object(self.region, x)
        return x

    def _drain(self, actor: int) -> None:
        if _core.drain_actor(self.region, actor, DRAIN_AT_ONCE) == 0 and _core.free_actor(self.region, actor):
            self._dying.discard(actor)
            self.tries.pop(actor, None)

    def __len__(self) -> int:
        return len(self.processes)

    def reap(self, pidfd: int) -> bool:
        """Reaps a process at the end of the session, and kills what is left of its group; False: the pidfd is no actor's."""
        if pidfd not in self.processes:
            return False
        readable(pidfd)
        one = self.remove(pidfd)
        os.waitpid(one.pid, 0)
        os.close(pidfd)
        self.starter.control.forget(one.pid)
        return True

    def cancel_calls(self) -> None:
        """Cancels all calls that run; whoever delivers cancellations tells them."""
        for one in self.processes.values():
            for task, serial in _core.running_calls(self.region, one.slot):
                _core.cancel(self.region, task, serial, False)

    def kill(self) -> None:
        """Kills all processes, and reaps them."""
        for one in self.processes.values():
            one.kill()
        for pidfd in list(self.processes):
            self.reap(pidfd)

    def remove(self, pidfd: int) -> WorkerProcess:
        """Forgets a process that has ended, and kills its group."""
        one = self.processes.pop(pidfd)
        self.poll.unregister(pidfd)
        one.kill()
        return one
