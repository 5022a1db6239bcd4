"""CPUs and queues: never more CPUs are taken than there are, nothing is passed over for ever, shapes keep their order."""

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
    queues = [_core.shape(region, job, cpus) for job in (1, 2) for cpus in (0, 1, CPU)]
    assert len(set(queues)) == 6
    assert queues == [_core.shape(region, job, cpus) for job in (1, 2) for cpus in (0, 1, CPU)]


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
