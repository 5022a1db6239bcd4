"""Random lives of actors in real processes, killed between and during operations, against a plain model; a failure shrinks.

As test_state_machine.py: each rule is one operation of one process (puppet.py), told over a pipe, or of the node, which is
this one; after it the region must agree with the model (actor_ledger.py) and pass fsck.  A fuse arms a kill in the midst of
the next operation; what that did is then read from the region, and must be something that it may do.
RAY_LITE_MACHINE_EXAMPLES=n draws n new examples; CI takes its own from a fixed seed.
"""

import os
import signal
from collections import Counter

import pytest
from actor_ledger import DEATH, ActorLedger, Call
from director import one, shortly
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from picture import Tables, label
from puppet import CPU, NOTHING, Stage

from ray_lite import _core

EXAMPLES = int(os.environ.get("RAY_LITE_MACHINE_EXAMPLES", 0))
EXAMPLES_OF_CI, STEPS = 60, 50
MOST_ACTORS, MOST_CALLERS, MOST_CALLS = 3, 2, 12
NUMBER = st.integers(0, 255)
NUMBERS = st.lists(NUMBER, max_size=3)
NAMES = (None, None, b"n" + b"1" * 19, b"n" + b"2" * 19)  # of one chain
STATES = ("FREE", "PENDING", "STARTING", "ALIVE", "ENDING", "DEAD")
KILLED, NAMED = 2, 1 << 8


