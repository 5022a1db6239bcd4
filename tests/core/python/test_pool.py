"""pool.pyx: who may end, and what a worker learns of itself."""

import os

import pytest

from ray_lite import _core

CPU = 10_000


@pytest.fixture
def crew(make_region, tasks, worker, wait_until):
    """`crew(n)`: (region, calls, [(child, slot)]) with n idle workers that end when they are asked to."""

    def make(number, **changes):
        region = make_region(cpus=number * CPU, **changes)
        calls = tasks(region, {"echo": lambda x: x, "pid": lambda x: os.getpid()})

        def work(region):
            loop = _core.Worker(region, calls.runner(region))
            while not _core.is_closing(region) and not loop.retired:
                loop.run(0, 10**10)
            loop.leave()

        crew = [worker(region, work) for _ in range(number)]
        wait_until(lambda: region.statistics()["idle"] == number, what="idle workers")
        return region, calls, crew

    return make


def test_the_longest_idle_ends_first_and_nobody_else(crew, bury):
    region, calls, members = crew(3)
    busy = calls.get(calls.call("pid")(0))  # the most recently idle
    slot = _core.retire_idle(region, 0)
    child = next(child for child, its in members if its == slot)
    assert child.wait() == 0 and child.pid != busy
    bury(region, slot)
    assert region.statistics()["idle"] == 2
    assert calls.get(calls.call("echo")(7)) == 7
    _core.close_session(region)


def test_nobody_ends_who_is_not_idle_for_long_enough(crew):
    region, _, _ = crew(2)
    assert _core.retire_idle(region, 10**12) == 0
    assert 0 <= _core.longest_idle(region) < 10**12
    _core.close_session(region)


def test_without_idle_workers_there_is_nobody_to_ask(make_region):
    region = make_region()
    assert _core.retire_idle(region, 0) == 0 and _core.longest_idle(region) == -1


def test_all_that_are_asked_end_and_tasks_are_not_lost(crew, bury):
    """Two of three are asked to end while tasks are on their way: the third runs what they left."""
    region, calls, members = crew(3)
    ids, ended = [], []
    for k in range(3):
        ids.append(calls.call("echo")(k))
        if k < 2:
            ended.append(_core.retire_idle(region, 0))
    for child, slot in members:
        if slot in ended:
            assert child.wait() == 0
            bury(region, slot)
    assert [calls.get(x) for x in ids] == [0, 1, 2]
    region.check()
    _core.close_session(region)


def test_resources_of_each_kind(make_region):
    region = make_region(cpus=3 * CPU, gpus=2, resources=[5, CPU])
    assert _core.resource_amounts(region) == [(3 * CPU, 3 * CPU), (2 * CPU, 2 * CPU), (5, 5), (CPU, CPU)]
    assert _core.held_gpus(region) == []


def test_a_worker_that_can_not_change_its_threads_serves_tasks_of_one_size(make_region, tasks, worker):
    region = make_region(cpus=2 * CPU)
    box = {}

    def fix(threads):
        _core.fix_threads(box["region"], threads)
        return os.getpid()

    calls = tasks(region, {"fix": fix, "pid": lambda x: os.getpid()})

    def work(region):
        box["region"] = region
        calls.worker(region)

    worker(region, work)
    fixed = calls.get(calls.call("fix")(1))
    other = calls.call("pid", cpus=2 * CPU)(0)
    assert not calls.wait([other], 0, 30)
    assert _core.can_start(region)[4], "another worker would have work"
    worker(region, work)
    assert calls.get(other) != fixed
    assert calls.get(calls.call("pid")(0)) in (fixed, calls.get(other))
    _core.close_session(region)
