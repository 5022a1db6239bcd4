"""The plain model of a region: objects, tasks and processes as sets and lists, one method an operation.

It knows nothing of logs, chains or counters: who holds what is a set, what pins an object is counted when it is asked, and
whatever nobody needs is dropped after each operation.  Neighbour: picture.py sees the region in the same words.
"""

import copy
from collections import Counter
from dataclasses import dataclass, field

import picture

from ray_lite import _core

RETURN = 0x9E3779B97F4A7C15  # what ids of returns are derived with (ids.pyx)
TASK, PUT = 0, 1  # the same, of tasks and puts
UNLIMITED = 0xFFFF
DEEPEST = 7  # RL_DEPTHS - 1 (layout.h)
DEATH = "WorkerCrashedError"  # the value of a return whose task's process died too often
SMALL, ARGUMENTS_SMALL = 40, 28


def block(size, small):
    """Bytes of the arena that a payload takes: a cell (two sizes a power of two) or pages."""
    if size <= small:
        return 0
    if size <= 256:
        return (size + 63) // 64 * 64
    if size <= 32768:
        return min(cell for k in range(7, 16) for cell in (2 << k, 3 << k) if cell >= size)
    return (size + 4095) // 4096 * 4096


@dataclass
class Thing:
    """An object."""

    id: bytes
    state: str
    holders: set
    owner: int = 0  #: the slot that creates it
    task: bytes | None = None  #: the live task that returns it
    value: bytes | None = None
    contents: tuple = ()
    exposed: bool = False
    edges: list = field(default_factory=list)  #: (task, number of the argument) that wait for it, the last linked first
    place: tuple | None = None  #: (index, generation, id), as ids travel; learned from the region
    size: int = 0


@dataclass
class Job:
    """A task."""

    id: bytes
    arguments: tuple
    returns: tuple
    cpus: int
    retries: int
    data: bytes
    parent: bytes | None
    depth: int = 0  #: of nesting, as far as queues tell depths apart
    state: str = "building"
    owner: int = 0
    attempts: int = 0
    interrupted: bool = False
    unready: set = field(default_factory=set)  #: numbers of arguments


@dataclass
class Seat:
    """Where calls are made: ids derive from it."""

    id: bytes
    attempt: int = 0
    count: int = 0
    task: bytes | None = None

    def next_id(self, kind):
        self.count += 1
        return _core.derive_id(self.id, self.attempt << 32, self.count << 1 | kind)


@dataclass
class Hand:
    """A process."""

    slot: int
    seats: list
    stack: list = field(default_factory=list)  #: tasks, the innermost last
    held: int = 0
    blocked: bool = False
    idle: bool = False  #: it rests, was rung, or has not asked for a task yet
    helps: list = field(default_factory=list)  #: objects that its helping calls wait for and so keep, the outermost first
    waits: tuple | None = None  #: (ids, how many may be lacking)


