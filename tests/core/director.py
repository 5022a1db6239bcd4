"""The test's side of the state machine: tells puppets what to do, keeps the model, and compares the two.

`do` is one operation of one process, with or without a kill; `check` is what must be true after each.  Every failure tells the
whole story, since a kill may never again come at the same moment.  Neighbours: test_state_machine.py holds the rules,
ledger.py the model, picture.py what the region says, puppet.py the processes.
"""

import os
import time
from collections import Counter

from hypothesis.stateful import RuleBasedStateMachine
from ledger import Ledger, Thing
from picture import Tables, label
from puppet import CPU, NOTHING, PATIENCE_S, Stage

from ray_lite import _core

MOST_PUPPETS = 3
SHAPES = (0, CPU // 2, CPU)  # of tasks


def one(number, choices):
    """One of the choices, in a list; of none, none."""
    return [choices[number % len(choices)]] if choices else []


def shortly(told):
    """An operation in one line."""
    return " ".join(str(short(word)) for word in told)


def short(word):
    if isinstance(word, bytes):
        return label(word) if len(word) == 20 else f"{word[:8]!r}({len(word)})"
    return [short(part) for part in word] if isinstance(word, list | tuple) else word


class Director(RuleBasedStateMachine):
    """A region and up to three processes; this one is their node."""

    counts = Counter()  #: what happened in all examples

    def __init__(self):
        super().__init__()
        self.stage = Stage()
        region = self.stage.region
        _core.set_root(b"root of this machine")
        self.function = self.stage.store.put("puppet")
        self.queues = [_core.demand_queue(region, cpus) for cpus in SHAPES]
        self.model = Ledger(region.slot, region.cpus)
        self.index, _, binary = _core.id_token(self.function)
        value = bytes(_core.payload(region, self.function)[1])
        self.model.things[binary] = Thing(binary, "sealed", {region.slot}, value=value, size=len(value))
        self.tables = Tables(self.stage.files.control)
        self.fuse, self.numbers, self.story, self.sound = None, 0, [], False

    # --- one operation ---

    def do(self, slot, order, outcome, guesses=(None,)):
        """One operation. `outcome(model, answer)` is what it does; `guesses`: answers that a dead process may have owed."""
        fuse = self.begin(slot, order)
        puppet = self.stage.puppets[slot]
        puppet.tell(*order, fuse=fuse)
        if fuse is None:
            answer = puppet.answer()
            outcome(self.model, answer)
            return answer
        answer = puppet.last_answer()
        late = answer is not NOTHING
        self.counts["late fuses" if late else "deaths in operations"] += 1
        outcomes = [] if late else [self.model.copy()]
        for guess in (answer,) if late else guesses:
            outcomes.append(self.model.copy())
            outcome(outcomes[-1], guess)
        for model in outcomes:
            model.die(slot)
        self.stage.bury(slot)
        self.model = self.observed(outcomes)
        return NOTHING

    def begin(self, slot, order):
        """Notes it; the fuse, which is used up."""
        fuse, self.fuse = self.fuse, None
        self.sound = False
        self.counts[order[0]] += 1
        self.story.append((slot, fuse, *order))
        return fuse

    def observed(self, outcomes):
        """The first outcome that is what the region says, else the last, which the next check takes apart."""
        found = self.tables.now().picture()
        for number, model in enumerate(outcomes):
            if model.picture()[:3] == found[:3]:  # the slots can still move: somebody may have been woken
                self.counts["done in spite of the death"] += number > 0
                return model
        return outcomes[-1]

    # --- who, and what with ---

    def free(self):
        """Processes that take orders; a new one if there is none and room for one."""
        free = [slot for slot in self.stage.puppets if not self.model.hands[slot].waits]
        return free if free or len(self.stage.puppets) == MOST_PUPPETS else [self.enter()]

    def actor(self, number):
        """A process that takes orders. None: they all wait."""
        free = self.free()
        return free[number % len(free)] if free else None

    def enter(self):
        slot = self.stage.start()
        self.numbers += 1
        root = b"puppet".ljust(16) + self.numbers.to_bytes(4, "big")
        self.model.enter(slot, root)
        self.story.append((slot, None, "enter"))
        self.stage.puppets[slot].ask("root", root)
        return slot

    def holder(self, number, *states):
        """(process that takes orders, an object that it holds), in a list; empty if there is none."""
        return one(number, [(slot, x) for slot in self.free() for x in self.model.held(slot, *states)])

    def picked(self, slot, numbers):
        """Objects that the process holds, one for each number."""
        held = self.model.held(slot)
        return [held[number % len(held)] for number in numbers] if held else []

    def content(self, size):
        self.numbers += 1
        return (b"%d." % self.numbers).ljust(size, b"*")

    # --- tasks that begin and end ---

    def ending(self, slot, values):
        """What the end of a task does."""

        def outcome(model, answer):
            if answer[0] == "partly":
                model.finish_partly(slot, values, *answer[1:])
                return
            model.finish(slot, values)
            if answer[0] != "helped":
                self.led_into(model, slot, answer)

        return outcome

    def endings(self, slot, values):
        """How the end of a task may be cut short: some returns sealed; ended; ended and the next one taken."""
        hand = self.model.hands[slot]
        returns = self.model.jobs[hand.stack[-1]].returns
        edges = [len(self.model.things[x].edges) for x in reversed(returns)]
        for sealed in range(1, len(returns)):
            for drained in range(edges[sealed - 1] + 1):
                yield "partly", sealed, drained
        if len(hand.stack) > 1:
            yield ("helped",)
            return
        after = self.model.copy()
        after.finish(slot, values)
        yield ("idle",)
        for t in after.heads():
            yield "took", t, None, None

    def led_into(self, model, slot, answer):
        """The task that was taken is the first of its shape and fits; if none was taken, none fits."""
        certain, possible = self.free_cpus(model)
        if answer[0] == "idle":
            model.hands[slot].idle = True
            fitting = [label(t) for t in model.heads() if model.jobs[t].cpus == 0 or model.jobs[t].cpus <= certain]
            assert not fitting or model is not self.model, f"slot {slot} stands idle, and could run {fitting}"
            return
        _, t, data, values = answer
        assert t in model.heads(), f"slot {slot} took {label(t)}, which is not the first of its queue"
        if data is not None:
            assert model.jobs[t].cpus == 0 or model.jobs[t].cpus <= possible, f"{label(t)} does not fit"
            self.brought(model, t, data, values)
        model.take(slot, t)

    def free_cpus(self, model):
        """For certain, and perhaps: somebody whose wait just ended may have taken his own back meanwhile."""
        woken = [model.hands[slot] for slot in model.satisfied()]
        return model.free() - sum(hand.held for hand in woken if hand.blocked), model.free()

    def brought(self, model, t, data, values):
        """A task gets its arguments: those in the record, and the values of those that are ids."""
        job = model.jobs[t]
        assert data == job.data, f"task {label(t)} has other arguments"
        for x, value in zip(job.arguments, values, strict=True):
            assert value == model.value(x), f"argument {label(x)} of {label(t)}"

    def helping(self, slot, x):
        """What helping with an awaited object does."""

        def outcome(model, answer):
            job, must = model.jobs[model.things[x].task], model.may_help(slot, x)
            if answer[0] == "none":
                assert not must or model is not self.model, f"slot {slot} does not help with {label(job.id)}"
                return
            _, t, data, values = answer
            if data is not None:
                assert not must or t == job.id, f"slot {slot} helps with {label(t)} instead of {label(job.id)}"
                self.brought(model, t, data, values)
            model.take(slot, t, helps=x)

        return outcome

    # --- sleep ---

    def sleep(self, slot, ids, allowed):
        """Until enough is there; without its CPUs when it has a task."""
        if self.model.hands[slot].stack and not self.gives_way(slot):
            return
        order = "wait", ids, allowed, self.model.hands[slot].blocked
        if self.fuse is not None:
            self.do(slot, order, lambda model, answer: model.wait_over(slot))
            return
        self.begin(slot, order)
        self.stage.puppets[slot].tell(*order)
        self.model.hands[slot].waits = ids, allowed
        if slot not in self.model.satisfied():
            self.counts["sleeps"] += 1
            self.until(lambda: self.tables.slot(slot, "waiting") == 1, "the process sleeps")

    def gives_way(self, slot):
        """Whether it is still there after giving its CPUs back."""
        return self.do(slot, ("block",), lambda model, answer: model.block(slot)) is not NOTHING

    def until(self, condition, what):
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, f"{what}: not within {PATIENCE_S} s"
            os.sched_yield()

    # --- what must be true ---

    def check(self):
        try:
            for slot in self.model.satisfied():
                assert self.stage.puppets[slot].answer() is True
                self.model.wait_over(slot)
            self.stage.region.check()
            reading = self.tables.now()
            differences = list(self.model.picture().differences(reading.picture()))
            assert not differences, "\n".join(differences)
            self.model.learn(reading.places())
            self.count()
        except AssertionError as wrong:
            raise AssertionError(f"{wrong}\nafter (slot, fuse, order):\n" + "\n".join(map(shortly, self.story))) from wrong

    def count(self):
        found, model = self.stage.region.statistics(), self.model
        expected = {
            "objects": len(model.things),
            "tasks": len(model.jobs),
            "refs": sum(model.pins().values()),
            "bytes_used": model.bytes_used(),
            "ready": sum(map(len, model.queues.values())),
            "slots": len(model.hands),
            "cpus_free": model.free() / CPU,
            "starting": 0,
            "poisoned": False,
        }
        assert {key: found[key] for key in expected} == expected
        assert found["longest_section"] <= 64
        _, resting, coming, _, fits, _ = _core.can_start(self.stage.region)
        idle = sum(hand.idle for hand in model.hands.values())
        assert resting + coming == idle, f"{resting} rest and {coming} are rung, not {idle}"
        assert not (fits and resting), "a task fits, and a worker that nobody rang rests"

    def last_looks(self):
        """What is sealed and held is there, byte for byte."""
        for slot, puppet in self.stage.puppets.items():
            for x in [] if self.model.hands[slot].waits else self.model.held(slot, "sealed"):
                assert puppet.ask("read", x) == self.model.value(x), f"{label(x)} in slot {slot}"

    def nothing_is_left(self):
        """With nobody alive and nothing queued all is free but the function; without that, all."""
        assert self.stage.region.statistics()["objects"] == 1
        self.function = None
        found = self.stage.region.statistics()
        nothing = ("objects", "tasks", "refs", "bytes_used", "ready", "idle")
        assert {key: found[key] for key in nothing} == dict.fromkeys(nothing, 0)
        assert found["slots"] == 1 and found["cpus_free"] == found["cpus"]
        self.stage.region.check()

    def close(self):
        self.counts["recoveries"] += self.stage.region.statistics()["recoveries"]
        self.function = None
        self.stage.close()