class Machine(RuleBasedStateMachine):
    """A region, up to two callers and three actors; this process is their node."""

    counts = Counter()  #: what happened in all examples

    def __init__(self):
        super().__init__()
        self.stage = Stage()
        region = self.region = self.stage.region
        _core.set_root(b"root of this machine")
        self.function = self.stage.store.put("puppet")
        self.index = _core.id_token(self.function)[0]
        self.life = _core.actor_queue(region, _core.LIVES, (region.slot, 0, 0, (), 0))
        self.turn = _core.actor_queue(region, _core.TURNS, (region.slot, CPU, 0, (), 0))
        self.tables = Tables(self.stage.files.control)
        self.model, self.callers = ActorLedger(), {}
        self.fuse, self.numbers, self.story, self.sound = None, 0, [], False

    # --- one operation ---

    def do(self, slot, *order):
        """What it answers; NOTHING if its process died of a fuse, after or in the midst of it. A caller is buried then."""
        fuse, self.fuse, self.sound = self.fuse, None, False
        self.counts[order[0]] += 1
        self.story.append((slot, fuse, *order))
        puppet = self.stage.puppets[slot]
        puppet.tell(*order, fuse=fuse)
        if fuse is None:
            return puppet.answer()
        puppet.last_answer()  # it may have come before the fuse burnt down
        self.counts["deaths in operations"] += 1
        if slot in self.callers:  # what it was building is unwound then
            self.stage.bury(slot)
        return NOTHING

    def fresh_tasks(self):
        """(label, actor's handle, labels of returns) of the calls that the model does not know."""
        now = self.tables.now()
        actors = self.tables.read("actor")
        known = {call.label for actor in self.model.actors.values() for call in actor.calls}
        found = [(now.name(now.tasks, t), actors["handle"][now.tasks["actor"][t]]) for t in range(1, len(now.tasks))
                 if now.tasks["state"][t]]
        return [(its, bytes(now.objects["id"][i])) for its, i in found if its not in known]

    def number(self):
        self.numbers += 1
        return self.numbers

    def caller(self, number):
        """A process that makes calls; a new one if there is none."""
        for slot in one(number, list(self.callers)):
            return slot
        return self.enter()

    def enter(self):
        slot = self.stage.start()
        self.callers[slot] = self.number()
        self.story.append((slot, None, "enter"))
        self.stage.puppets[slot].ask("root", b"puppet".ljust(16) + self.callers[slot].to_bytes(4, "big"))
        return slot

    def picked(self, slot, numbers):
        held = self.model.held(slot)[1]
        return tuple(held[number % len(held)] for number in numbers) if held else ()

    # --- callers ---

    @initialize(number=st.integers(1, MOST_CALLERS))
    def open_the_stage(self, number):
        for who in range(number):
            self.enter()
            self.create(who, [], NAMES[2 + who], who == 0)

    @rule(who=NUMBER, of=NUMBERS, name=st.sampled_from(NAMES), needs=st.booleans())
    def create(self, who, of, name, needs):
        if len(self.model.actors) == MOST_ACTORS:
            self.step(who)
            return
        slot = self.caller(who)
        arguments = self.picked(slot, of)
        options = self.life, self.turn if needs else 0, 1, 0, 0
        answer = self.do(slot, "create", self.index, options, b"made", arguments, name)
        made = self.fresh_tasks()
        taken = self.model.named(name) if name else None
        assert len(made) <= (not taken) and (answer is NOTHING or answer == (None if taken else made[0][1]))
        for its, handle in made:
            self.model.create(handle, slot, Call(its, None, arguments), name, needs)
        self.over(slot, answer)

    def over(self, slot, answer):
        """The operation of a caller is; it may have been its last."""
        if answer is NOTHING:
            del self.callers[slot]
            self.model.leave(slot)

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

    def callee(self, slot, number):
        """The handle of an actor that one holds, in a list, unless there are too many calls."""
        many = sum(len(actor.calls) for actor in self.model.actors.values()) > MOST_CALLS
        return [] if many else one(number, self.model.held(slot)[0])

    def post(self, slot, handle, arguments, returns):
        """A call; what it returns, or nothing if the caller died of it."""
        data = b"%d" % self.number()
        answer = self.do(slot, "call", handle, (self.index, 0, returns, 0, 0, 0), data, arguments)
        made = self.fresh_tasks()
        assert all(its == handle for _, its in made) and len(made) <= 1 and (made or answer is NOTHING)
        ids = () if answer is NOTHING else tuple(answer)
        for its, _ in made:
            self.model.call(handle, slot, Call(its, self.callers[slot], arguments, ids, returns))
        self.over(slot, answer)
        return ids

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
            if self.rows()[label(handle)]["flags"] & KILLED:
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

    def led_into(self, actor, answer):
        possible = self.model.next_calls(actor)
        if answer[0] == "took":
            its = label(answer[1])
            assert its in [call.label for call in possible], f"{its} was taken; it may be one of {possible}"
            self.model.take(actor, its)
            assert list(answer[3]) == [self.model.things[x].value for x in actor.running.arguments]
        elif answer[0] == "left":
            assert actor.state == "ENDING" and not actor.killed
            self.stage.puppets[actor.slot].tell("leave", 0)
            self.bury_actor(actor)
        else:
            busy = actor.needs and self.region.statistics()["cpus_free"] == 0
            assert not possible or busy, f"it rests beside {possible}"

    def bury_actor(self, actor, values=None):
        """Its process is dead or dying. `values`: of the call that it was about to end."""
        puppet = self.stage.puppets.pop(actor.slot)
        puppet.reap()
        now = self.tables.now()
        running = [now.name(now.tasks, t) for t in now.chain(now.tasks, now.slots["running"][actor.slot])]
        if actor.running and actor.running.label not in running:
            self.model.finish(actor, values)
        if running and not actor.running:  # it had just begun
            self.model.take(actor, running[0])
            values = None
        if values and actor.running:
            sealed = {bytes(now.objects["id"][i]) for i in now.live if now.object(i)[0] == "sealed"}
            there = [x in sealed for x in actor.running.returns if x in self.model.things]
            assert there == sorted(there), "returns are sealed last first"
            values = [value if x in sealed else DEATH for x, value in zip(actor.running.returns, values, strict=False)]
        self.sweep(actor, values)

    def sweep(self, actor, values):
        region, slot, index = self.region, actor.slot, _core.actor_in(self.region, actor.slot)
        began = _core.actor_facts(region, index)[0] != "STARTING"
        _core.begin_sweep(region, slot)
        _core.wake_all(region)
        while (adopted := _core.adopt_task(region, slot))[0]:
            for i in _core.task_returns(region, adopted[0]):
                if i:
                    _core.fill_object(region, i, _core.ERROR, (b"it ran", [], [], []))
            _core.finish_task(region, adopted[0])
        if began or actor.killed:
            _core.end_actor(region, index, self.error())
            self.model.die(actor, values)
        else:
            _core.retry_actor(region, index)
            actor.state, actor.slot = "PENDING", 0
        _core.end_sweep(region, slot)

    def error(self):
        x = _core.create_object(self.region, os.urandom(20), 4, False)
        _core.fill_object(self.region, _core.object_index(x), _core.ERROR, (b"dead", [], [], []))
        _core.seal_object(self.region, x)
        return x

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

    def handle_of(self, index):
        return _core.actor_id(self.region, index)

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

    def rows(self):
        """{label of the handle: the entry's words} of the actors that have a handle."""
        now, rows = self.tables.now(), self.tables.read("actor")
        return {now.name(now.objects, row["handle"]): row for row in rows if row["state"] and row["handle"]}

    @invariant()
    def the_region_is_what_the_model_says(self):
        try:
            self.region.check()
            self.compare()
        except AssertionError as wrong:
            story = "\n".join(map(shortly, self.story))
            raise AssertionError(f"{wrong}\nafter (slot, fuse, order):\n{story}") from wrong
        self.sound = True

    def compare(self):
        now, rows, lanes = self.tables.now(), self.rows(), self.tables.read("lane")
        expected = {label(x): actor for x, actor in self.model.actors.items() if x in self.model.things}
        assert rows.keys() == expected.keys()
        for its, actor in expected.items():
            row = rows[its]
            found = STATES[row["state"]], row["slot"], bool(row["flags"] & NAMED)
            assert found == (actor.state, actor.slot, bool(actor.name)), f"actor {its}: {found}"
            self.compare_calls(now, row, lanes, actor)
        found = {now.name(now.objects, i): (now.object(i)[0], {*now.object(i)[1]}) for i in now.live}
        for x, thing in self.model.things.items():
            state = "sealed" if thing.value is not None or x in self.model.actors else "pending"
            assert found[label(x)] == (state, thing.holders), f"{label(x)} is {found[label(x)]}"
        counts = self.region.statistics()
        assert counts["tasks"] == sum(len(actor.calls) for actor in self.model.actors.values())
        assert counts["actors"] == len(self.model.actors) and counts["longest_section"] <= 64

    def compare_calls(self, now, row, lanes, actor):
        """Each caller's calls are where their order is kept: in the mailbox, then in its lane."""
        def chain(first):
            return [now.name(now.tasks, t) for t in now.chain(now.tasks, first)]

        order = chain(row["head"])
        for first in (row["open"], row["stalled"]):
            lane = first
            while lane:
                order += chain(lanes["head"][lane])
                lane = lanes["next"][lane] if lanes["next"][lane] != first else 0
        ran = [actor.running.label] if actor.running else []
        for caller in {call.caller for call in actor.calls if call.caller}:
            mine = [call.label for call in actor.calls if call.caller == caller]
            assert [its for its in (*ran, *order) if its in mine] == mine, f"calls of {caller}"
        assert row["nrunning"] == len(ran) and row["ncalls"] == len(actor.calls)

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

    def last_looks(self):
        for slot in self.callers:
            for x in self.model.held(slot)[1]:
                if self.model.things[x].value is not None:
                    assert self.stage.puppets[slot].ask("read", x) == self.model.things[x].value

    def run_all(self):
        """Nobody holds a handle: all calls run, and then all actors end."""
        for slot in list(self.callers):
            self.kill(self.stage_number(slot), actors=False)
        for _ in range(20 * MOST_CALLS):
            if not self.model.actors:
                break
            self.start(0)
            for number in range(len(self.model.actors)):
                self.step(number)
            self.node(0)
            self.the_region_is_what_the_model_says()

    def stage_number(self, slot):
        return [one for one in self.stage.puppets if one in self.callers].index(slot)

    def nothing_is_left(self):
        assert not self.model.actors and not self.model.things
        found = self.region.statistics()
        left = dict(actors=0, lanes=0, tasks=0, objects=1)  # the function
        assert {key: found[key] for key in left} == left
        assert found["cpus_free"] == found["cpus"]


@pytest.mark.slow
@pytest.mark.watchdog(900)  # a failure takes as long as its shrinking
def test_random_lives_of_actors_agree_with_a_model():
    Machine.counts.clear()
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES or EXAMPLES_OF_CI,
            stateful_step_count=STEPS,
            derandomize=not EXAMPLES,
            database=None,
            print_blob=True,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(dict(Machine.counts))
    if not EXAMPLES:
        assert all(Machine.counts[what] for what in ("deaths in operations", "slay", "due: DEAD", "due: ALIVE", "find"))
