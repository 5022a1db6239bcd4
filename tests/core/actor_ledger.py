"""The plain model of a region's actors: who lives, what each has to run in which order for whom, and who holds what.

It knows no mailbox and no lane: an actor may run the first call of any caller, if the arguments of that are there.  Neighbour:
test_actor_machine.py compares it with the region.
"""

from dataclasses import dataclass, field

DEATH = "WorkerCrashedError"  # the value of what a dead actor's call returns


@dataclass
class Call:
    """Of an actor: `caller` None is that of the constructor."""

    label: str
    caller: int | None
    arguments: tuple
    returns: tuple = ()  #: none if its caller died before it knew them
    count: int = 0  #: of the returns


@dataclass
class Thing:
    """A handle, or what a call returns."""

    holders: set
    value: object = None  #: of a return that is sealed
    call: str | None = None  #: the live call that returns it


@dataclass
class Actor:
    """An actor, by its handle."""

    handle: bytes
    name: bytes | None
    needs: bool  #: whether its calls need CPUs
    back: int = 0  #: processes that it may lose
    keeps: bool = False  #: whether calls that have ended run again in its next process
    state: str = "PENDING"
    slot: int = 0
    killed: bool = False
    calls: list = field(default_factory=list)  #: in the order in which they were made
    running: Call | None = None
    lost: int = 0  #: processes
    past: list = field(default_factory=list)  #: calls that have ended and are kept, in that order
    rebuild: Call | None = None  #: the constructor's, once it has ended and is kept
    again: int = 0  #: calls that run before all others, since they had begun in an earlier process

    def kept(self):
        return [*self.past, *([self.rebuild] if self.rebuild else [])]


class ActorLedger:
    """What must be true of the region."""

    def __init__(self):
        self.things, self.actors = {}, {}

    # --- what can be asked ---

    def held(self, slot):
        """What a process holds: (handles, returns)."""
        mine = [x for x, thing in self.things.items() if slot in thing.holders]
        return [x for x in mine if x in self.actors], [x for x in mine if x not in self.actors]

    def named(self, name):
        return next((actor for actor in self.actors.values() if actor.name == name), None)

    def ready(self, call):
        return all(self.things[x].value is not None for x in call.arguments)

    def next_calls(self, actor):
        """Those that an actor may run next: the first of each caller; the constructor's before all others."""
        first = {}
        for call in actor.calls:
            first.setdefault(call.caller, call)
        if actor.state != "ALIVE" or actor.running:
            return []
        if None not in first and actor.again:
            return actor.calls[:1]
        return [call for call in ([first[None]] if None in first else first.values()) if self.ready(call)]

    def can_start(self):
        return [one for one in self.actors.values() if one.state == "PENDING" and self.ready(one.calls[0])]

    # --- what happens ---

    def create(self, handle, slot, creation, name, *how):
        self.things[handle] = Thing({slot})
        self.actors[handle] = Actor(handle, name, *how, calls=[creation])

    def call(self, handle, slot, call):
        self.actors[handle].calls.append(call)
        for x in call.returns:
            self.things[x] = Thing({slot}, call=call.label)

    def kill(self, handle):
        actor = self.actors[handle]
        if actor.state != "DEAD":
            actor.killed, actor.name = True, None
            actor.state = "ENDING" if actor.slot else actor.state

    def take(self, actor, label):
        [call] = [call for call in self.next_calls(actor) if call.label == label]
        actor.running = call
        if call.caller is not None and actor.again:
            actor.again -= 1

    def finish(self, actor, values):
        """The call that runs ends, in its process."""
        call, actor.running = actor.running, None
        self.end(actor, call, values)
        if actor.state == "ALIVE" and (actor.keeps if call.caller is not None else actor.back):
            call.returns, call.count = (), 0
            if call.caller is None:
                actor.rebuild = call
            else:
                actor.past.append(call)
        self.gather()

    def end(self, actor, call, values):
        """`values` None: it fails. What was returned before stays."""
        actor.calls.remove(call)
        self.seal(call, values or [DEATH] * call.count)
        for x in call.returns:
            if x in self.things:
                self.things[x].call = None

    def seal(self, call, values):
        for x, value in zip(call.returns, values[: len(call.returns)], strict=True):
            if x in self.things and self.things[x].value is None:
                self.things[x].value = value

    def release(self, slot, x):
        self.things[x].holders.discard(slot)
        self.gather()

    def gather(self):
        """Drops what nobody needs."""
        pinned = {x for actor in self.actors.values() for call in [*actor.calls, *actor.kept()] for x in call.arguments}
        for x in list(self.things):
            thing, actor = self.things[x], self.actors.get(x)
            if not (thing.holders or thing.call or x in pinned or actor and actor.state != "DEAD"):
                del self.things[x]

    def leave(self, slot):
        """A process that is no actor's is gone."""
        for thing in self.things.values():
            thing.holders.discard(slot)
        self.gather()

    def die(self, actor, values=None):
        """An actor's process is gone, or will never be. `values`: of the call that it ran, as far as it came."""
        if actor.running:
            self.end(actor, actor.running, values)
        actor.running = None
        actor.state, actor.name, actor.slot = "DEAD", None, 0
        self.gather()

    def runs_again(self, actor, call):
        """Whether a call that an actor ran does so in its next process, too."""
        return actor.keeps or call.caller is None

    def come_back(self, actor, values=None):
        """An actor's process is gone, and it will have another. `values`: of the call that it ran, as far as it came."""
        call, actor.running = actor.running, None
        again = []
        if call and self.runs_again(actor, call):
            self.seal(call, [None if value == DEATH else value for value in values or [None] * call.count])
            actor.calls.remove(call)
            again = [call]
        elif call:
            self.end(actor, call, values)
        actor.again += len(actor.past) + len([one for one in again if one.caller is not None])
        first = [actor.rebuild] if actor.rebuild else []
        actor.calls = [*first, *actor.past, *again, *actor.calls]
        actor.past, actor.rebuild, actor.lost = [], None, actor.lost + 1
        actor.state, actor.slot = "PENDING", 0
        self.gather()

    def node(self):
        """All that actors ask for is done."""
        for actor in list(self.actors.values()):
            if actor.killed and actor.state != "DEAD":
                self.die(actor)
            for call in list(actor.calls) if actor.state == "DEAD" else []:
                self.end(actor, call, None)
            if actor.state == "DEAD":
                actor.past, actor.rebuild = [], None
        self.gather()
        for handle, actor in list(self.actors.items()):
            if actor.state == "DEAD" and handle not in self.things:
                del self.actors[handle]
            elif actor.state == "ALIVE" and not actor.calls and not self.things[handle].holders:
                actor.state, actor.name = "ENDING", None