class Ledger:
    """What must be true of the region."""

    def __init__(self, node, cpus):
        self.cpus = cpus
        self.hands = {node: Hand(node, [Seat(b"")])}
        self.things, self.jobs, self.queues, self.gone = {}, {}, {}, []

    def copy(self):
        return copy.deepcopy(self)

    # --- what can be asked ---

    def pins(self):
        """How often each object is an argument of a task or the content of an object."""
        found = Counter(x for job in self.jobs.values() for x in job.arguments)
        found.update(x for thing in self.things.values() for x in thing.contents)
        return found

    def held(self, slot, *states):
        """Ids that a process holds, in order of their making."""
        states = states or ("pending", "sealed")
        return [x for x, thing in self.things.items() if slot in thing.holders and thing.state in states]

    def value(self, x):
        return self.things[x].value if self.things[x].state == "sealed" else None

    def free(self):
        return self.cpus - sum(hand.held for hand in self.hands.values() if not hand.blocked)

    def heads(self):
        """The tasks that may be taken next if their CPUs are free."""
        return [order[0] for order in self.queues.values() if order]

    def satisfied(self):
        """Slots whose wait is over."""
        return [hand.slot for hand in self.hands.values() if hand.waits and self.lacking(*hand.waits) <= 0]

    def lacking(self, ids, allowed):
        return sum(self.things[x].state != "sealed" for x in ids) - allowed

    def may_help(self, slot, x):
        """Whether the process, at a task, can run the awaited object's own task, a descendant, in place."""
        hand, job = self.hands[slot], self.jobs[self.things[x].task]
        innocent = not self.jobs[hand.stack[-1]].interrupted
        return innocent and job.state == "ready" and job.parent in hand.stack and job.cpus <= hand.held

    def bytes_used(self):
        stored = sum(block(thing.size, SMALL) for thing in self.things.values() if thing.state != "pending")
        return stored + sum(block(len(job.data), ARGUMENTS_SMALL) for job in self.jobs.values())

    def picture(self):
        pins, name = self.pins(), picture.label
        return picture.Picture(
            {name(x): self.object_facts(thing, pins[x]) for x, thing in self.things.items()},
            {name(t): self.task_facts(job) for t, job in self.jobs.items()},
            {key: tuple(map(name, order)) for key, order in self.queues.items() if order},
            {hand.slot: (tuple(map(name, hand.stack)), hand.held, hand.blocked) for hand in self.hands.values()},
        )

    def object_facts(self, thing, pins):
        task = picture.label(thing.task) if thing.task else None
        contents = tuple(map(picture.label, thing.contents))
        return thing.state, tuple(sorted(thing.holders)), pins, thing.exposed, task, contents

    def task_facts(self, job):
        arguments, returns = (tuple(map(picture.label, ids)) for ids in (job.arguments, job.returns))
        return job.state, job.owner, job.attempts, job.retries, arguments, returns, job.interrupted, len(job.unready)

    def learn(self, places):
        """Where objects are, and how large a report of a death is, only the region can say."""
        for x, (index, generation, size) in places.items():
            thing = self.things[x]
            thing.place = (index, generation, x)
            if thing.value == DEATH:
                thing.size = size

    # --- objects ---

    def put(self, slot, value, contents, sealed=True):
        x = self.hands[slot].seats[-1].next_id(PUT)
        state = "sealed" if sealed else "creating"
        self.things[x] = Thing(x, state, {slot}, slot, value=value, contents=tuple(contents), size=len(value))
        return x

    def seal_own(self, x):
        self.things[x].state = "sealed"

    def hold(self, slot, x):
        self.things[x].holders.add(slot)

    def release(self, slot, x):
        self.things[x].holders.discard(slot)
        self.gather()

    def expose(self, x):
        self.things[x].exposed = True

    def gather(self):
        """Ends what nobody needs, until nothing more ends."""
        while True:
            pins = self.pins()
            over = [x for x, thing in self.things.items() if not (thing.holders or thing.task or pins[x])]
            if not over:
                return
            self.gone += [thing.place for thing in map(self.things.pop, over) if thing.place]

    # --- tasks ---

    def submit(self, slot, call):
        """`call`: (arguments, number of returns, CPUs, retries, data). The ids of the returns."""
        arguments, count, cpus, retries, data = call
        seat = self.hands[slot].seats[-1]
        t = seat.next_id(TASK)
        returns = tuple(_core.derive_id(t, k, RETURN) for k in range(count))
        parent = self.jobs.get(seat.task)
        depth = min(parent.depth + 1 if parent else 1, DEEPEST) if seat.task else 0
        job = self.jobs[t] = Job(t, tuple(arguments), returns, cpus, retries, data, seat.task, depth)
        for x in returns:
            self.things[x] = Thing(x, "pending", {slot}, task=t)
        for number, x in enumerate(arguments):
            if self.things[x].state != "sealed":
                self.things[x].edges.insert(0, (t, number))
                job.unready.add(number)
        job.state = "waiting"
        if not job.unready:
            self.queue(job)
        return list(returns)

    def queue(self, job, front=False):
        order = self.queues.setdefault((job.cpus, job.depth), [])
        order.insert(0 if front else len(order), job.id)
        job.state, job.owner = "ready", 0

    def take(self, slot, t, helps=None):
        """The task runs here; helping with an awaited object takes no CPUs, and it need not be first in its queue."""
        job, hand = self.jobs[t], self.hands[slot]
        assert job.state == "ready", f"task {picture.label(t)} was taken and is {job.state}"
        self.queues[job.cpus, job.depth].remove(t)
        job.state, job.owner, job.attempts = "running", slot, min(job.attempts + 1, UNLIMITED)
        hand.idle = False
        hand.stack.append(t)
        seat = Seat(t, job.attempts, task=t)
        if helps:
            hand.helps.append(helps)
            hand.seats.append(seat)
        else:
            hand.held += job.cpus
            hand.seats = [seat]

    def seal(self, x, value, drained=None):
        """A return is there: tasks that wait for it, the first `drained` of them, wait for one argument fewer."""
        thing = self.things[x]
        if thing.state != "sealed":
            thing.state, thing.value, thing.size = "sealed", value, len(value)
        for t, number in thing.edges[:drained]:
            self.jobs[t].unready.remove(number)
            if not self.jobs[t].unready:
                self.queue(self.jobs[t])
        del thing.edges[:drained]

    def finish(self, slot, values):
        """The innermost task of a process ends; returns are sealed last first, and those that are sealed stay."""
        hand = self.hands[slot]
        job = self.jobs[hand.stack.pop()]
        for x, value in reversed(list(zip(job.returns, values, strict=True))):
            self.seal(x, value)
        self.end(job)
        if hand.stack:
            hand.helps.pop()
            hand.seats.pop()
        else:
            hand.held -= min(hand.held, job.cpus)

    def finish_partly(self, slot, values, sealed, drained):
        """As far as a process may have come before it died: some returns sealed, of the last some edges drained."""
        job = self.jobs[self.hands[slot].stack[-1]]
        some = list(reversed(list(zip(job.returns, values, strict=True))))[:sealed]
        for x, value in some:
            self.seal(x, value, drained if (x, value) == some[-1] else None)

    def end(self, job):
        for x in job.returns:
            self.things[x].task = None
        del self.jobs[job.id]
        self.gather()

    def block(self, slot):
        self.hands[slot].blocked = True

    def wait_over(self, slot):
        self.hands[slot].waits, self.hands[slot].blocked = None, False

    # --- processes ---

    def enter(self, slot, root):
        self.hands[slot] = Hand(slot, [Seat(root)], idle=True)

    def die(self, slot, outside=True):
        """The process is gone. `outside`: killed, it did not end itself."""
        hand = self.hands.pop(slot)
        for depth, t in enumerate(reversed(hand.stack)):
            self.bereave(self.jobs[t], depth == 0, outside)
        for x in self.held(slot, "creating", "pending", "sealed"):
            self.things[x].holders.discard(slot)
        self.gather()

    def bereave(self, job, innermost, outside):
        """A dead process's task: finished if it was over, else run again or failed."""
        complete = bool(job.returns) and all(self.things[x].state == "sealed" for x in job.returns)
        if not complete and not innermost:
            job.interrupted = True
            self.queue(job, front=True)
        elif not complete and outside and job.retries:
            job.retries -= job.retries != UNLIMITED
            self.queue(job)
        else:
            for x in reversed(job.returns):
                self.seal(x, DEATH)
            self.end(job)
