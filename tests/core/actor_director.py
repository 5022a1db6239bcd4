"""The test's side of the lives of actors: tells processes what to do, keeps the model, and compares the two.

`do` is one operation of one process, with or without a kill in its midst.  Neighbours: test_actor_machine.py holds the rules,
actor_ledger.py the model, puppet.py the processes.
"""

import os
from collections import Counter

from actor_ledger import DEATH, ActorLedger, Call
from director import one
from hypothesis.stateful import RuleBasedStateMachine
from picture import Tables, label
from puppet import CPU, NOTHING, Stage

from ray_lite import _core

MOST_CALLS = 12
STATES = ("FREE", "PENDING", "STARTING", "ALIVE", "ENDING", "DEAD")
NAMED = 1 << 8


class ActorDirector(RuleBasedStateMachine):
    """A region, up to two callers and three actors; this process is their node."""

    counts = Counter()  #: what happened in all examples

    def __init__(self):
        super().__init__()
        self.stage = Stage()
        region = self.region = self.stage.region
        _core.set_root(b"root of this machine")
        self.function = self.stage.store.put("puppet")
        self.index = _core.id_token(self.function)[0]
        self.life = _core.actor_queue(region, _core.LIVES, (0, 0, (), 0))
        self.turn = _core.actor_queue(region, _core.TURNS, (CPU, 0, (), 0))
        self.tables = Tables(self.stage.files.control)
        self.model, self.callers = ActorLedger(), {}
        self.fuse, self.numbers, self.story, self.sound = None, 0, [], False

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
        """(label, actor's handle, or None if that is gone) of the calls that the model does not know."""
        now = self.tables.now()
        actors = self.tables.read("actor")
        known = {call.label for actor in self.model.actors.values() for call in [*actor.calls, *actor.kept()]}
        found = [(now.name(now.tasks, t), actors["handle"][now.tasks["actor"][t]]) for t in range(1, len(now.tasks))
                 if now.tasks["state"][t]]
        return [(its, bytes(now.objects["id"][i]) if i else None) for its, i in found if its not in known]

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

    def over(self, slot, answer):
        """The operation of a caller is; it may have been its last."""
        if answer is NOTHING:
            del self.callers[slot]
            self.model.leave(slot)

    def callee(self, slot, number):
        """The handle of an actor that one holds, in a list, unless there are too many calls."""
        many = sum(len(actor.calls) for actor in self.model.actors.values()) > MOST_CALLS
        return [] if many else one(number, self.model.held(slot)[0])

    def post(self, slot, handle, arguments, returns):
        """A call; what it returns, or nothing if the caller died of it."""
        data = b"%d" % self.number()
        answer = self.do(slot, "call", handle, (self.index, 0, returns, 0, 0, 0), data, arguments)
        made = self.fresh_tasks()
        assert all(its in (handle, None) for _, its in made) and len(made) <= 1 and (made or answer is NOTHING), made
        ids = () if answer is NOTHING else tuple(answer)
        for its, _ in made:
            self.model.call(handle, slot, Call(its, self.callers[slot], arguments, ids, returns))
        self.over(slot, answer)
        return ids

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
        _core.begin_sweep(self.region, actor.slot)  # what it had not committed is undone then
        _core.wake_all(self.region)
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
        state = _core.actor_facts(region, index)[0]
        comes_back = state == "ALIVE" and actor.lost < actor.back and not actor.killed  # it may be killed before it starts
        while (adopted := _core.adopt_task(region, slot))[0]:
            if comes_back and self.model.runs_again(actor, actor.running):
                _core.requeue_task(region, adopted[0], False, True)
                continue
            for i in _core.task_returns(region, adopted[0]):
                if i:
                    _core.fill_object(region, i, _core.ERROR, (b"it ran", [], [], []))
            _core.finish_task(region, adopted[0])
        if comes_back:
            self.counts["restarts"] += 1
            self.counts["calls that run again"] += len(actor.past)
            _core.restart_actor(region, index)
            self.model.come_back(actor, values)
        elif state != "STARTING" or actor.killed:
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

    def handle_of(self, index):
        return _core.actor_id(self.region, index)

    def rows(self):
        """{label of the handle: the entry's words} of the actors that have a handle."""
        now, rows = self.tables.now(), self.tables.read("actor")
        return {now.name(now.objects, row["handle"]): row for row in rows if row["state"] and row["handle"]}

    def compare(self):
        now, rows, lanes = self.tables.now(), self.rows(), self.tables.read("lane")
        expected = {label(x): actor for x, actor in self.model.actors.items() if x in self.model.things}
        assert rows.keys() == expected.keys()
        for its, actor in expected.items():
            row = rows[its]
            found = STATES[row["state"]], row["slot"], bool(row["flags"] & NAMED)
            wanted = actor.state, actor.slot, bool(actor.name)
            assert found == wanted, f"actor {its}: expected {wanted}, found {found}"
            self.compare_calls(now, row, lanes, actor)
        found = {now.name(now.objects, i): (now.object(i)[0], {*now.object(i)[1]}) for i in now.live}
        for x, thing in self.model.things.items():
            state = "sealed" if thing.value is not None or x in self.model.actors else "pending"
            assert found[label(x)] == (state, thing.holders), f"{label(x)} is {found[label(x)]}"
        counts = self.region.statistics()
        assert counts["tasks"] == sum(len(actor.calls) + len(actor.kept()) for actor in self.model.actors.values())
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
        counts = tuple(row[name] for name in ("nrunning", "ncalls", "nkept", "nagain", "incarnation"))
        kept = len(actor.kept())
        wanted = len(ran), len(actor.calls) + kept, kept, actor.again, actor.lost
        assert counts == wanted, f"actor of {label(actor.handle)}: {counts} instead of {wanted}"
        assert chain(row["past"]) == [call.label for call in actor.past]

    def last_looks(self):
        for slot in self.callers:
            for x in self.model.held(slot)[1]:
                if self.model.things[x].value is not None:
                    assert self.stage.puppets[slot].ask("read", x) == self.model.things[x].value

    def nothing_is_left(self):
        assert not self.model.actors and not self.model.things
        found = self.region.statistics()
        left = dict(actors=0, lanes=0, tasks=0, objects=1)  # the function
        assert {key: found[key] for key in left} == left
        assert found["cpus_free"] == found["cpus"]
