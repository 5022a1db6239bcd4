"""What must be true of a session's actors: who may be dead and why, what each has run in which order, which names are free.

    labels of handles -> actors -> the driver's calls of each, in their order

A label may turn out to be another handle of a known actor: of one that has the name.  Neighbours: model.py owns it,
actor_script.py tells it what is ordered.  Pure: no processes, no clock.
"""

import math
import re
from dataclasses import dataclass, field

from verdict import BARE, Failed

CALLS = ("act", "acts", "churn_in", "leap")  # methods that the driver calls: the functions of their tasks
CALLER = "driver"  # names the driver among an actor's callers
BY_KILL = "it was killed by ray_lite.kill"
LEAP = "leap"  # ends its process
ALWAYS = 1000  # restarts of actors that no number of kills shall end
TRIES = 4  # processes that a call may kill, and those that may be killed before they have their slot
BY_CONSTRUCTOR = "its constructor failed: ValueError"
LOST = "; the actor comes back"
KILLED = re.compile(r"its process \(pid (\d+)\) was killed by signal 9")
LEAPT = re.compile(r"its process \(pid (\d+)\) ended itself with exit code 3")
SPENT = re.compile(r"it has lost (\d+) processes.* may come back (\d+) times")


@dataclass
class Actor:
    """One actor."""

    label: str  #: of its first handle
    name: str = None
    bad: bool = False  #: its constructor raises
    keeps: bool = False  #: it has checkpoints
    restarts: int = 0  #: how often it may come back, without a checkpoint
    id: str = ""
    pids: list = field(default_factory=list)  #: of its processes that have begun its constructor
    handles: set = field(default_factory=set)  #: labels that the driver holds
    calls: dict = field(default_factory=dict)  #: number -> the driver's call
    killed: float = math.inf  #: number of the kill
    left: bool = False  #: whether the driver had no handle at some time
    dead: bool = False  #: its death was seen
    lost: float = math.inf  #: number of the first call that failed of its death
    valued: int = -1  #: number of the last call that has a value

    def forgets(self):
        """Whether its next process begins anew."""
        return self.restarts > 0 and not self.keeps

    def may_be_dead(self, mortal):
        """Its process may have been killed before it noted anything."""
        noted = self.pids and self.pids[-1] not in mortal
        return self.bad or self.dead or self.left or self.killed < math.inf or not noted


