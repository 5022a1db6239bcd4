"""CPUs and queues: never more CPUs are taken than there are, nothing is passed over for ever, shapes keep their order."""

import os
import random
import struct
import time

import pytest

from ray_lite import _core

MILLION = 1_000_000
CPU = 10_000


class Board:
    """Counters of the children's own, beside the region: how much runs now and how much ran at once at most."""

    def __init__(self):
        import mmap

        self.map = mmap.mmap(-1, 4096)

    def add(self, place, amount):
        """Not atomic: each worker has a place of its own."""
        old = struct.unpack_from("q", self.map, place * 8)[0]
        struct.pack_into("q", self.map, place * 8, old + amount)

    def read(self, places):
        return [struct.unpack_from("q", self.map, place * 8)[0] for place in places]


WORKERS = 4


@pytest.fixture
def board():
    board = Board()
    yield board
    board.map.close()


def busy(board, place_of, cpus):
    """A task that says what it uses, and looks at what all use together."""

    def run(number):
        place = place_of()
        board.add(place, cpus)
        used = sum(board.read(range(WORKERS)))
        time.sleep(0)
        board.add(place, -cpus)
        return used

    return run


@pytest.fixture
def crowd(make_region, tasks, worker, board):
    """A session with `cpus`, four workers and a function for each shape; `calls` submits."""

    def make(cpus, shapes):
        region = make_region(cpus=cpus)
        place = {}
        functions = {f"use {shape}": busy(board, lambda: place["mine"], shape) for shape in shapes}
        calls = tasks(region, functions)

        def work(region, number):
            place["mine"] = number
            calls.worker(region)

        for number in range(WORKERS):
            worker(region, lambda region, number=number: work(region, number))
        return region, calls

    return make


