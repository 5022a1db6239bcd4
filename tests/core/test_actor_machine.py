"""Random lives of actors in real processes, killed between and during operations, against a plain model; a failure shrinks.

As test_state_machine.py: each rule is one operation of one process (puppet.py), told over a pipe, or of the node, which is
this one; after it the region must agree with the model (actor_ledger.py) and pass fsck.  A fuse arms a kill in the midst of
the next operation; what that did is then read from the region, and must be something that it may do.
RAY_LITE_MACHINE_EXAMPLES=n draws n new examples; CI takes its own from a fixed seed.
"""

import os
import signal

import pytest
from actor_director import ActorDirector
from actor_ledger import Call
from director import one, shortly
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from machines import EXAMPLES, run
from picture import label
from puppet import NOTHING

from ray_lite import _core

STEPS = 50
MOST_ACTORS, MOST_CALLERS = 3, 2
NUMBER = st.integers(0, 255)
NUMBERS = st.lists(NUMBER, max_size=3)
NAMES = (None, None, b"n" + b"1" * 19, b"n" + b"2" * 19)  # of one chain
BACK = ((0, False), (2, False), (3, True), (3, True))  # processes that an actor may lose, and whether it keeps calls
KILLED = 2
MOST_ROUNDS = 240  # until all calls have run
WANTED = ("deaths in operations", "slay", "due: DEAD", "due: ALIVE", "find", "restarts", "calls that run again")


