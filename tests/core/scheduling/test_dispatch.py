"""dispatch.pyx: nothing that fits waits behind what doesn't, whatever it lacks."""

import os
import random

import pytest

from ray_lite import _core

CPU = 10_000


@pytest.fixture
def session(make_region, tasks):
    def make(**changes):
        region = make_region(**changes)
        return region, tasks(region, {"echo": lambda x: x})

    return make


def test_ten_thousand_shapes_that_lack_something_do_not_hide_the_one_that_fits(session, worker):
    region, calls = session(objects=1 << 15, arena=1 << 24, resources=[CPU] * 3000, cpus=CPU)
    blocked = [calls.shaped("echo", CPU, 0, [(k, 2 * CPU)])(k) for k in range(3000)]
    fits = calls.shaped("echo", CPU, 0, [(7, CPU)])(5)
    worker(region, calls.worker)
    assert calls.get(fits) == 5
    statistics = region.statistics()
    assert statistics["ready"] == 3000 and statistics["longest_section"] <= 64
    assert statistics["stalled"] > 0
    _core.close_session(region)
    del blocked


def test_what_needs_less_goes_first_when_both_hang(session, worker, wait_until):
    region, calls = session(cpus=2 * CPU, resources=[2 * CPU])
    large = calls.shaped("echo", 0, 0, [(0, 3 * CPU)])(1)
    worker(region, calls.worker)
    wait_until(lambda: region.statistics()["stalled"] == 1, what="it hangs")
    assert calls.get(calls.shaped("echo", 0, 0, [(0, 2 * CPU)])(2)) == 2
    assert region.statistics()["ready"] == 1
    _core.close_session(region)
    del large


@pytest.fixture
def gates():
    """Two event counters, each of which lets as many tasks go as it is told."""
    files = [os.eventfd(0, os.EFD_SEMAPHORE) for _ in range(2)]
    yield files
    for file in files:
        os.close(file)


def test_all_that_fits_of_what_was_given_back_starts_at_once(make_region, tasks, worker, wait_until, gates):
    """The first one that hung there takes a part of it, and nothing more is given back: a look at the next is owed."""
    region = make_region(cpus=2 * CPU, resources=[2 * CPU])
    calls = tasks(region, {"holds": lambda k: os.eventfd_read(gates[k]), "echo": lambda x: x})
    for _ in range(3):
        worker(region, calls.worker)
    ids = [calls.shaped("holds", 0, 0, [(0, 2 * CPU)])(0)]
    wait_until(lambda: _core.resource_amounts(region)[2][1] == 0, what="all of it is held")
    ids += [calls.shaped("holds", cpus, 0, [(0, CPU)])(1) for cpus in (0, CPU)]
    assert calls.get(calls.call("echo", cpus=0)(5)) == 5, "whoever ran it has passed over the others"
    assert region.statistics()["stalled"] == 2
    os.eventfd_write(gates[0], 1)
    wait_until(lambda: region.statistics()["ready"] == 0, what="both run")
    os.eventfd_write(gates[1], 2)
    assert calls.wait(ids, 0, 20_000)
    _core.close_session(region)


def test_who_worked_last_works_next(make_region, tasks, worker, wait_until):
    """While others idle: its caches are warm, and who is idle the longest may retire."""
    region = make_region()
    calls = tasks(region, {"pid": lambda x: os.getpid()})
    for _ in range(4):
        worker(region, lambda region: calls.worker(region, park=60_000_000_000))  # nobody looks by himself
    pids = set()
    for _ in range(20):
        wait_until(lambda: region.statistics()["idle"] == 4, what="all idle")
        pids.add(calls.get(calls.call("pid")(1)))
    assert len(pids) == 1
    _core.close_session(region)


@pytest.mark.parametrize("aging", [10**9, 1])
@pytest.mark.parametrize("seed", range(4))
def test_random_shapes_all_run(make_region, tasks, worker, bury, seed, aging):
    """Kinds, whales, kills, with and without a reservation: at the end everything has run, and all is free again."""
    kinds = [CPU, 2 * CPU, CPU // 2] + [CPU] * 17
    region = make_region(objects=8192, cpus=2 * CPU, resources=kinds, aging=aging)
    calls = tasks(region, {"echo": lambda x: x})
    rng = random.Random(seed)
    shapes = [(cpus, 0, ()) for cpus in (0, CPU // 2, CPU, 2 * CPU)]
    for _ in range(12):
        chosen = rng.sample(range(3), rng.randrange(1, 4))
        shapes.append((rng.choice((0, CPU // 4, CPU)), 0, [(k, rng.randrange(1, kinds[k] + 1)) for k in chosen]))
    shapes.append((0, 0, [(k, rng.randrange(1, kinds[k] + 1)) for k in range(20)]))
    made = [calls.shaped("echo", *shape) for shape in shapes]
    crew = [worker(region, lambda region: calls.worker(region, 0)) for _ in range(3)]
    ids = []
    for k in range(1500):
        ids.append(rng.choice(made)(k))
        if k % 10 == 0:
            _core.recheck_stalled(region)
        if k % 300 == 299:
            child, slot = crew.pop(0)
            child.kill()
            bury(region, slot)
            region.check()
            crew.append(worker(region, lambda region: calls.worker(region, 0)))
    assert [calls.get(x) for x in ids] == list(range(1500))
    assert all(total == free for total, free in _core.resource_amounts(region)[2:])
    assert region.statistics()["stalled"] == 0 and region.statistics()["longest_section"] <= 64
    _core.close_session(region)


def test_many_shapes_that_no_idle_worker_can_serve(make_region, tasks, worker, wait_until):
    """More than are looked at: whoever submits them, or rings for others, goes on."""
    region = make_region(objects=4096, cpus=CPU, gpus=1)
    calls = tasks(region, {"echo": lambda x: x})
    worker(region, calls.worker)
    assert calls.get(calls.call("echo")(1)) == 1, "from now on it serves tasks without GPUs"
    wait_until(lambda: region.statistics()["idle"] == 1, what="it is idle")
    ids = [calls.shaped("echo", 100 + k, CPU)(k) for k in range(200)]
    _core.recheck_stalled(region)
    x = calls.call("echo", cpus=0)(2)
    assert _core.can_start(region)[4]
    worker(region, calls.worker)
    assert calls.get(x) == 2
    assert [calls.get(x) for x in ids] == list(range(200))
    _core.close_session(region)
