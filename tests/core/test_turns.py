"""turns.pyx: nothing that fits waits behind what doesn't, whatever it lacks; nothing is overtaken for ever."""

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


class Call:
    """Calls of one shape."""

    def __init__(self, region, calls, *shape):
        self.region, self.index = region, next(iter(calls.by_index))
        self.queue = _core.shape(region, region.slot, *shape)

    def __call__(self, k):
        call = _core.RemoteCall(None)
        call.arm(self.region, self.index, self.queue, (1, 3, 0, 0, 9))
        return call(k)


def test_ten_thousand_shapes_that_lack_something_do_not_hide_the_one_that_fits(session, worker):
    region, calls = session(objects=1 << 15, arena=1 << 24, kinds=[CPU] * 3000, cpus=CPU)
    blocked = [Call(region, calls, CPU, 0, [(k, 2 * CPU)])(k) for k in range(3000)]
    fits = Call(region, calls, CPU, 0, [(7, CPU)])(5)
    worker(region, calls.worker)
    assert calls.get(fits) == 5
    statistics = region.statistics()
    assert statistics["ready"] == 3000 and statistics["longest_section"] <= 64
    assert statistics["hanging"] > 0
    _core.close_session(region)
    del blocked


def test_what_needs_less_goes_first_when_both_hang(session, worker, wait_until):
    region, calls = session(cpus=2 * CPU, kinds=[2 * CPU])
    large = Call(region, calls, 0, 0, [(0, 3 * CPU)])(1)
    worker(region, calls.worker)
    wait_until(lambda: region.statistics()["hanging"] == 1, what="it hangs")
    assert calls.get(Call(region, calls, 0, 0, [(0, 2 * CPU)])(2)) == 2
    assert region.statistics()["ready"] == 1
    _core.close_session(region)
    del large


def test_a_shape_that_hangs_too_long_gets_what_is_freed(make_region, tasks, worker, wait_until):
    """Two workers whose small tasks overlap would never leave two CPUs free for the large one."""
    region = make_region(cpus=2 * CPU, aging=1, objects=8192)
    calls = tasks(region, {"echo": lambda x: x})
    for _ in range(3):
        worker(region, calls.worker)
    large = calls.call("echo", cpus=2 * CPU)
    pending = [calls.call("echo")(k) for k in range(300)]
    ids = [large(k) for k in range(20)]
    for k in range(2000):
        pending.append(calls.call("echo")(k))
        _core.refresh(region)  # the node's look
    assert [calls.get(x) for x in ids] == list(range(20))
    assert calls.wait(pending, 0, 20_000)
    wait_until(lambda: not region.statistics()["reserved"], what="nothing is reserved any more")
    _core.close_session(region)


def test_nothing_is_reserved_for_an_empty_queue(session, worker, wait_until):
    region, calls = session(cpus=CPU, aging=1, kinds=[CPU])
    x = Call(region, calls, 0, 0, [(0, 2 * CPU)])(1)
    worker(region, calls.worker)
    wait_until(lambda: region.statistics()["hanging"] == 1, what="it hangs")
    wait_until(lambda: _core.refresh(region) or region.statistics()["reserved"], what="reserved")
    assert _core.cancel(region, *_core.task_of(region, x), False) == 1
    region.check()
    assert not region.statistics()["reserved"] and region.statistics()["hanging"] == 0
    assert calls.get(Call(region, calls, 0, 0, [(0, CPU)])(3)) == 3
    _core.close_session(region)


@pytest.mark.parametrize("seed", range(4))
def test_random_shapes_all_run_and_nobody_idles_while_something_fits(make_region, tasks, worker, bury, seed):
    """Kinds, whales, kills: at the end everything has run, and all is free again."""
    kinds = [CPU, 2 * CPU, CPU // 2] + [CPU] * 17
    region = make_region(objects=8192, cpus=2 * CPU, kinds=kinds)
    calls = tasks(region, {"echo": lambda x: x})
    rng = random.Random(seed)
    shapes = [(cpus, 0, ()) for cpus in (0, CPU // 2, CPU, 2 * CPU)]
    for _ in range(12):
        chosen = rng.sample(range(3), rng.randrange(1, 4))
        shapes.append((rng.choice((0, CPU // 4, CPU)), 0, [(k, rng.randrange(1, kinds[k] + 1)) for k in chosen]))
    shapes.append((0, 0, [(k, rng.randrange(1, kinds[k] + 1)) for k in range(20)]))
    made = [Call(region, calls, *shape) for shape in shapes]
    crew = [worker(region, lambda region: calls.worker(region, 0)) for _ in range(3)]
    ids = []
    for k in range(1500):
        ids.append(rng.choice(made)(k))
        if k % 300 == 299:
            child, slot = crew.pop(0)
            child.kill()
            bury(region, slot)
            region.check()
            crew.append(worker(region, lambda region: calls.worker(region, 0)))
    assert [calls.get(x) for x in ids] == list(range(1500))
    assert all(total == free for total, free in _core.resources(region)[2:])
    assert region.statistics()["hanging"] == 0 and region.statistics()["longest_section"] <= 64
    _core.close_session(region)


def test_many_shapes_that_no_idle_worker_can_serve(make_region, tasks, worker, wait_until):
    """More than are looked at: whoever submits them, or rings for others, goes on."""
    region = make_region(objects=4096, cpus=CPU, gpus=1)
    calls = tasks(region, {"echo": lambda x: x})
    worker(region, calls.worker)
    assert calls.get(calls.call("echo")(1)) == 1, "from now on it serves tasks without GPUs"
    wait_until(lambda: region.statistics()["idle"] == 1, what="it is idle")
    ids = [Call(region, calls, 100 + k, CPU)(k) for k in range(200)]
    _core.refresh(region)
    x = calls.call("echo", cpus=0)(2)
    assert _core.can_start(region)[4]
    worker(region, calls.worker)
    assert calls.get(x) == 2
    assert [calls.get(x) for x in ids] == list(range(200))
    _core.close_session(region)


def test_what_a_reserved_shape_does_not_lack_is_anybodys(make_region, tasks, worker, wait_until):
    """It waits for the first kind; others may take of the second meanwhile, even all of it."""
    region = make_region(cpus=2 * CPU, kinds=[CPU], aging=1)
    gate = os.eventfd(0)

    def holds(k):
        os.read(gate, 8)
        return k

    calls = tasks(region, {"echo": lambda x: x, "holds": holds})
    x = Call(region, calls, 0, 0, [(0, CPU)])
    for _ in range(2):
        worker(region, calls.worker)
    index = next(i for i, name in calls.by_index.items() if name == "holds")
    first = _core.RemoteCall(None)
    first.arm(region, index, x.queue, (1, 3, 0, 0, 9))
    held = first(7)
    wait_until(lambda: _core.resources(region)[2][1] == 0, what="the kind is held")
    aged = Call(region, calls, 2 * CPU, 0, [(0, CPU)])(8)
    wait_until(lambda: _core.refresh(region) or region.statistics()["reserved"], what="reserved")
    assert calls.get(calls.call("echo", cpus=2 * CPU)(9)) == 9
    os.eventfd_write(gate, 1)
    assert calls.get(held) == 7 and calls.get(aged) == 8
    os.close(gate)
    _core.close_session(region)