class Machine(ActorDirector):
    """The rules."""

    # --- callers ---

    @initialize(number=st.integers(1, MOST_CALLERS))
    def open_the_stage(self, number):
        for who in range(number):
            self.enter()
            self.create(who, [], NAMES[2 + who], who == 0, BACK[-1])

    @rule(who=NUMBER, of=NUMBERS, name=st.sampled_from(NAMES), needs=st.booleans(), back=st.sampled_from(BACK))
    def create(self, who, of, name, needs, back=BACK[0]):
        if len(self.model.actors) == MOST_ACTORS:
            self.step(who)
            return
        slot = self.caller(who)
        arguments = self.picked(slot, of)
        options = self.life, self.turn if needs else 0, 1, 0, 0, *back
        answer = self.do(slot, "create", self.index, options, b"made", arguments, name)
        made = self.fresh_tasks()
        taken = self.model.named(name) if name else None
        assert len(made) <= (not taken) and (answer is NOTHING or answer == (None if taken else made[0][1]))
        for its, handle in made:
            self.model.create(handle, slot, Call(its, None, arguments), name, needs, *back)
        self.over(slot, answer)

    @rule(who=NUMBER, which=NUMBER, of=NUMBERS, returns=st.integers(1, 2))
    def call(self, who, which, of, returns):
        slot = self.caller(who)
        for handle in self.callee(slot, which):
            self.post(slot, handle, self.picked(slot, of), returns)
            return
        self.step(which)

    @rule(who=NUMBER, which=NUMBER, other=NUMBER)
    def calls_behind_one_that_lacks_its_argument(self, who, which, other):
        slot = self.caller(who)
        for first in self.callee(slot, which):
            ids = self.post(slot, first, (), 1)
            for handle in one(other, self.model.held(slot)[0]) if ids else ():
                if self.post(slot, handle, ids, 1):
                    self.post(slot, handle, (), 1)
            return
        self.create(who, [], None, bool(other % 2))

    @rule(who=NUMBER, which=NUMBER)
    def release(self, who, which):
        slot = self.caller(who)
        for x in one(which, [*self.model.held(slot)[1], *self.model.held(slot)[0]]):
            answer = self.do(slot, "release", x)
            self.model.release(slot, x)
            self.over(slot, answer)

    @rule(who=NUMBER, name=st.sampled_from(NAMES[2:]))
    def find(self, who, name):
        slot, actor = self.caller(who), self.model.named(name)
        if actor is None and who % 4:  # rarely in vain
            self.create(who, [], name, bool(who % 2))
            return
        answer = self.do(slot, "find", name)
        assert answer is NOTHING or answer == (actor and actor.handle)
        if actor:
            self.model.things[actor.handle].holders.add(slot)
        self.over(slot, answer)

    @rule(who=NUMBER, which=NUMBER, really=st.integers(0, 3))
    def slay(self, who, which, really):
        slot = self.caller(who)
        for handle in one(which, self.model.held(slot)[0] if really == 0 else []):
            was_dead = self.model.actors[handle].state == "DEAD"
            answer = self.do(slot, "slay", handle)
            assert answer is NOTHING or answer == (not was_dead)
            row = self.rows().get(label(handle))  # a dead one's handle may have gone with the caller
            if row is not None and row["flags"] & KILLED:
                self.model.kill(handle)
            self.over(slot, answer)
            return
        self.step(which)

    # --- actors' processes ---

    @rule(whatever=NUMBER)
    def start(self, whatever):
        """The node starts one; a fuse burns from its first moment."""
        fuse, self.fuse, self.sound = self.fuse, None, False
        index, slot = _core.open_actor(self.region)
        assert bool(index) == bool(self.model.can_start())
        if not index:
            return
        actor = self.model.actors[self.handle_of(index)]
        assert actor in self.model.can_start()
        self.story.append((slot, fuse, "start"))
        self.stage.start(fuse, slot)
        actor.slot, actor.state = slot, "ALIVE"
        if fuse is not None:
            self.bury_actor(actor)

    @rule(which=NUMBER)
    def step(self, which):
        """An actor's process ends its call and takes the next, or looks for one."""
        for actor in one(which, [actor for actor in self.model.actors.values() if actor.slot]):
            values = [b"v%d" % self.number() for _ in range(actor.running.count)] if actor.running else None
            if actor.running:
                answer = self.do(actor.slot, "finish", values)
            else:
                answer = self.do(actor.slot, "serve")
            if answer is NOTHING:
                self.bury_actor(actor, values)
                return
            if actor.running:
                self.model.finish(actor, values)
            self.led_into(actor, answer)
            return
        self.start(which)

    # --- the node, and deaths ---

    @rule(whatever=NUMBER)
    def node(self, whatever):
        self.sound = False
        self.story.append((0, None, "node"))
        while index := _core.take_due_actor(self.region):
            state, _, slot, _, _, _, killed, _ = _core.actor_facts(self.region, index)
            self.counts[f"due: {state}"] += 1
            if state == "DEAD":
                if _core.drain_actor(self.region, index, 3) == 0:
                    _core.free_actor(self.region, index)
                else:
                    while _core.drain_actor(self.region, index, 100):
                        pass
            elif killed and not slot:
                _core.end_actor(self.region, index, self.error())
            elif killed:
                os.kill(self.stage.puppets[slot].pid, signal.SIGKILL)
                self.bury_actor(self.model.actors[self.handle_of(index)])
            else:
                _core.retire_actor(self.region, index)
        self.model.node()

    @rule(nanoseconds=st.integers(0, 67).map(lambda n: n**3))
    def light_the_fuse(self, nanoseconds):
        self.fuse = nanoseconds

    @rule(whom=NUMBER, actors=st.booleans(), really=st.integers(0, 3))
    def kill(self, whom, actors, really=0):
        if really:
            self.call(whom, whom, [whom, whom + 1], 1 + actors)
            return
        for slot in one(whom, [slot for slot in self.stage.puppets if (slot not in self.callers) == actors]):
            self.sound = False
            self.counts["kill"] += 1
            self.story.append((slot, None, "kill"))
            os.kill(self.stage.puppets[slot].pid, signal.SIGKILL)
            if slot in self.callers:
                self.stage.bury(slot)
                self.over(slot, NOTHING)
            else:
                self.bury_actor(next(actor for actor in self.model.actors.values() if actor.slot == slot))
            return
        if len(self.callers) < MOST_CALLERS:
            self.enter()

    @rule(which=NUMBER)
    def step_again(self, which):
        self.step(which)

    # --- what must be true ---

    @invariant()
    def the_region_is_what_the_model_says(self):
        try:
            self.region.check()
            self.compare()
        except AssertionError as wrong:
            story = "\n".join(map(shortly, self.story))
            raise AssertionError(f"{wrong}\nafter (slot, fuse, order):\n{story}") from wrong
        self.sound = True

    # --- the end ---

    def teardown(self):
        try:
            if self.sound:
                self.fuse = None
                self.last_looks()
                self.run_all()
                self.nothing_is_left()
        finally:
            self.function = None
            self.stage.close()

    def run_all(self):
        """Nobody holds a handle: all calls run, and then all actors end."""
        for slot in list(self.callers):
            self.kill(self.stage_number(slot), actors=False)
        for _ in range(MOST_ROUNDS):
            if not self.model.actors:
                break
            self.start(0)
            for number in range(len(self.model.actors)):
                self.step(number)
            self.node(0)
            self.the_region_is_what_the_model_says()

    def stage_number(self, slot):
        return [one for one in self.stage.puppets if one in self.callers].index(slot)


@pytest.mark.slow
@pytest.mark.watchdog(900)  # a failure takes as long as its shrinking
def test_random_lives_of_actors_agree_with_a_model():
    run(Machine, STEPS)
    if not EXAMPLES:
        assert all(Machine.counts[what] for what in WANTED)
