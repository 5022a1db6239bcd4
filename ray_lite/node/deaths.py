"""Deaths of workers: from the readable pidfd to the free slot.

    pidfd readable -> kill the group, reap, ask the control process for the last words -> all swept but its tasks
        -> the answer, or Config.last_words later -> each task of its stack as the scheduler says -> slot free

Neighbours: postmortem.py (how it died), policy/scheduler.py (what that means), task_ends.py (carries it out).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import NamedTuple

from ray_lite import _core
from ray_lite.control.control_starter import ControlStarter
from ray_lite.node.actors import Actors
from ray_lite.node.pool import Pool
from ray_lite.node.postmortem import Postmortem
from ray_lite.node.task_ends import TaskEnds
from ray_lite.policy.actor_deaths import KILLED, ActorState, CallState, End, Restart, actor_story, after_death, on_call_death
from ray_lite.policy.scheduler import Died, Running
from ray_lite.store.kept_labels import kept_label
from ray_lite.store.object_store import Store
from ray_lite.values.failures import titled
from ray_lite.workers.task_facts import task_facts


class Unfinished(NamedTuple):
    """A dead worker whose tasks are not dealt with yet."""

    slot: int
    died: Died
    latest: float  #: time when they are dealt with even without its last words


class Deaths:
    """Deals with the deaths of a session's workers."""

    def __init__(self, store: Store, control: ControlStarter, pool: Pool, actors: Actors, task_ends: TaskEnds) -> None:
        self.region, self.config = store.region, store.config
        self.store, self.control, self.pool, self.actors, self.task_ends = store, control, pool, actors, task_ends
        self.postmortem = Postmortem(self.config.oom_window)
        self.unfinished: dict[int, Unfinished] = {}  #: by pid
        self.wakes_owed = False  # whether one that has died since `wake` may have owed a wake-up
        self.orphans_until = 0.0  #: until then the node reaps processes that dead workers had started

    def on_exit(self, owner: Pool | Actors, pidfd: int) -> None:
        """Begins to deal with the death of a worker or an actor's process; its last words may still be on their way."""
        one = owner.remove(pidfd)
        died = self.postmortem.examine(one.pid)._replace(forced=one.forced)
        _core.answer_bell(self.region)  # it may have died between claiming the doorbell and ringing it
        os.close(pidfd)
        self.orphans_until = time.monotonic() + self.config.tidy
        asked = self.control.ask(one.pid)
        self.control.forget(one.pid)
        _core.begin_sweep(self.region, one.slot)
        self.wakes_owed = True
        self.unfinished[one.pid] = Unfinished(one.slot, died, time.monotonic() + self.config.last_words)
        if not asked:
            self.finish(one.pid, "")

    def wake(self) -> None:
        """Wakes all processes if any worker has died: once for all deaths of a turn, since each process looks around itself."""
        if self.wakes_owed:
            self.wakes_owed = False
            _core.wake_all(self.region)

    def on_last_words(self, pid: int, last_words: str) -> None:
        """Deals with a death whose last words the control process has sent."""
        if pid in self.unfinished:
            self.finish(pid, last_words)

    def finish_overdue(self) -> None:
        """Deals with the deaths whose last words did not come in time."""
        for pid, one in list(self.unfinished.items()):
            if time.monotonic() >= one.latest:
                self.finish(pid, "")

    def finish(self, pid: int, last_words: str) -> None:
        """Deals with a dead worker's tasks as the scheduler says, and frees its slot."""
        one = self.unfinished.pop(pid)
        _core.trace(self.region, _core.TRACE_DEATH, b"", pid, time.monotonic_ns())
        died = one.died._replace(last_words=last_words)
        actor = _core.actor_in(self.region, one.slot)
        if actor:
            self._finish_actor(actor, one.slot, died)
        else:
            for task in self._adopted(one.slot):
                order = self.pool.scheduler.on_death(died, task)
                self.task_ends.apply_death(order, task, self.pool.scheduler.story(died, task))
        _core.end_sweep(self.region, one.slot)

    def _finish_actor(self, actor: int, slot: int, died: Died) -> None:
        """Lets a dead actor come back, or ends it; and deals with the calls that it ran."""
        condition, _, _, _, _, _, killed, _ = _core.actor_facts(self.region, actor)
        died = died._replace(forced=died.forced or killed)  # `kill` has returned, whatever the process died of
        starts = condition == "STARTING" and not died.forced
        if not starts:
            self.actors.tries.pop(actor, None)
        if starts and self.actors.may_retry(actor) and _core.retry_actor(self.region, actor):
            return
        class_name, name, *_ = kept_label(self.region, _core.facts_of_actor(self.region, actor))
        title = titled(class_name, name)
        running = list(self._adopted(slot))
        state = self._actor_state(actor, bool(running))
        killed = _core.actor_facts(self.region, actor)[6]  # again, and after the state: `kill` may have changed both meanwhile
        died = died._replace(forced=died.forced or killed)
        how = actor_story(died, [task.name for task in running if not task.complete])
        after = after_death(died, state, how)
        comes_back = isinstance(after, Restart)
        for task in running:
            call = CallState(class_name, title, comes_back, state.keeps, *_core.call_facts(self.region, task.task))
            order = on_call_death(died, task, call, how)
            self.task_ends.apply_death(order, task, how)
        if isinstance(after, End):
            self.actors.end(actor, after.how)
        elif not _core.restart_actor(self.region, actor):
            self.actors.end(actor, KILLED)

    def _actor_state(self, actor: int, runs: bool) -> ActorState:
        restarts, max_restarts, _, keeps, past_lost = _core.restart_facts(self.region, actor)
        ending = _core.actor_facts(self.region, actor)[0] != "ALIVE"
        unneeded = not runs and _core.is_unneeded_actor(self.region, actor)
        return ActorState(restarts, max_restarts, keeps, past_lost, ending, unneeded)

    def _adopted(self, slot: int) -> Iterator[Running]:
        """Yields the tasks of a dead worker, innermost first; the node owns each until it is dealt with."""
        innermost = True
        while True:
            task, complete = _core.adopt_task(self.region, slot)
            if not task:
                return
            facts = task_facts(self.region, task)
            name, site = self.task_ends.function_name(facts), self.store.text(facts.site)
            yield Running(task, name, site, facts.attempts, facts.retries_left, innermost, complete, facts.cancelled)
            innermost = False

    def reap_orphans(self, known: set[int]) -> None:
        """Reaps processes that dead workers had started; the node is their subreaper. `known`: pids of its own children."""
        try:
            while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and found.si_pid not in known:
                os.waitpid(found.si_pid, 0)
        except ChildProcessError:
            pass  # no children at all

    def patience(self) -> float | None:
        """Seconds until the next work that needs no event; None: not before another death."""
        now = time.monotonic()
        waits = [self.config.node_look] if now < self.orphans_until else []
        return min([*waits, *(max(0.0, one.latest - now) for one in self.unfinished.values())], default=None)
