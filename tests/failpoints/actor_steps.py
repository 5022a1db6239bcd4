"""The part of the scenario that passes the windows of actors.  Neighbour: scenario.py runs these steps.

Whoever is caught may be an actor's process: then its calls have values up to one, and fail from there on.
"""

import asyncio
import gc
import itertools
import os
import signal
import time

import ray_lite as ray
from ray_lite.exceptions import RayActorError, TaskCancelledError

DEAD, CANCELLED = "dead", "cancelled"  # outcomes of calls that have no value
CALLS = 24
numbers = itertools.count()  # of the driver's calls


@ray.remote(num_cpus=0)
def late(x):
    time.sleep(0.002)
    return x


@ray.remote(num_cpus=0)
def much_later(x):
    """After who waits for it has said that it waits."""
    time.sleep(0.5)
    return x


class Tally:
    """Notes the calls that it ran, and refuses those that come out of their order."""

    def __init__(self, start=0):
        if start < 0:
            raise ValueError(start)
        self.start, self.log = start, {}

    def add(self, caller, number, *more):
        mine = self.log.setdefault(caller, [])
        if mine and mine[-1] >= number:
            raise AssertionError(f"{caller}: {number} comes after {mine[-1]}")
        mine.append(number)
        return number

    @ray.method(num_return_vals=3)
    def three(self, caller, number):
        return [self.add(caller, number)] * 3

    def noted(self):
        return self.start, self.log

    def work(self, caller, number, n):
        """Blocks, and stores."""
        return sum(ray.get([late.remote(k) for k in range(n)])) + ray.get(ray.put(self.add(caller, number)))

    def ask(self, other, caller, number):
        """Calls another actor."""
        self.add(caller, number)
        return [outcome(other.add.remote("actor", k, late.remote(k))) for k in range(3)]

    def die(self, how):
        """What it holds goes with it."""
        self.held = [ray.put(k) for k in range(40)]
        if how == "exit":
            ray.exit_actor()
        os.kill(os.getpid(), signal.SIGKILL)


SHAPES = [ray.remote(Tally), ray.remote(num_cpus=0)(Tally), ray.remote(num_cpus=0, resources={"seat": 1})(Tally)]


@ray.remote(max_concurrency=3)
class Threads:
    """Runs several calls at a time, which block and store."""

    def work(self, k):
        return ray.get(ray.put(ray.get(late.remote(k))))

    def wait(self, k):
        return ray.get(much_later.remote(k))


@ray.remote
class Coroutines:
    """The same, beside coroutines."""

    def work(self, k):
        return ray.get(late.remote(k))

    async def nap(self, k):
        await asyncio.sleep(0.001)
        return k


@ray.remote(num_cpus=0)
def calling(actor, n):
    """Whether all its calls had values; another attempt is another caller."""
    caller = f"{os.getpid()} {time.monotonic_ns()}"
    return judged([actor.add.remote(caller, k, late.remote(k) if k % 3 == 0 else 0) for k in range(n)], range(n))


def outcome(x):
    try:
        return ray.get(x)
    except RayActorError:
        return DEAD
    except TaskCancelledError:
        return CANCELLED


def judged(ids, values, cancelled=()):
    """Whether all calls had values; no call has one that comes after one that met the actor's death."""
    found = [outcome(x) for x in ids]
    ended = found.index(DEAD) if DEAD in found else len(found)
    assert set(found[ended:]) <= {DEAD, CANCELLED}, found
    for x, value, its in zip(ids, values, found[:ended], strict=False):
        assert its == value or its == CANCELLED and x in cancelled, (found, values)
    return DEAD not in found


def call(actor, *more):
    """(number, id) of a call by the driver."""
    number = next(numbers)
    return number, actor.add.remote("driver", number, *more)


def noted(actor, wanted):
    """The actor ran these calls of the driver's, all and in order, unless it is dead."""
    found = outcome(actor.noted.remote())
    assert found == DEAD or found[1].get("driver", []) == list(wanted), (found, wanted)
    for caller, its in ({} if found == DEAD else found[1]).items():
        assert caller == "driver" or its == list(range(len(its))), found


