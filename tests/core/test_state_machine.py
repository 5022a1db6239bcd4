"""Random operations of real processes, killed between and during them, against a plain model; a failure shrinks.

Each rule is one operation of one process (puppet.py), driven over a pipe; after it the region must agree with the model
(ledger.py) word for word (picture.py), pass fsck, and count the same.  A fuse arms a kill: the next operation's process dies
so many nanoseconds after it began, and whatever it had done by then must be one of the outcomes that the model allows.

All draws are plain numbers, whatever the state is: what a kill leaves depends on its moment, and hypothesis must be able to
replay its choices all the same.  A rule that finds nothing to act on makes something, so that no step is wasted.
CI takes its examples from a fixed seed; RAY_LITE_MACHINE_EXAMPLES=n draws n new ones.
"""

import os
import signal

import pytest
from director import MOST_PUPPETS, SHAPES, Director, one
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from ledger import UNLIMITED
from machines import EXAMPLES, run
from puppet import NOTHING

STEPS = 40
NUMBER = st.integers(0, 255)
NUMBERS = st.lists(NUMBER, max_size=4)
SIZE = st.sampled_from((7, 30, 41, 200, 700, 5000, 33_000, 70_000))
RETURNS = st.sampled_from((1, 1, 2, 3, 0, 30))
RETRIES = st.sampled_from((0, 1, 3, UNLIMITED))
ENDS = st.sampled_from(("kill", "kill", "terminate", "leave"))
SMALL = 7


