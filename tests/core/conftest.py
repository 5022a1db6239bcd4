"""Fixtures of the core's tests: small regions over nameless files, and real processes that work in them.

- `make_region`: a factory; `region`: one with this process as its driver, checked by fsck and closed after the test.
- `lively`: a region full of life whose words can be damaged (damage.py).
- `company`: actors, their processes and their node (company.py); `cast`: one that runs several calls (cast.py).
- `worker`: the same, in a worker's slot; `tasks`: tasks by number, run by such workers; `bury`: what the node does
  about a dead one.
"""

import contextlib
import gc
import importlib.util
import os
import select
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from ray_lite import _core
from ray_lite.exceptions import RaySystemError

ROOT_ID = b"root of these tests!"
MILLION = 1_000_000  # nanoseconds in a millisecond

SIZES = SimpleNamespace(
    objects=2048,
    slots=16,
    buckets=16,
    commit_bytes=65536,
    page_bytes=4096,
    reserve_bytes=0,
    spill_least=0,
    room_precedence=10**9,
    trim_bytes=0,
    arena=1 << 24,
    cpus=20000,
    gpus=0,
    resources=(),
    aging=1_000_000_000,
    job_turn=10_000_000,
    trace_records=64,
    tracing=False,
    session_id=1,
    namespaces=(0, 0, 0),
)


class Place(SimpleNamespace):
    """The files of a region, and the regions that were made over them."""

    @classmethod
    def make(cls, **changes):
        sizes = SimpleNamespace(**{**vars(SIZES), **changes})
        sizes.control_bytes = _core.control_bytes(
            sizes.objects, sizes.slots, sizes.buckets, len(sizes.resources), sizes.trace_records)
        sizes.arena_bytes = sizes.arena
        control, arena = os.memfd_create("ray_lite-control"), os.memfd_create("ray_lite-arena")
        os.ftruncate(control, sizes.control_bytes)
        os.ftruncate(arena, sizes.arena_bytes)
        bell = os.eventfd(0, os.EFD_NONBLOCK)
        return cls(sizes=sizes, files=(control, arena, bell), regions=[])

    def create(self):
        self.regions.append(_core.Region.create(*self.files, self.sizes))
        return self.regions[-1]

    def attach(self, namespaces=(0, 0, 0)):
        self.regions.append(_core.Region.attach(*self.files, namespaces))
        return self.regions[-1]

    def another_job(self):
        """A region of a new job whose driver is this process, too; its node's doorbell is the last of `files`."""
        job = _core.open_job(self.regions[0])
        self.files = (*self.files, os.eventfd(0, os.EFD_NONBLOCK))
        self.regions.append(_core.Region.attach(*self.files[:2], self.files[-1], (0, 0, 0), job, self.files[2]))
        self.regions[-1].join(_core.DRIVER, os.getpid(), 0)
        return self.regions[-1]

    def rung(self):
        """Whether the node's doorbell was rung since the last look."""
        ready = bool(select.select([self.files[2]], [], [], 0)[0])
        if ready:
            os.eventfd_read(self.files[2])
            _core.answer_bell(self.regions[0])
        return ready

    def close(self):
        gc.collect()
        for region in self.regions:
            region.close()
        for file in self.files:
            os.close(file)


@pytest.fixture
def make_place():
    """`make_place(objects=..., arena=...)`: the files of a region that is still to be created."""
    places = []

    def make(**changes):
        places.append(Place.make(**changes))
        return places[-1]

    yield make
    for place in places:
        place.close()


@pytest.fixture
def make_region(make_place):
    """`make_region(objects=..., ...)`: a region whose driver is this process; its invariants hold at the end.

    `make_region.files_of(region)`: its Place.
    """
    made, places = [], {}

    def make(**changes):
        place = make_place(**changes)
        region = place.create()
        made.append(region)
        places[id(region)] = place
        region.join(_core.DRIVER, os.getpid(), 0)
        region.make_current()
        _core.set_root(ROOT_ID)
        return region

    make.files_of = lambda region: places[id(region)]
    yield make
    gc.collect()
    for region in made:
        with contextlib.suppress(RaySystemError):  # the test has closed it
            region.statistics()
            region.check()


@pytest.fixture
def region(make_region):
    return make_region()


@pytest.fixture(scope="session")
def stored():
    """`stored(region, size)`: the id of a sealed object of so many bytes."""

    def store(region, size):
        x = _core.create_object(region, _core.next_put_id(), 0, False)
        _core.fill_object(region, _core.object_index(x), 0, (b"x" * size, [], [], []))
        _core.seal_object(region, x)
        return x

    return store


# ---------------------------------------------------------------- processes


@pytest.fixture
def worker(forked):
    """`worker(region, function)` runs `function(region)` in a child that has a worker's slot; (child, slot)."""

    def start(region, function):
        slot = _core.open_worker(region)

        def main():
            _core.adopt_slot(region, slot, os.getpid(), 0)
            function(region)

        return forked(main), slot

    return start


@pytest.fixture
def bury():
    """`bury(region, slot, counted=True)`: the node's answer to a death; the records that were queued again."""

    def sweep(region, slot, counted=True):
        again = []
        _core.begin_sweep(region, slot)
        _core.wake_all(region)
        while True:
            t, complete = _core.adopt_task(region, slot)
            if not t:
                break
            if complete:
                _core.finish_task(region, t)
            else:
                again.append(_core.task_facts(region, t)[5])
                _core.requeue_task(region, t, counted, True)
        _core.end_sweep(region, slot)
        return again

    return sweep


