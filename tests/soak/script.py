"""What a driver is told to do: random orders of every kind, each with what the model expects of its answer.

Arguments are picked among what the driver holds, whatever state that is in.  Neighbours: play.py sends and collects, model.py
judges.  Must not look at processes or at the clock.
"""

import math

import actor_script
import values
from actor_model import CALLS
from model import SURE, Failed, Task

MOST_HELD, KEPT = 40, 14
MOST_HELD_SPILLING, KEPT_SPILLING = 90, 40
VIEWED_MOST = 3_000_000  # bytes of arrays that are kept where the store is small
MOST_HUGE = 2
ARRAYS = (("array",), ("strided",))
PAUSES = (0, 0, 0, 0.001, 0.004, 0.015, -0.001, -0.004)  # of tasks, in seconds; below zero: busy
RETRIES = (0, 1, 3, SURE, SURE)
DEMANDS = (
    {"num_cpus": 0.5}, {"num_cpus": 0, "resources": {"disk": 1}}, {"resources": {"disk": 0.5, "tape": 1}}, {"max_calls": 3},
    {"num_gpus": 1}, {"num_cpus": 0, "num_gpus": 0.5},
)
VERBS = {
    "put": 6, "put_box": 3, "make": 8, "chain": 3, "several": 3, "box": 3, "tree": 4, "churn_there": 3, "print_lines": 2,
    "fail": 1, "flaky": 2, "cancel": 3, "inspect": 1, "from_threads": 2, "gather": 3, "wait": 3, "get_late": 2,
    "interruptible": 4, "view": 2, "drop": 3,
    "churn_here": 2, "write": 2, "scribble": 3, "hoard": 3,
}


def shuffled(deck, rng):
    """The kinds of a deck in random order, so many of each; every kind once before any comes again."""
    once, more = list(deck), [kind for kind, number in deck.items() for _ in range(number - 1)]
    rng.shuffle(once)
    rng.shuffle(more)
    return once + more


