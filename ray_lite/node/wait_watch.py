"""WaitWatch: what the node sees while processes wait for long, and what it does about it.

It ends cycles of calls that wait for each other, and tells the user who waits for what actors hold for life.  Neighbours:
policy/wait_cycles.py and policy/long_waits.py decide; supervisor.py owns the watch.
"""

from __future__ import annotations

import time

from ray_lite import _core
from ray_lite.control.report_channel import Reporter
from ray_lite.node.actors import Actors
from ray_lite.node.task_ends import TaskEnds
from ray_lite.policy.long_waits import HeldWait, HeldWaits, needed_text, waiter_text
from ray_lite.policy.wait_cycles import Cycles, Need
from ray_lite.store.kept_labels import kept_label
from ray_lite.workers.task_facts import task_facts

LOOKS = 10  # looks at a wait before it is told


class WaitWatch:
    """Looks at waits again and again, at most every Config.node_look; without them it costs nothing."""

    def __init__(self, actors: Actors, task_ends: TaskEnds, reporter: Reporter) -> None:
        self.region, self.store, self.setting = actors.region, actors.store, actors.setting
        self.actors, self.task_ends, self.reporter = actors, task_ends, reporter
        self.config = self.setting.config
        self.cycles = Cycles(self.config.deadlock)
        self.held_waits = HeldWaits(self.config.held_note)
        self._next = self._next_held = 0.0

    def step(self) -> None:
        """Looks, if it is time."""
        now = time.monotonic()
        if now < self._next or not _core.must_look(self.region):
            return
        self._next = now + self.config.node_look / 2  # the supervisor comes every node_look, or a little earlier
        for wait in self.cycles.broken((Need(*edge) for edge in _core.wait_edges(self.region)), now):
            _core.break_cycle(self.region, wait.slot, wait.since, wait.task, wait.serial)
        if now >= self._next_held:
            self._next_held = now + self.config.held_note / LOOKS
            found = (HeldWait(*wait) for wait in _core.held_waits(self.region))
            for held in self.held_waits.due((one for one in found if one.resource or self.actors.at_limit), now):
                self.reporter.note(self._text(held), "waiting")

    def _text(self, wait: HeldWait) -> str:
        """The line that tells of a wait."""
        is_task = wait.kind == "task"
        name = self.task_ends.function_name(task_facts(self.region, wait.waiter)) if is_task else self._actor(wait.waiter)
        waits = f"{waiter_text(wait, name)} has waited for {self.config.held_note:g} s"
        if not wait.resource:
            return f"{waits} for a process: {self._why_full()}"
        resource = self.setting.info.resources.name_of(wait.resource)
        return f"{waits} for {needed_text(wait, resource, [self._actor(one) for one in wait.holders])}"

    def _why_full(self) -> str:
        """Why no more processes can be started."""
        if self.actors.starter.refuses():
            return "the machine can start no more processes"
        limit, most = self.setting.process_limit, self.actors.most
        return f"the session can have at most {limit.value:,} processes ({limit.source}), {most:,} of them for actors"

    def _actor(self, actor: int) -> str:
        """An actor's class, name, id and process."""
        class_name, name, *_ = kept_label(self.region, _core.facts_of_actor(self.region, actor))
        slot = _core.actor_facts(self.region, actor)[2]
        pid = next((one.pid for one in self.actors.processes.values() if one.slot == slot), 0)
        facts = ([] if name is None else [repr(name)]) + [_core.actor_id(self.region, actor).hex()[:8]]
        return f"{class_name} ({', '.join(facts + ([f'pid {pid}'] if pid else []))})"
