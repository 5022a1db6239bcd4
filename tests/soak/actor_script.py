"""What a driver is told to do with actors: random orders, each with what the model expects of its answer.

Neighbours: script.py owns it, actor_model.py judges.  Must not look at processes or at the clock.
"""

import values
from actor_model import ALWAYS, CALLER, number
from model import Failed, Task

MOST = 3  # actors of which the driver has a handle; so many seats are there, too
SEATS = "seat"  # the resource that some hold for life
NAMES = ("ann", "ben")
SHAPES = ({}, {}, {"num_cpus": 0}, {"num_cpus": 0, "resources": {SEATS: 1}})
RESTARTS = (
    {}, {"max_restarts": ALWAYS}, {"max_restarts": 2}, {"checkpoint_interval": 3, "max_restarts": 2},
    *({"checkpoint_interval": interval, "max_restarts": ALWAYS} for interval in (1, 4, 25, 10_000)),
)
PAUSES = (0, 0, 0, 0.001, 0.004, -0.001)
VERBS = {"create": 4, "act": 14, "acts": 3, "burst": 3, "call_there": 5, "slay": 1, "forget": 1, "bad": 1, "save": 2, "leap": 1}


class ActorScript:
    """Of one session.

    Args:
        script: has rng, model, play, some().
    """

    def __init__(self, script):
        self.script, self.play, self.rng, self.model = script, script.play, script.rng, script.model

    # --- their lives ---

    def create(self, fails=False):
        """One more, if there may be one; at times with a name, which another may have."""
        if len(self.model.actors.labels()) >= MOST:
            return
        label, name = self.play.lane.label(), self.rng.choice((None, None, *NAMES)) if not fails else None
        options = {**self.rng.choice(SHAPES), **self.rng.choice(RESTARTS)}
        self.model.actors.create(label, name, fails, "checkpoint_interval" in options, options.get("max_restarts", 0))
        options |= {} if name is None else {"name": name, "get_if_exists": True}
        hooked = name == NAMES[1] or name is None and self.rng.random() < 0.5  # all of one name are of one class
        self.play.tell("create", label, fails, options, hooked, then=lambda id: self.model.actors.resolve(label, id))
        self.play.record.counts["actors created"] += 1

    def bad(self):
        """One whose constructor raises."""
        if self.play.silent:  # else the trace-back is shown, and taken for one of ours
            self.create(fails=True)

    def slay(self):
        if handle := self.one():
            self.model.actors.kill(handle, number(self.play.lane.label()))
            self.play.tell("slay", handle)
            self.play.record.counts["actors killed by ray.kill"] += 1

    def forget(self):
        """Loses a handle: the actor ends after its calls."""
        if handle := self.one():
            self.model.actors.drop(handle)
            self.play.tell("forget", [handle])
            self.play.record.counts["handles of actors lost"] += 1

    def save(self):
        """Asks for a checkpoint, and does not wait for it."""
        if handle := self.saver():
            self.save_one(handle)

    def saver(self):
        """The label of an actor with checkpoints, or none. One without an id yet may be another one, of its name."""
        return self.one(lambda actor: actor.keeps and actor.id)

    def save_one(self, handle):
        self.play.tell("save", [handle], then=self._saved)

    def _saved(self, raised):
        self.play.read_log()
        for handle, (kind, text) in raised.items():
            if "RayActorError" not in kind or not self.model.actors.explains(handle, text):
                raise Failed(f"no checkpoint could be made of actor {handle}: {kind}: {text}")

    def one(self, whose=lambda actor: True):
        """The label of a handle, or none. `whose`: tells whether an actor will do."""
        actors = self.model.actors
        labels = [label for label in actors.labels() if whose(actors.handles[label])]
        return self.rng.choice(labels) if labels else ""

    # --- calls ---

    def act(self):
        if not (handle := self.one()):
            return self.create()
        recipe = self.rng.choice(values.RECIPES[:-2] if self.rng.random() < 0.2 else values.DROPLETS)
        return self.call("act", handle, (recipe, self.rng.choice(PAUSES)), recipe=recipe, of=self.script.some(2))

    def acts(self):
        if handle := self.one():
            recipe = self.rng.choice(values.DROPLETS)
            self.call("acts", handle, (recipe, self.rng.choice(PAUSES)), recipe=recipe, of=self.script.some(1))

    def burst(self):
        """Many calls at once, the first of which may lack its argument."""
        if handle := self.one():
            for k in range(self.rng.randint(5, 40)):
                recipe = self.rng.choice(values.DROPLETS)
                self.call("act", handle, (recipe, 0), recipe=recipe, of=self.script.some(1) if k % 8 == 0 else ())

    def call(self, method, handle, plain, **facts):
        """An order for a call of a method."""
        label = self.play.lane.label()
        labels = [f"{label}.{k}" for k in range(2)] if method == "acts" else [label]
        task = Task(method, label, retries=0, handle=handle, **facts)
        self.model.call(task, labels)
        self.model.actors.call(handle, task)
        self.play.tell("act", method, handle, labels, (label, CALLER, number(label), *plain), task.of)
        return task

    def leap(self):
        """A call that ends its process; at times amidst others. Of an actor that has an id: one without may be another one."""
        if handle := self.one(lambda actor: actor.restarts and actor.id):
            self.call("leap", handle, ())
            self.play.record.counts["calls that end their process"] += 1

    def churn(self, rounds):
        """A call that stays inside the core, for the killer's sake; its actor's handle."""
        if handle := self.one():
            self.call("churn_in", handle, (rounds,))
        return handle

    def call_there(self):
        """A task that calls an actor."""
        if handle := self.one():
            label, count = self.play.lane.label(), self.rng.randint(1, 9)
            task = Task("calling", label, shape=(count,), handle=handle)
            self.model.call(task, [label])
            self.play.tell("call", ("calling", [label], (label, ("actor", handle), count, self.rng.choice(PAUSES[:5])), (), {
                "max_retries": task.retries}))