# ---------------------------------------------------------------- tasks


class Runner:
    """Runs tasks whose function is a number in a table, and whose values are all plain."""

    asks = False

    def __init__(self, region, functions, by_index):
        self.region, self.functions, self.by_index = region, functions, by_index

    def function(self, index):
        return self.functions[self.by_index[index]]

    def load(self, x, writable=False):
        error, stream, _ = _core.payload(self.region, x)
        return bytes(stream)

    def arguments(self, t, data, writable):
        return (data, *_core.task_arguments(self.region, t)), {}

    def several(self, t, value):
        return list(value)

    def store_result(self, t, value):
        returns = _core.task_returns(self.region, t)
        for i, one in zip(returns, [value] if len(returns) == 1 else value, strict=True):
            if i:
                _core.fill_object(self.region, i, 0, (one, [], [], []))

    def fail(self, t, error):
        for i in _core.task_returns(self.region, t):
            if i:
                _core.fill_object(self.region, i, _core.ERROR, (repr(error).encode(), [], [], []))

    def raise_cancelled(self):
        raise RuntimeError("cancelled before its function was called")

    def runtime_env(self, index):
        """Where the caller was: nothing to these functions."""

    def shape(self, cpus):
        """How many CPUs the task has: nothing to these functions."""


def declined(args, kwargs):
    raise AssertionError(f"the fast path declined {args} {kwargs}")


class Tasks:
    """Calls of numbered functions in one region, and the workers that run them."""

    def __init__(self, region, functions):
        self.region, self.functions = region, functions
        self.by_index, self.calls, self.handles = {}, {}, []
        _core.mark_env()  # or the fast path declines: it can't tell whether the caller has moved
        for name in functions:
            x = _core.create_object(region, _core.next_put_id(), 0, True)
            _core.fill_object(region, _core.object_index(x), 0, (name.encode(), [], [], []))
            _core.seal_object(region, x)
            self.by_index[_core.object_index(x)] = name
            self.handles.append(x)

    def call(self, name, cpus=10000, nreturns=1, retries=3, flags=0):
        """`f.remote` of a numbered function."""
        key = (name, cpus, nreturns, retries, flags)
        if key not in self.calls:
            call = _core.RemoteCall(declined)
            queue = _core.demand_queue(self.region, cpus)
            index = next(i for i, n in self.by_index.items() if n == name)
            call.arm(self.region, index, queue, (nreturns, retries, flags, 0, 255))
            self.calls[key] = call
        return self.calls[key]

    def shaped(self, name, *shape):
        """The same, for a shape: CPUs, GPUs, and pairs of a custom resource and an amount."""
        call = _core.RemoteCall(declined)
        index = next(i for i, n in self.by_index.items() if n == name)
        call.arm(self.region, index, _core.demand_queue(self.region, *shape), (1, 3, 0, 0, 255))
        return call

    def runner(self, region):
        return Runner(region, self.functions, self.by_index)

    def worker(self, region, spin=50_000, park=2_000 * MILLION):
        """Works until the session closes."""
        loop = _core.Worker(region, self.runner(region))
        while not _core.is_closing(region):
            loop.run(spin, park)

    def get(self, x, milliseconds=20_000):
        """The value of a plain return; an AssertionError when it is not there in time."""
        assert self.wait([x], 0, milliseconds), "the object is not ready in time"
        value = _core.get_ready(self.region, x)
        return _core.payload(self.region, x) if value is _core.MISS else value

    def wait(self, ids, allowed, milliseconds):
        _core.resolve_all(self.region, ids)
        deadline = time.monotonic_ns() + milliseconds * MILLION
        return _core.wait_for_ids(self.region, ids, allowed, (deadline, 0, 40 * MILLION), 1 << 20)


@pytest.fixture
def tasks():
    return Tasks


# ---------------------------------------------------------------- helpers beside this file


@pytest.fixture(scope="session")
def beside():
    """`beside("name.py")`: a module of this folder; tests are no package that it could be imported from."""

    def load(name):
        spec = importlib.util.spec_from_file_location(Path(name).stem, Path(__file__).parent / name)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def words(beside):
    """`words(place)`: the named words of its control file."""
    return lambda place: beside("damage.py").Words(place.files[0])


@pytest.fixture
def company(beside, make_region, tasks, worker, forked):
    """`company(cpus=...)`: a Company of a new region, with its methods and helpers (company.py)."""
    made = beside("company.py")

    def make(**sizes):
        region = make_region(**sizes)
        return made.Staffed(region, tasks, forked, worker)

    return make


@pytest.fixture
def cast(beside, company):
    """`cast(most=...)`: a Cast of a new company: the process of an actor that runs several calls (cast.py)."""
    return lambda most=3, cpus=20_000, **options: beside("cast.py").Cast(company(cpus=cpus), most, **options)


@pytest.fixture
def lively(beside, make_region, tasks, worker, wait_until):
    """`lively()`: a Scene."""

    def make():
        region = make_region()
        calls = tasks(region, {"echo": lambda x: x, "stuck": lambda x: signal.pause()})
        scene = beside("damage.py").Scene(_core, region, make_region.files_of(region).files[0])
        crew = []
        scene.furnish(calls, lambda: crew.append(worker(region, calls.worker)[0]), wait_until)
        region.check()  # takes the lock: whoever just went to rest has left it
        for child in crew:
            os.kill(child.pid, signal.SIGSTOP)  # a live worker would act on what is damaged
            os.waitpid(child.pid, os.WUNTRACED)
        return scene

    return make