class Machine(Director):
    """The rules."""

    @initialize(number=st.integers(1, MOST_PUPPETS))
    def open_the_stage(self, number):
        for _ in range(number):
            self.enter()

    # --- objects ---

    @rule(who=NUMBER, inside=NUMBERS, size=SIZE, sealed=st.integers(0, 3))
    def put(self, who, inside, size, sealed):
        """One in four stays unsealed."""
        slot = self.actor(who)
        if slot is None:
            return
        data, contents = self.content(size), self.picked(slot, inside)

        def outcome(model, answer):
            x = model.put(slot, data, contents, sealed < 3)
            assert answer in (None, x)

        self.do(slot, ("put", data, contents, sealed < 3), outcome)

    @rule(which=NUMBER)
    def seal(self, which):
        for slot, x in self.holder(which, "creating"):
            self.do(slot, ("seal", x), lambda model, _, x=x: model.seal_own(x))
            return
        self.put(which, [which], SMALL, sealed=3)

    @rule(who=NUMBER, which=NUMBER, bare=st.booleans())
    def get(self, who, which, bare):
        """Of any object that lives: its id came from somewhere, in a pickle or bare."""
        slot = self.actor(who)
        if slot is None:
            return
        known = [x for x, thing in self.model.things.items() if thing.place and thing.state != "creating"]
        x = known[which % len(known)]

        def outcome(model, answer):
            model.hold(slot, x)
            assert answer in (None, ("got", model.value(x)))

        self.do(slot, ("get", self.model.things[x].place, bare), outcome)

    @rule(who=NUMBER, which=NUMBER, bare=st.booleans())
    def get_what_is_gone(self, who, which, bare):
        slot = self.actor(who)
        if slot is None or not self.model.gone:
            self.get(who, which, bare)
            return
        place = self.model.gone[which % len(self.model.gone)]
        answer = self.do(slot, ("get", place, bare), lambda model, _: None)
        assert answer is NOTHING or answer[0] == "lost"

    @rule(which=NUMBER)
    def release(self, which):
        for slot, x in self.holder(which, "pending", "creating", "sealed"):
            if x not in self.model.hands[slot].helps:
                self.do(slot, ("release", x), lambda model, _, slot=slot, x=x: model.release(slot, x))
            return
        self.put(which, [], SMALL, sealed=0)

    @rule(which=NUMBER)
    def expose(self, which):
        for slot, x in self.holder(which):
            self.do(slot, ("expose", x), lambda model, _, x=x: model.expose(x))
            return
        self.put(which, [], SMALL, sealed=0)

    @rule(who=NUMBER, rounds=st.integers(1, 40), size=SIZE)
    def churn(self, who, rounds, size):
        """So much inside the core that a kill meets it there; nothing of it stays."""
        slot = self.actor(who)
        if slot is not None:
            self.do(slot, ("churn", rounds, min(size, 5000)), lambda model, _: None)

    # --- tasks ---

    @rule(who=NUMBER, of=NUMBERS, shape=st.integers(0, len(SHAPES) - 1), returns=RETURNS, retries=RETRIES, size=SIZE)
    def submit(self, who, of, shape, returns, retries, size):
        slot = self.actor(who)
        if slot is None:
            return
        data, arguments = self.content(size), self.picked(slot, of)
        record = self.index, self.queues[shape], returns, retries, 0, 0

        def outcome(model, answer):
            ids = model.submit(slot, (arguments, returns, SHAPES[shape], retries, data))
            assert answer in (None, ids)

        self.do(slot, ("submit", record, data, arguments), outcome)

    @rule(who=NUMBER, size=SIZE)
    def work(self, who, size):
        """Takes a task; or ends the one at hand, and takes the next in the same step."""
        slot = self.actor(who)
        if slot is None:
            return
        stack = self.model.hands[slot].stack
        if stack:
            values = [self.content(size) for _ in self.model.jobs[stack[-1]].returns]
            self.do(slot, ("finish", values), self.ending(slot, values), self.endings(slot, values))
            return
        taken = [("took", t, None, None) for t in self.model.heads()]
        self.do(slot, ("work",), lambda model, answer: self.led_into(model, slot, answer), [("idle",), *taken])

    @rule(which=NUMBER)
    def help(self, which):
        """Runs in place what an object waits for."""
        at_work = [slot for slot in self.free() if self.model.hands[slot].stack]
        pairs = [(slot, x) for slot in at_work for x in self.model.held(slot, "pending")]
        children = [(slot, x) for slot, x in pairs if self.model.may_help(slot, x)]
        for slot, x in one(which, children or pairs):
            ready = [("took", t, None, None) for t, job in self.model.jobs.items() if job.state == "ready"]
            self.do(slot, ("help", x), self.helping(slot, x), [("none",), *ready])
            return
        if at_work:  # a child, for the next time
            self.submit(self.free().index(at_work[0]), [], 0, 1, UNLIMITED, SMALL)
        else:
            self.work(which, SMALL)

    @rule(which=NUMBER, others=NUMBERS, allowed=st.sampled_from((0, 0, 1, 2)))
    def wait(self, which, others, allowed):
        for slot, x in self.holder(which, "pending"):
            self.sleep(slot, sorted({x, *self.picked(slot, others)}), allowed)
            return
        self.submit(which, others, 1, 1, 1, SMALL)

    # --- processes ---

    @rule(nanoseconds=st.integers(0, 67).map(lambda n: n**3))
    def light_the_fuse(self, nanoseconds):
        """The next operation, or the next process's first steps, end by a kill after at most 300 us."""
        self.fuse = nanoseconds

    @rule(whatever=NUMBER)  # a rule without a draw would be drawn too often
    def respawn(self, whatever):
        if len(self.stage.puppets) == MOST_PUPPETS:
            self.work(whatever, SMALL)
        elif self.fuse is None:
            self.enter()
        else:
            fuse = self.begin(0, ("enter",))
            self.stage.bury(self.stage.start(fuse))

    @rule(whom=st.lists(st.tuples(NUMBER, ENDS), min_size=1, max_size=2))
    def kill(self, whom):
        """One or two die, then they are buried."""
        ends = {}
        for number, how in whom:
            for slot in one(number, [slot for slot in self.stage.puppets if slot not in ends]):
                ends[slot] = self.end(slot, how)
        for slot, outside in ends.items():
            self.stage.bury(slot)
            self.model.die(slot, outside)
            self.check()

    def end(self, slot, how):
        """Ends a process; whether from outside."""
        self.sound = False
        self.counts[how] += 1
        self.story.append((slot, None, how))
        puppet, hand = self.stage.puppets[slot], self.model.hands[slot]
        if how == "leave" and not hand.waits:
            puppet.tell("leave", 3)
            return False
        hand.waits = None
        os.kill(puppet.pid, signal.SIGTERM if how == "terminate" else signal.SIGKILL)
        return True

    # --- after each, and at the end ---

    @invariant()
    def the_region_is_what_the_model_says(self):
        self.check()
        self.sound = True

    def teardown(self):
        """All die; one more runs what they have left, and dies."""
        try:
            if self.sound:
                self.fuse = None
                self.last_looks()
                self.kill([(0, "kill")] * MOST_PUPPETS)
                while self.model.jobs:
                    self.work(0, SMALL)
                    self.check()
                self.kill([(0, "kill")])
                self.nothing_is_left()
        finally:
            self.close()


@pytest.mark.slow
@pytest.mark.watchdog(900)  # a failure takes as long as its shrinking
def test_random_operations_and_kills_agree_with_a_model():
    run(Machine, STEPS)
    if not EXAMPLES:
        assert Machine.counts["deaths in operations"] and Machine.counts["sleeps"] and Machine.counts["help"]
