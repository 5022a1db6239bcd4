"""What must be true of one session: the value behind every id that its driver holds, what that costs, who may have run what.

    held ids and views -> things -> the values in them, or the task that returns them -> its arguments

The runner owns it; drivers only tell what they see.  A task that could be killed too often may have failed instead: `learn`
says whether that was possible.  Neighbours: play.py keeps it, values.py makes digests.  Pure: no processes, no clock.
"""

import math
import re
from dataclasses import dataclass, field

import values
from actor_model import CALLS, Actors
from verdict import BARE, Failed

from ray_lite.policy.attempt_ends import End, Follows, follows

SURE = 1000  # retries of tasks that no number of kills shall make fail
CANCELLED = ("TaskCancelledError", "RayTaskError(TaskCancelledError)")  # the second, where a task got a cancelled one's result
RAISE = {"raising": End.ERROR, "flaky": End.RETRIED_ERROR}  # how the tasks that raise ValueError end an attempt
NESTED = ("tree", "churn")  # an outer task of a dead worker runs again, uncounted


@dataclass
class Task:
    """A call that the driver made."""

    function: str
    label: str
    recipe: tuple = ()
    of: tuple = ()  #: labels of arguments
    retries: int = SURE
    shape: tuple = ()  #: depth and fan of a tree, children of a forking, calls of a calling
    handle: str = ""  #: label of the actor that it calls, or whose call it is
    cancelled: bool = False
    marked: float = math.inf  #: when it had been cancelled for certain, before it ended; in nanoseconds
    attempts: list = field(default_factory=list)  #: (pid, when) of those that began, as far as they got

    @property
    def sure(self):
        return self.retries == SURE and self.function not in ("raising", "hog") and not self.handle and not self.cancelled


@dataclass
class Thing:
    """An object behind an id of the driver's."""

    label: str
    cost: tuple  #: key into the costs
    inside: tuple = ()  #: labels of ids in it
    recipe: tuple = ()
    salt: int = 0
    task: Task = None
    number: int = 0  #: among the task's returns
    outcome: tuple = None  #: once it is known
    digest: int = None


