"""slots.pyx: who is here and who is idle."""

import os
import random
import signal
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


def test_the_node_is_rung_when_nobody_can_run_a_task(make_region, tasks, worker, wait_until):
    region = make_region()
    calls = tasks(region, {"echo": lambda x: x, "stuck": lambda x: signal.pause()})
    bell = make_region.files_of(region).rung
    assert not bell()
    x = calls.call("echo")(1)
    assert bell()
    y = calls.call("echo")(2)
    assert bell(), "each ring that follows an answer is heard"
    worker(region, calls.worker)
    assert calls.get(x) == 1 and calls.get(y) == 2
    z = calls.call("stuck")(3)
    wait_until(lambda: region.statistics()["cpus_free"] == 1, what="it runs")
    bell()
    _core.set_at_limit(region, True)
    ids = [calls.call("echo")(4)]
    assert not bell(), "it could start nobody"
    _core.set_at_limit(region, False)
    ids.append(calls.call("echo")(5))
    assert bell()
    del ids, z


def test_the_node_is_rung_when_the_last_one_that_works_is_blocked(make_region, tasks, worker, wait_until):
    """What is queued may wait for ever then: it lacks what those hold who are blocked, and there may be no more workers."""
    region = make_region(resources=[CPU])
    gate = os.eventfd(0)

    def blocks(k):
        os.read(gate, 8)
        _core.block(region)
        os.read(gate, 8)
        _core.unblock(region)
        return k

    calls = tasks(region, {"blocks": blocks, "echo": lambda x: x})
    bell = make_region.files_of(region).rung
    worker(region, calls.worker)
    x = calls.shaped("blocks", CPU, 0, [(0, CPU)])(1)
    wait_until(lambda: region.statistics()["cpus_free"] == 1, what="it runs")
    y = calls.shaped("echo", CPU, 0, [(0, CPU)])(2)
    _core.set_at_limit(region, True)
    bell()
    os.eventfd_write(gate, 1)
    wait_until(bell, what="a ring")
    z = calls.call("echo")(3)
    assert bell(), "and for each task from then on"
    os.eventfd_write(gate, 1)
    assert [calls.get(i) for i in (x, y, z)] == [1, 2, 3]
    os.close(gate)
    _core.close_session(region)


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