def calls():
    """From the driver and from tasks; some lack their arguments, so that there are lanes."""
    for remote in SHAPES:
        actor = remote.remote()
        tasks = [calling.remote(actor, 7) for _ in range(2)]
        made = [call(actor, *[late.remote(k)] * (k % 5 == 0)) for k in range(CALLS)]
        three = actor.three.remote("three", 0)
        judged([x for _, x in made], [number for number, _ in made])
        assert {outcome(x) for x in three} in ({0}, {DEAD})
        ray.get(tasks)
        noted(actor, [number for number, _ in made])


def calls_inside():
    one, other = SHAPES[0].remote(), SHAPES[1].remote(late.remote(3))
    assert outcome(one.work.remote("a", 1, 4)) in (7, DEAD)
    found = outcome(one.ask.remote(other, "b", 5))
    assert found == DEAD or all(its in (k, DEAD) for k, its in enumerate(found)), found
    assert outcome(other.noted.remote()) == DEAD or outcome(other.noted.remote())[0] == 3


def names():
    """A name is free when its actor is dead."""
    remote = SHAPES[1].options(name="tally", get_if_exists=True)
    one, other = remote.remote(), remote.remote()
    made = [call(actor) for actor in (one, other) * 3]
    if judged([x for _, x in made], [number for number, _ in made]):
        assert one == other or outcome(one.noted.remote()) == DEAD
    again = remote.remote()
    ray.kill(again)
    assert outcome(call(again)[1]) == DEAD
    try:
        raise AssertionError(f"{ray.get_actor('tally')} has its name still")
    except ValueError:
        pass


def deaths():
    for how in ("exit", "kill"):
        actor = SHAPES[0].remote()
        before = [call(actor) for _ in range(4)]
        end = actor.die.remote(how)
        after = [call(actor, *[late.remote(k)] * (k % 2)) for k in range(6)]
        judged([x for _, x in before], [number for number, _ in before])
        assert outcome(end) in (None, DEAD) and {outcome(x) for _, x in after} == {DEAD}


def kills():
    """With calls everywhere: one that runs, others behind it, others that lack arguments, and an actor that can't start yet."""
    seats = [SHAPES[2].remote() for _ in range(3)]  # one more than there are seats
    ids = [call(actor, *[late.remote(k)] * (k % 3 == 0))[1] for actor in seats for k in range(8)]
    for actor in seats:
        ray.kill(actor)
    ids += [call(actor)[1] for actor in seats]
    assert {outcome(x) for x in ids[-3:]} == {DEAD}
    for k in range(3):
        judged(ids[8 * k : 8 * k + 8], [value for value in map(outcome, ids[8 * k : 8 * k + 8]) if value != DEAD])


def constructors():
    for start in (-1, late.remote(-1)):
        actor = SHAPES[1].remote(start)
        try:
            ray.get(call(actor)[1])
            raise AssertionError("its constructor has failed")
        except RayActorError as error:
            assert isinstance(error.cause, ValueError) or "killed" in str(error), error


def cancels():
    actor = SHAPES[0].remote()
    slow = late.remote(1)
    made = [call(actor, *[slow] * (k % 4 == 0)) for k in range(CALLS)]
    asked = {x for _, x in made[1::2] if ray.cancel(x)}
    alive = judged([x for _, x in made], [number for number, _ in made], asked)
    found = outcome(actor.noted.remote())
    kept = {number for number, x in made if x not in asked}
    assert not alive or found == DEAD or kept <= {*found[1]["driver"]} <= {number for number, _ in made}


def losses():
    """The last handle goes while calls are queued: they run, then the actor ends."""
    made = []
    for remote in SHAPES:
        actor = remote.remote()
        made.append([call(actor, *[late.remote(k)] * (k == 3)) for k in range(8)])
        task = calling.remote(actor, 3)
        del actor
        ray.get(task)
    for its in made:
        judged([x for _, x in its], [number for number, _ in its])


def crowds():
    """Calls that run at the same time, in no order."""
    threads, coroutines = Threads.remote(), Coroutines.remote()
    for method, many in ((threads.work, 12), (coroutines.work, 12), (coroutines.nap, 12), (threads.wait, 2)):
        found = [outcome(x) for x in [method.remote(k) for k in range(many)]]
        assert all(its in (k, DEAD) for k, its in enumerate(found)), found


STEPS = (calls, calls_inside, names, deaths, kills, constructors, cancels, losses, crowds)


def none_is_left(region):
    """No actor, no lane, no name."""
    gc.collect()
    counts = region.statistics()
    return counts["actors"] == counts["lanes"] == 0