class Script:
    """Of one session.

    Args:
        play: has rng, model, lane, silent, tell(verb, ..., then=).
    """

    def __init__(self, play):
        self.play, self.rng, self.model = play, play.rng, play.model
        self.interruptible_open = False
        self.actors = actor_script.ActorScript(self)

    def compose(self, number):
        """Tells the driver so many orders."""
        self.interruptible_open = False
        verbs = {**dict.fromkeys(VERBS, self), **dict.fromkeys(actor_script.VERBS, self.actors)}
        weights = [*VERBS.values(), *actor_script.VERBS.values()]
        for name in self.rng.choices(list(verbs), weights, k=number):
            getattr(verbs[name], name)()
        most, kept = (MOST_HELD_SPILLING, KEPT_SPILLING) if self.play.spills else (MOST_HELD, KEPT)
        if len(self.model.held) > most:
            self.drop(len(self.model.held) - kept)

    # --- what to pick ---

    def recipe(self):
        if self.play.spills:
            return self.rng.choice(values.LARGE if self.rng.random() < 0.5 else values.DROPLETS)
        huge = [label for label in self.model.held if self.model.things[label].cost[1] in values.HUGE]
        if len(huge) < MOST_HUGE and self.rng.random() < 0.03:
            return self.rng.choice(values.HUGE)
        return self.rng.choice(values.RECIPES if self.rng.random() < 0.5 else values.DROPLETS)

    def some(self, most, sure=False):
        """Labels of what the driver holds."""
        held = sorted(label for label in self.model.held if not sure or self.model.sure(label))
        return tuple(self.rng.sample(held, min(len(held), self.rng.randint(0, most))))

    # --- storing ---

    def put(self):
        self._put(self.recipe(), ())

    def put_box(self):
        self._put(self.rng.choice(values.BOXES), self.some(2, sure=True))

    def hoard(self):
        """Much at once, where what does not fit into the store is spilled."""
        for _ in range(self.rng.randint(8, 40) if self.play.spills else 1):
            self._put(self.rng.choice(values.LARGE), ())

    def _put(self, recipe, inside):
        recipe = recipe if not inside else self.rng.choice(values.BOXES)
        label, salt = self.play.lane.label(), self.rng.getrandbits(32)
        self.model.put(label, recipe, salt, inside)
        self.play.tell("put", label, recipe, salt, inside)

    # --- calling ---

    def task(self, function, plain, count=1, **facts):
        """An order for `call`; the model knows of it."""
        label = self.play.lane.label()
        labels = [label] if count == 1 else [f"{label}.{k}" for k in range(count)]
        task = Task(function, label, **facts)
        self.model.call(task, labels)
        options = {"max_retries": task.retries}
        if count != 1:
            options["num_return_vals"] = count
        if function == "scribble":
            options["writable_args"] = True
        if function == "tree" and self.rng.random() < 0.3:
            options["inline"] = False
        if function == "flaky":
            options["retry_exceptions"] = ValueError
        if "me" not in plain and self.rng.random() < 0.25:  # what a child would wait for while its parent holds it
            options |= self.rng.choice(DEMANDS)
        return function, labels, (label, *plain), task.of, options

    def call(self, *words, **facts):
        order = self.task(*words, **facts)
        self.play.tell("call", order)
        return order[1]

    def _make(self, recipe, of, function="make"):
        return self.task(function, (recipe, self.rng.choice(PAUSES)), recipe=recipe, of=of, retries=self.rng.choice(RETRIES))

    def make(self):
        self.play.tell("call", self._make(self.recipe(), self.some(3)))

    def scribble(self):
        self.play.tell("call", self._make(self.recipe(), self.some(3), "scribble"))

    def chain(self):
        of = self.some(1)
        for _ in range(self.rng.randint(2, 5)):
            order = self._make(self.rng.choice(values.DROPLETS), of)
            self.play.tell("call", order)
            of = (order[1][0],)

    def several(self):
        recipe, count = self.rng.choice(values.RECIPES[:-4]), self.rng.randint(2, 4)
        self.call("several", (recipe, count), count, recipe=recipe, of=self.some(1), retries=self.rng.choice(RETRIES))

    def box(self):
        recipe = self.rng.choice(values.BOXES)
        self.call("box", (recipe, self.rng.choice(PAUSES)), recipe=recipe, of=self.some(1), retries=self.rng.choice(RETRIES))

    def tree(self):
        depth, fan = self.rng.choice(((1, 2), (2, 2), (1, 4), (3, 2), (6, 1), (2, 3)))
        self.call("tree", ("me", depth, fan, self.rng.choice(PAUSES[:6]) / 4), shape=(depth, fan))

    def churn_there(self):
        self.call("churn", ("me", self.rng.randint(1, 200)))

    def print_lines(self):
        self.call("printing", (self.rng.randint(1, 40),), retries=self.rng.choice(RETRIES))

    def fail(self):
        if self.play.silent:  # else the trace-back is shown, and taken for one of ours
            self.call("raising", (), retries=self.rng.choice(RETRIES))

    def flaky(self):
        self.call("flaky", (self.rng.randint(1, 4),))

    def cancel(self):
        """Some of what is there, whether it is queued, runs or has ended; at times by force."""
        labels = self.some(3)
        force = self.play.forces and self.rng.random() < 0.5 and not any(self.is_call(label) for label in labels)
        self.model.cancel(labels, force)
        self.play.tell("cancel", labels, force, self.rng.random() < 0.3, then=self._count_cancelled)

    def is_call(self, label):
        """Whether it is returned by a call of an actor, which can't be cancelled by force."""
        task = self.model.things[label].task
        return bool(task) and task.function in CALLS

    def _count_cancelled(self, answer):
        labels, when = answer
        self.model.mark(labels, when)
        self.play.record.counts["tasks cancelled"] += len(labels)

    def inspect(self):
        self.call("inspecting", ())

    def from_threads(self):
        arguments = [self.some(1) for _ in range(self.rng.randint(4, 24))]  # none of one another's
        orders = [self._make(self.rng.choice(values.DROPLETS), of) for of in arguments]
        self.play.tell("calls", orders, self.rng.randint(2, 4))

    # --- looking ---

    def gather(self):
        labels = self.some(6, sure=True)
        self.play.tell("gather", labels, then=lambda digests: self._compare(labels, digests))

    def _compare(self, labels, digests):
        for label, digest in zip(labels, digests, strict=True):
            self.play.learn(label, ("value", digest))

    def wait(self):
        labels = self.some(6)
        if labels:
            number, timeout = self.rng.randint(1, len(labels)), self.rng.choice((0, 1, 20, None))
            self.play.tell("wait", labels, number, timeout, then=lambda parts: self._judge_wait(labels, number, timeout, parts))

    def _judge_wait(self, labels, number, timeout, parts):
        done, left = parts
        order = {label: place for place, label in enumerate(labels)}
        sound = sorted([*done, *left]) == sorted(labels) and all(part == sorted(part, key=order.get) for part in parts)
        if not sound or len(done) > number or timeout is None and len(done) < number:
            raise Failed(f"wait({labels}, {number}, {timeout}) answered {parts}")

    def get_late(self):
        for label in self.some(1, sure=True):
            self.play.tell("get_late", label, self.rng.choice((0.0005, 0.003, 0.02)),
                           then=lambda found, label=label: found is None or self.play.learn(label, ("value", found)))

    def interruptible(self):
        """The runner sends Ctrl-C meanwhile."""
        labels = self.some(6, sure=True)
        if not labels:
            return
        self.interruptible_open = True
        if self.rng.random() < 0.5:
            self.play.tell("interruptible", labels, then=self._count_interrupt)
            return
        self.play.tell("interruptible_get", labels, then=lambda answer: (
            self._count_interrupt(answer[0]) or answer[0] or self._compare(labels, answer[1])))

    def _count_interrupt(self, came):
        self.play.record.counts["calls interrupted by Ctrl-C"] += came

    def an_array(self):
        """The label of an array that may be kept, or none."""
        sizes = {label: thing.cost[1][1] for label, thing in self.model.things.items() if thing.cost[1][:1] in ARRAYS}
        room = VIEWED_MOST - sum(sizes[label] for label in self.model.views.values()) if self.play.spills else math.inf
        arrays = [label for label in sorted(self.model.held & sizes.keys()) if sizes[label] <= room and self.model.sure(label)]
        return self.rng.choice(arrays) if arrays else ""

    def view(self):
        label = self.an_array()
        if label:
            name = self.play.lane.label()
            self.model.view(name, label)
            self.play.tell("view", name, label)

    def write(self):
        """A writable array is the driver's own: the object stays as it is."""
        label = self.an_array()
        if label:
            name, ink = self.play.lane.label(), self.rng.getrandbits(32)
            self.model.view(name, label, ink)
            self.play.tell("write", name, label, ink, then=lambda digests: self._judge_write(label, digests))

    def _judge_write(self, label, digests):
        self._compare((label, label), digests)
        self.play.record.counts["arrays written to by drivers"] += 1

    def drop(self, number=3):
        labels = self.rng.sample(sorted(self.model.held), min(len(self.model.held), number))
        views = [name for name in sorted(self.model.views) if self.rng.random() < 0.2]
        self.model.drop(labels, views)
        self.play.tell("drop", labels, views)

    def churn_here(self):
        self.play.tell("churn", self.rng.randint(1, 120))