@pytest.mark.parametrize("cpus, shapes", [(2, [CPU]), (1, [CPU]), (3, [CPU, 2 * CPU]), (1, [CPU // 2, CPU // 4, CPU])])
def test_no_more_is_used_than_there_is(crowd, cpus, shapes):
    region, calls = crowd(cpus * CPU, shapes)
    ids = [calls.call(f"use {shapes[k % len(shapes)]}", cpus=shapes[k % len(shapes)])(k) for k in range(300)]
    assert calls.wait(ids, 0, 30_000)
    used = [calls.get(x) for x in ids]
    assert max(used) <= cpus * CPU
    _core.close_session(region)
    assert region.statistics()["ready"] == 0


def test_tasks_without_cpus_run_beside_what_takes_them_all(crowd, board):
    region, calls = crowd(CPU, [0, CPU])
    ids = [calls.call(f"use {(k % 2) * CPU}", cpus=(k % 2) * CPU)(k) for k in range(100)]
    assert calls.wait(ids, 0, 30_000)
    _core.close_session(region)


def test_a_session_without_cpus_runs_what_needs_none(make_region, tasks, worker):
    region = make_region(cpus=0)
    calls = tasks(region, {"echo": lambda x: x})
    worker(region, calls.worker)
    x, y = calls.call("echo", cpus=0)(1), calls.call("echo", cpus=CPU)(2)
    assert calls.get(x) == 1
    assert not calls.wait([y], 0, 30)
    assert region.statistics()["ready"] == 1
    _core.close_session(region)


def test_what_does_not_fit_waits_and_lets_others_pass(make_region, tasks, worker):
    region = make_region(cpus=2 * CPU)
    calls = tasks(region, {"echo": lambda x: x})
    large = calls.call("echo", cpus=3 * CPU)(0)
    small = [calls.call("echo")(k) for k in range(20)]
    worker(region, calls.worker)
    assert [calls.get(x) for x in small] == list(range(20))
    assert not calls.wait([large], 0, 10)
    assert _core.can_start(region)[0] == 1
    _core.close_session(region)


def test_a_great_many_shapes_that_do_not_fit_stay_within_one_log(make_region, tasks, worker, wait_until):
    """Each is noted as passed over, but not all of them in one section."""
    region = make_region(cpus=CPU)
    calls = tasks(region, {"echo": lambda x: x})
    ids = [calls.call("echo", cpus=CPU + 1 + k)(k) for k in range(70)]
    worker(region, calls.worker)
    wait_until(lambda: region.statistics()["idle"] == 1, what="an idle worker")
    assert region.statistics()["longest_section"] <= 64
    _core.close_session(region)
    del ids


def test_a_shape_has_one_queue(make_region):
    region = make_region()
    queues = [_core.demand_queue(region, cpus) for cpus in (0, 1, CPU)]
    assert len(set(queues)) == 3
    assert queues == [_core.demand_queue(region, cpus) for cpus in (0, 1, CPU)]


def test_queues_are_served_in_turn(make_region, tasks, worker):
    """One worker, three shapes: the order in which tasks ran mixes them, and keeps each shape's own order."""
    region = make_region(cpus=CPU)
    seen = []
    calls = tasks(region, {"next": lambda shape, number: seen.append((shape, number)) or len(seen)})
    shapes = (1000, 2000, 3000)
    ids = {(shape, k): calls.call("next", cpus=shape)(shape, k) for shape in shapes for k in range(30)}
    worker(region, calls.worker)
    assert calls.wait(list(ids.values()), 0, 30_000)
    order = sorted(ids, key=lambda key: calls.get(ids[key]))
    for shape in shapes:
        assert [k for s, k in order if s == shape] == list(range(30))
    assert len({s for s, _ in order[:3]}) == 3
    _core.close_session(region)


def test_a_blocked_task_lends_its_cpus(make_region, tasks, worker):
    """One CPU: the outer task could never see the inner one end if it kept its own."""
    region = make_region(cpus=CPU)
    box = {}

    def outer(number):
        x = calls.call("inner")(number)
        _core.block(box["region"])
        ready = calls.wait([x], 0, 20_000)
        free = _core.can_start(box["region"])[3]
        _core.unblock(box["region"])
        assert _core.can_start(box["region"])[3] <= 0 <= free
        return calls.get(x) if ready else -1

    calls = tasks(region, {"outer": outer, "inner": lambda x: x + 1})

    def work(region):
        box["region"] = region
        calls.worker(region)

    for _ in range(2):
        worker(region, work)
    assert [calls.get(calls.call("outer")(k)) for k in range(20)] == list(range(1, 21))
    _core.close_session(region)


# ---------------------------------------------------------------- GPUs


class Gpus:
    """Calls that need GPUs, and which ones each got."""

    def __init__(self, region, calls):
        self.region, self.calls = region, calls

    def call(self, gpus, k=0, cpus=0):
        return self.calls.shaped("held", cpus, gpus)(k)


@pytest.fixture
def gpus(make_region, tasks, worker):
    """`gpus(number, workers)`: tasks that answer with the GPUs they hold, as a sum of powers of two."""
    gates = []

    def make(number, workers, hold=False):
        region = make_region(cpus=4 * CPU, gpus=number)
        box = {}
        gates.append(gate := os.eventfd(0))

        def held(k):
            found = sum(1 << g for g in _core.held_gpus(box["region"]))
            if hold:
                os.read(gate, 8)
                os.eventfd_write(gate, 1)
            return found

        calls = tasks(region, {"held": held})

        def work(region):
            box["region"] = region
            calls.worker(region)

        for _ in range(workers):
            worker(region, work)
        return region, Gpus(region, calls), gate

    yield make
    for gate in gates:
        os.close(gate)


def test_each_task_has_gpus_of_its_own(gpus, wait_until):
    region, calls, gate = gpus(4, 4, hold=True)
    ids = [calls.call(CPU) for _ in range(2)] + [calls.call(2 * CPU)]
    wait_until(lambda: _core.resource_amounts(region)[1][1] == 0, what="all are taken")
    region.check()
    more = calls.call(CPU)
    assert not calls.calls.wait([more], 0, 30)
    os.eventfd_write(gate, 1)
    found = [calls.calls.get(x) for x in ids]
    assert sum(found) == 15 and sorted(bin(one).count("1") for one in found) == [1, 1, 2]
    assert bin(calls.calls.get(more)).count("1") == 1
    _core.close_session(region)


def test_parts_share_one_gpu(gpus, wait_until):
    region, calls, gate = gpus(2, 4, hold=True)
    ids = [calls.call(CPU // 4) for _ in range(4)]
    wait_until(lambda: region.statistics()["ready"] == 0, what="all run")
    region.check()
    assert _core.resource_amounts(region)[1] == (2 * CPU, CPU)
    os.eventfd_write(gate, 1)
    assert {calls.calls.get(x) for x in ids} == {1}
    wait_until(lambda: _core.resource_amounts(region)[1] == (2 * CPU, 2 * CPU), what="all is given back")
    _core.close_session(region)


def test_a_worker_keeps_its_gpus_and_serves_only_tasks_with_as_many(gpus):
    """One worker: what it ran first decides."""
    region, calls, _ = gpus(2, 1)
    assert calls.calls.get(calls.call(CPU)) == 1
    other = [calls.call(0, cpus=CPU), calls.call(2 * CPU)]
    assert not calls.calls.wait(other, 1, 30)
    assert calls.calls.get(calls.call(CPU)) == 1 == calls.calls.get(calls.call(CPU // 2))
    assert _core.can_start(region)[4] and _core.can_start(region)[5] == 1
    _core.close_session(region)
    del other


def test_random_gpu_tasks_run_all(gpus, wait_until):
    """Enough workers for every set: each task gets so many, and nothing leaks."""
    region, calls, _ = gpus(3, 9)
    rng = random.Random(5)
    wanted = [rng.choice((0, CPU // 4, CPU // 2, CPU, 3 * CPU)) for _ in range(300)]
    ids = [calls.call(amount) for amount in wanted]
    for x, amount in zip(ids, wanted, strict=True):
        assert bin(calls.calls.get(x)).count("1") == (max(1, amount // CPU) if amount else 0)
    wait_until(lambda: _core.resource_amounts(region)[1] == (3 * CPU, 3 * CPU), what="all is given back")
    _core.close_session(region)
