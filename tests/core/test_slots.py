"""slots.pyx: who is here and who is idle."""

import os
import random
import time

from ray_lite import _core

CPU = 10_000


def test_a_worker_is_starting_until_it_is_here(make_region, worker, tasks, wait_until):
    region = make_region()
    calls = tasks(region, {"echo": lambda x: x})
    slot = _core.open_worker(region)
    assert region.statistics()["starting"] == 1
    region.check()
    _core.begin_sweep(region, slot)
    _core.end_sweep(region, slot)
    assert region.statistics()["starting"] == 0
    worker(region, calls.worker)
    wait_until(lambda: region.statistics()["idle"] == 1, what="an idle worker")
    assert (os.getpid(), _core.DRIVER) in region.processes()
    assert len(region.processes()) == 2
    _core.close_session(region)


def test_the_node_is_rung_when_nobody_can_run_a_task(make_region, tasks):
    region = make_region()
    calls = tasks(region, {"echo": lambda x: x})
    bell = make_region.files_of(region).rung
    assert not bell()
    x = calls.call("echo")(1)
    assert bell()
    y = calls.call("echo")(2)
    assert bell(), "each ring that follows an answer is heard"
    _core.set_full(region, True)
    z = calls.call("echo")(3)
    assert not bell(), "it could start nobody"
    _core.set_full(region, False)
    del x, y, z


def test_an_idle_worker_sleeps_until_it_is_rung(make_region, tasks, worker, wait_until):
    """Rounds of sleep and task; each needs its wake-up, the park is much longer."""
    region = make_region()
    calls = tasks(region, {"echo": lambda x: x})
    worker(region, lambda region: calls.worker(region, 0, 20_000_000_000))
    slowest = 0
    for number in range(500):
        wait_until(lambda: region.statistics()["idle"] == 1, what="an idle worker")
        before = time.monotonic()
        assert calls.get(calls.call("echo")(number)) == number
        slowest = max(slowest, time.monotonic() - before)
    assert slowest < 15
    _core.close_session(region)


def test_no_task_stays_behind_when_workers_are_idle(make_region, tasks, worker, wait_until):
    """Bursts to three sleeping workers with long parks: every wake-up that is owed is paid."""
    region = make_region(cpus=3 * CPU)
    calls = tasks(region, {"echo": lambda x: x})
    for _ in range(3):
        worker(region, lambda region: calls.worker(region, 0, 20_000_000_000))
    rng = random.Random(1)
    for _ in range(200):
        wait_until(lambda: region.statistics()["idle"] == 3, what="three idle workers")
        ids = [calls.call("echo", cpus=rng.choice((0, CPU // 2, CPU)))(k) for k in range(rng.randrange(1, 9))]
        before = time.monotonic()
        assert [calls.get(x) for x in ids] == list(range(len(ids)))
        assert time.monotonic() - before < 10
    _core.close_session(region)