class Model:
    """One session's.

    Args:
        costs: (objects, bytes) by kind of thing, as measured in peace.
    """

    def __init__(self, costs):
        self.costs = costs
        self.things, self.held, self.views, self.tasks = {}, set(), {}, {}
        self.inks = {}  # by the names of views that the driver wrote to: the salt of that
        self.mortal = set()  # pids that were killed or stopped by the runner
        self.actors = Actors(self.mortal)
        self.base = {"objects": 0, "bytes": 0}
        self.forced = False  # a cancellation may have killed any worker

    # --- what happens ---

    def put(self, label, recipe, salt, inside):
        cost = "put", recipe, len(inside)
        self.things[label] = Thing(label, cost, tuple(inside), recipe, salt)
        self.held.add(label)

    def call(self, task, labels):
        self.tasks[task.label] = task
        for number, label in enumerate(labels):
            self.things[label] = Thing(label, (task.function, task.recipe, 0), task=task, number=number)
            self.held.add(label)

    def cancel(self, labels, force):
        """These tasks may fail of that from now on."""
        self.forced |= force
        for label in labels:
            if self.things[label].task:
                self.things[label].task.cancelled = True

    def mark(self, labels, when):
        """These tasks had not ended when they were cancelled, before this time."""
        for label in labels:
            task = self.things[label].task
            task.marked = min(task.marked, when)

    def view(self, name, label, ink=None):
        self.views[name] = label
        if ink is not None:
            self.inks[name] = ink

    def drop(self, labels, views=()):
        self.held.difference_update(labels)
        for name in views:
            del self.views[name]
            self.inks.pop(name, None)

    def attempt(self, label, pid, when):
        """An attempt of a task began."""
        if label not in self.tasks:
            raise Failed(f"task {label} ran, but nobody called it")
        self.tasks[label].attempts.append((pid, when))

    # --- what must be ---

    def reachable(self):
        """Labels of the things that are alive once all tasks are done."""
        found, todo = set(), [*self.held, *self.views.values()]
        while todo:
            label = todo.pop()
            if label not in found:
                found.add(label)
                todo += self.things[label].inside
        return found

    def counts(self):
        """What the session's statistics must say once it is quiet."""
        every = [self.costs[self.things[label].cost] for label in self.reachable()]
        actors = self.actors.held()
        every += [self.costs["actor that comes back" if one.restarts else "actor"] for one in actors]
        keep = [one for one in actors if one.keeps]  # the last checkpoint, as large as the log is long, and the call for it
        counts = {
            "tasks": sum(one.restarts > 0 for one in actors), "ready": 0, "actors": len(actors), "lanes": 0,
            "objects": self.base["objects"] + len(keep) + sum(objects for objects, _ in every),
        }
        if not keep:
            counts["bytes"] = self.base["bytes"] + sum(size for _, size in every)
        return counts if every else {**counts, "bytes_spilled": 0}

    def expected(self, label):
        """The digest of a value."""
        thing = self.things[label]
        if thing.digest is None:
            thing.digest = self.result(thing) if thing.task else self.stored(thing)
        return thing.digest

    def stored(self, thing):
        own = values.digest(values.build(*self.words(thing)))
        return values.mix("list", [own, *map(self.expected, thing.inside)]) if thing.inside else own

    def result(self, thing):
        """Of a task."""
        task = thing.task
        if task.function == "tree":
            return values.digest(tree_value(task.label, *task.shape))
        if task.function in ("churn", "churn_in"):
            return values.digest(values.mix("churned", 0))
        if task.function in ("forking", "spawning"):
            codes = range(task.shape[0]) if task.function == "forking" else [0] * task.shape[0]
            return values.digest(values.mix(list(codes)))
        if not task.recipe:
            return values.digest(values.mix(task.label))
        salt = values.mix(task.label, [self.expected(one) for one in task.of])
        if task.function == "box":
            return values.mix("list", [values.digest(values.build(*task.recipe, salt + k)) for k in (0, 1)])
        return values.digest(values.build(*self.words(thing)))

    def words(self, thing):
        """What builds a value that is of one piece."""
        if thing.task is None:
            return *thing.recipe, thing.salt
        salt = values.mix(thing.task.label, [self.expected(one) for one in thing.task.of])
        return *thing.task.recipe, salt + thing.number

    def expected_view(self, name):
        """The digest of an array that the driver keeps."""
        if name not in self.inks:
            return self.expected(self.views[name])
        array = values.build(*self.words(self.things[self.views[name]]))
        values.scribble(array, self.inks[name])
        return values.digest(array)

    def sure(self, label):
        """Whether nothing that happens to workers can make it fail."""
        thing = self.things[label]
        mine = thing.task is None or thing.task.sure and all(map(self.sure, thing.task.of))
        return mine and all(map(self.sure, thing.inside))

    # --- what was seen ---

    def learn(self, label, outcome):
        """The driver read an object: a digest, or an error."""
        thing = self.things[label]
        if outcome[0] == "value":
            if thing.task and thing.task.function in ("raising", "hog", "leap"):
                raise Failed(f"{self.say(label)} has a value, though its task can't return")
            if outcome[1] != self.expected(label):
                raise Failed(f"{self.say(label)} has another value: digest {outcome[1]}, expected {self.expected(label)}")
            fact = ("value",)
            if thing.task and thing.task.function in CALLS:
                self.actors.has_value(thing.task)
        else:
            fact = "failed", self.culprit(label, *outcome[1:])
            self.note_lost(thing, *outcome[1:3])
        if thing.outcome not in (None, fact):
            raise Failed(f"{self.say(label)} was {thing.outcome} before and is {fact} now")
        thing.outcome = fact

    def culprit(self, label, kind, text, facts):
        """(label of the task that failed, pid). Failed when none can have failed like that."""
        for task in self.ancestors(label):
            if kind == "WorkerCrashedError" and may_have_died(task, text, facts, self.mortal):
                return task.label, facts.get("pid", 0)
            if kind in CANCELLED and task.cancelled:
                return task.label, 0
            by_actor = "RayActorError" in kind or task.function == "calling" and kind == "RayTaskError" and BARE in text
            if by_actor and task.handle and self.actors.explains(task.handle, text, task):
                return task.label, 0
            raised = facts["is_value_error"] and task.label in text or kind == "RayTaskError" and BARE in text
            if raised and task.function in RAISE and follows(RAISE[task.function], task.cancelled) is Follows.OUTCOME:
                return task.label, 0
        raise Failed(f"{self.say(label)} failed, and nothing that was done to it explains that: {kind}: {text} {facts}")

    def note_lost(self, thing, kind, text):
        """An outcome that is an error may tell of the death of the actor whose call it is."""
        others = [one for label in thing.task.of for one in self.ancestors(label)] if thing.task else []
        if thing.task and thing.task.function in CALLS and "RayActorError" in kind and not any(one.handle for one in others):
            self.actors.has_lost(thing.task, text)

    def ancestors(self, label):
        """The tasks that can make an object fail."""
        thing = self.things[label]
        if thing.task:
            yield thing.task
            for one in thing.task.of:
                yield from self.ancestors(one)
        for one in thing.inside:
            yield from self.ancestors(one)

    def check_attempts(self):
        """Tasks run again because their worker was killed, at most max_retries times."""
        for task in self.tasks.values():
            late = [pid for pid, _ in task.attempts[:-1] if pid not in self.mortal]
            if late and task.function != "flaky" and not self.forced:
                raise Failed(f"task {task.label} ({task.function}) ran again, though nobody killed its worker {late}")
            if task.function in CALLS and self.actors.handles[task.handle].keeps:
                continue  # it runs again and again, also after it was cancelled too late
            if task.function not in NESTED and len(task.attempts) > task.retries + 1:
                raise Failed(f"task {task.label} ({task.function}) ran {len(task.attempts)} times, max_retries={task.retries}")
            if sum(when > task.marked for _, when in task.attempts) > 1:  # one may have begun before, and noted it after
                raise Failed(f"task {task.label} ({task.function}) began again after it was cancelled")

    def check_returns(self):
        """All returns of a task have values, or none."""
        outcomes = {}
        for thing in self.things.values():
            if thing.task and thing.outcome:
                outcomes.setdefault(thing.task.label, set()).add(thing.outcome)
        for label, found in outcomes.items():
            if len(found) > 1:
                raise Failed(f"returns of task {label} differ: {found}")

    def say(self, label):
        thing = self.things[label]
        task = thing.task
        made = f"returned by {task.function} {task.label} of {task.of}" if task else "stored by the driver"
        return f"object {label} {task.recipe if task else thing.recipe} ({made})"


def may_have_died(task, text, facts, mortal):
    """Whether the runner killed the task's worker, and the last time it was allowed to try."""
    noted = [pid for pid, _ in task.attempts]
    if BARE in text:
        return task.retries != SURE and (len(noted) <= task.retries or noted[-1] in mortal)
    if task.function != facts["task_name"] or facts["pid"] not in mortal or facts["signal"] != 9 or task.retries == SURE:
        return False
    tries = re.search(r"attempt (\d+) of (\d+)", text)
    last = bool(tries) and tries[1] == tries[2] and int(tries[1]) > task.retries  # more, if others were to blame for some
    return last and (
        facts["pid"] in noted or len(noted) <= task.retries)  # it may have died before it made its note


def tree_value(label, depth, fan):
    """What deeds.tree returns."""
    if depth == 0:
        return values.mix(label)
    return values.mix(label, [tree_value(f"{label}/{k}", depth - 1, fan) for k in range(fan)])