class Actors:
    """Of one session.

    Args:
        mortal: pids that were killed or stopped by the runner.
    """

    def __init__(self, mortal):
        self.mortal = mortal
        self.handles = {}  # label -> actor, for good

    # --- what happens ---

    def create(self, label, name, bad, keeps=False, restarts=0):
        self.handles[label] = Actor(label, name, bad, keeps, restarts, handles={label})

    def resolve(self, label, id):
        """The actor of this label has this id: it is new, or the one that has the name."""
        mine = self.handles[label]
        mine.id = id
        named = [one for one in self.every() if one is not mine and one.name == mine.name and one.id and mine.name is not None]
        for other in named:
            if other.id == id and other.killed < number(label):
                raise Failed(f"actor {other.label} was killed, and {label} found it by its name {other.name!r}")
            if other.id == id:
                self._join(mine, other)
            elif not other.may_be_dead(self.mortal):
                raise Failed(f"actors {other.label} and {label} live, and both have the name {mine.name!r}")

    def _join(self, mine, other):
        other.handles |= mine.handles
        other.calls |= mine.calls
        other.killed = min(other.killed, mine.killed)
        other.left = not other.handles
        for label, one in self.handles.items():
            if one is mine:
                self.handles[label] = other

    def began(self, label, pid):
        """A process began the constructor; whether that is an actor's label."""
        if label in self.handles:
            self.handles[label].pids.append(pid)
        return label in self.handles

    def call(self, handle, task):
        self.handles[handle].calls[number(task.label)] = task

    def kill(self, handle, when):
        """`when`: a number among those of the driver's calls."""
        self.handles[handle].killed = min(self.handles[handle].killed, when)

    def drop(self, label):
        actor = self.handles[label]
        actor.handles.discard(label)
        actor.left |= not actor.handles

    # --- what is there ---

    def every(self):
        return list({id(one): one for one in self.handles.values()}.values())

    def held(self):
        """Actors of which the driver has a handle."""
        return [one for one in self.every() if one.handles]

    def labels(self):
        """Of the handles that the driver has."""
        return sorted(label for one in self.held() for label in one.handles)

    def pids(self):
        return {pid for one in self.every() for pid in one.pids}

    # --- what was seen ---

    def explains(self, handle, text, task=None):
        """Whether the actor may have died, or lost a call, as the text of a RayActorError says.

        Args:
            task: whose call failed, or the task that called.
        """
        actor = self.handles[handle]
        found = KILLED.search(text) or LEAPT.search(text)
        if found:
            pid, strangers = int(found[1]), {pid for one in self.every() if one is not actor for pid in one.pids}
            mine = pid in self.mortal and (pid in actor.pids or pid not in strangers)
            return mine and (self._may_lose(actor, task, found) if LOST in text else self._may_end(actor, text, found))
        if BY_KILL in text:
            return actor.killed < math.inf
        if BY_CONSTRUCTOR in text:
            return actor.bad
        return BARE in text and (actor.restarts > 0 or actor.may_be_dead(self.mortal))

    def _may_lose(self, actor, task, found):
        """Whether a call may have been lost in an actor that came back: it ended its process, or killed too many of them."""
        if found.re is LEAPT:
            return task is None or task.function == LEAP or task.function == "calling"
        return actor.restarts > 0 and (not actor.keeps or self._loses(actor))

    def _loses(self, actor):
        """Whether an actor with checkpoints may have lost a call that did not end its process itself."""
        return actor.keeps and len(self.mortal & {*actor.pids}) >= TRIES

    def _may_end(self, actor, text, found):
        """Whether this death may have been the last one of so many."""
        if found.re is LEAPT and not actor.restarts:
            return False
        spent = SPENT.search(text)
        if spent:
            return int(spent[2]) == actor.restarts < int(spent[1]) and len(self.mortal) >= int(spent[1])
        return actor.restarts == 0 or len(self.mortal) >= TRIES

    def has_value(self, task):
        """A call of the driver's has a value: the actor lived when it ran."""
        actor = self.handles[task.handle]
        actor.valued = max(actor.valued, number(task.label))
        if actor.bad:
            raise Failed(f"call {task.label} has a value, though the constructor of actor {actor.label} raised")
        if actor.killed < number(task.label):
            raise Failed(f"call {task.label} has a value, though actor {actor.label} had been killed before it was made")
        self._check_death(actor)

    def has_lost(self, task, text):
        """A call of the driver's failed because its actor is dead, or has lost it."""
        actor = self.handles[task.handle]
        if LOST in text or BARE in text and actor.restarts:
            return
        actor.lost, actor.dead = min(actor.lost, number(task.label)), True
        self._check_death(actor)

    def _check_death(self, actor):
        if actor.lost < actor.valued:
            raise Failed(f"actor {actor.label} was dead at call o{actor.lost}, and call o{actor.valued} has a value")

    def died(self, handle, kind, text):
        """A call for the log of an actor raised."""
        if "RayActorError" not in kind or not self.explains(handle, text):
            raise Failed(f"actor {handle} is dead, and nothing that was done to it explains that: {kind}: {text}")
        self.handles[handle].dead = True

    def check_log(self, handle, log, pid, model):
        """What an actor says that it ran, as pairs of a caller and a number, against what it must have run. All calls have
        ended. Without checkpoints it is what it ran in this process."""
        actor = self.handles[handle]
        if actor.bad or actor.dead or actor.killed < math.inf:
            raise Failed(f"actor {actor.label} answers, though it is dead")
        ran = {}
        for caller, its in log:
            ran.setdefault(caller, []).append(its)
        for caller, numbers in ran.items():
            if any(one >= other for one, other in zip(numbers, numbers[1:], strict=False)):
                raise Failed(f"actor {actor.label} ran calls of {caller} out of order, or twice: {numbers}")
        self._check_drivers(actor, ran.pop(CALLER, []), pid, model)
        self._check_tasks(actor, ran, model)

    def _check_drivers(self, actor, ran, pid, model):
        must, may = set(), set()
        for its, task in actor.calls.items():
            outcome = model.things[task.label if task.label in model.things else f"{task.label}.0"].outcome
            if task.function == LEAP or actor.forgets() and (not task.attempts or task.attempts[-1][0] != pid):
                continue
            was_sure = outcome is None and not task.cancelled and all(map(model.sure, task.of))
            if was_sure and not self._loses(actor) or outcome == ("value",) and not (actor.keeps and task.cancelled):
                must.add(its)
            elif outcome is None or task.cancelled:  # one that was cancelled midway does not run again
                may.add(its)
        if not must <= {*ran} <= must | may:
            raise Failed(f"actor {actor.label} ran {sorted({*ran} - must - may)}, which it must not have, and did not run "
                         f"{sorted(must - {*ran})}; all that it ran for the driver: {ran}")

    def _check_tasks(self, actor, ran, model):
        """Each attempt of a task made its calls one after the other; one that returned had made all."""
        complete = {}
        for caller, numbers in ran.items():
            label = caller.partition("/")[0]
            task = model.tasks[label]
            first = numbers[0] if actor.forgets() else 0
            if not task.cancelled and not self._loses(actor) and numbers != list(range(first, first + len(numbers))):
                raise Failed(f"actor {actor.label} lacks calls of {caller}: {numbers}")
            complete[label] = complete.get(label, False) or len(numbers) == task.shape[0]
        for task in model.tasks.values():
            if task.function == "calling" and self.handles[task.handle] is actor:
                outcome = model.things[task.label].outcome
                if outcome == ("value",) and not actor.forgets() and not complete.get(task.label, False):
                    raise Failed(f"task {task.label} has a value, and actor {actor.label} did not run all its calls")

    def check_names(self, found):
        """{name: id of the actor that has it, or None}, when all is quiet."""
        for name, its in found.items():
            alive = [one for one in self.held() if one.name == name and not one.bad and not one.dead and one.killed == math.inf]
            if [its] != ([one.id for one in alive] or [None]):
                raise Failed(f"the name {name!r} is that of {its}; alive are {[(one.label, one.id) for one in alive]}")


def number(label):
    """Labels are numbered as the driver gets its orders."""
    return int(re.match(r"o(\d+)", label)[1])

