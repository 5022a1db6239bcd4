"""cancel.pyx: what is queued is taken out, what waits is let go, what runs is marked; each exactly once."""

import os
import random
import signal

import pytest

from ray_lite import _core

GONE, QUEUED, RUNS = 0, 1, 2


def end_cancelled(region):
    """The node's part: (how many were taken)."""
    count = 0
    while t := _core.take_cancelled_queued(region):
        for i in _core.task_returns(region, t):
            if i:
                _core.fill_object(region, i, _core.ERROR, (b"cancelled", [], [], []))
        _core.finish_task(region, t)
        count += 1
    return count


def cancel(region, x, force=False):
    return _core.cancel(region, *_core.task_of(region, x), force)


def test_a_queued_task_is_ended_by_the_node(make_region, tasks):
    region = make_region()
    place = make_region.files_of(region)
    calls = tasks(region, {"echo": lambda x: x})
    first, x, last = (calls.call("echo")(k) for k in range(3))
    assert cancel(region, x) == QUEUED and place.rung()
    region.check()
    assert region.statistics()["ready"] == 2 and cancel(region, x) == GONE
    assert end_cancelled(region) == 1
    assert calls.wait([x], 0, 1000) and region.statistics()["tasks"] == 2
    assert cancel(region, x) == GONE, "its result is there"
    del first, last


def test_a_task_that_waits_for_arguments_lets_go_of_them(make_region, tasks):
    region = make_region()
    calls = tasks(region, {"echo": lambda x: x, "many": lambda *x: len(x)})
    arguments = [calls.call("echo")(k) for k in range(30)]
    x = calls.call("many")(*arguments)
    behind = calls.call("many")(x)
    assert cancel(region, x) == QUEUED
    region.check()
    assert end_cancelled(region) == 1
    region.check()
    assert calls.wait([x], 0, 1000) and region.statistics()["ready"] == 31, "who waits for it goes on"
    del behind


def test_a_seal_does_not_wake_a_cancelled_task(make_region, tasks, worker):
    """Its arguments come between the cancellation and the node's look."""
    region = make_region()
    calls = tasks(region, {"echo": lambda x: x})
    argument = calls.call("echo")(1)
    x = calls.call("echo")(argument)
    assert cancel(region, x) == QUEUED
    worker(region, calls.worker)
    assert calls.get(argument) == 1
    region.check()
    assert end_cancelled(region) == 1 and calls.wait([x], 0, 1000)
    _core.close_session(region)


def test_a_running_task_is_marked(make_region, tasks, worker, wait_until):
    region = make_region()
    calls = tasks(region, {"stuck": lambda x: signal.pause()})
    _, slot = worker(region, calls.worker)
    x = calls.call("stuck")(1)
    wait_until(lambda: region.statistics()["cpus_free"] < 2, what="the task runs")
    before = _core.cancel_count(region)
    assert _core.cancel_marks(region) == []
    assert cancel(region, x) == RUNS and _core.cancel_marks(region) == [(slot, True, False)]
    assert cancel(region, x, force=True) == RUNS and _core.cancel_marks(region) == [(slot, True, True)]
    assert _core.cancel_count(region) == before + 2 and end_cancelled(region) == 0


def test_a_marked_task_is_told_once(make_region, tasks, worker, wait_until):
    region = make_region()
    box = {}

    def tells(k):
        while not _core.is_cancelled(box["region"]):
            pass
        _core.cancel_delivered(box["region"])
        asked = _core.is_cancelled(box["region"])
        os.read(gate, 8)
        return asked, _core.is_cancelled(box["region"])

    gate = os.eventfd(0)
    calls = tasks(region, {"tells": tells})

    def work(region):
        box["region"] = region
        calls.worker(region)

    worker(region, work)
    x = calls.call("tells")(1)
    wait_until(lambda: region.statistics()["cpus_free"] < 2, what="the task runs")
    cancel(region, x)
    wait_until(lambda: _core.cancel_marks(region) == [], what="it was told")
    assert cancel(region, x) == RUNS and len(_core.cancel_marks(region)) == 1, "somebody asks again"
    os.eventfd_write(gate, 1)
    assert calls.get(x) == (False, True)
    os.close(gate)
    _core.close_session(region)


def test_what_a_cancelled_task_submits_ends_too(make_region, tasks, worker, wait_until):
    region = make_region()
    box = {}

    def parent(k):
        os.eventfd_write(begun, 1)
        while not _core.is_cancelled(box["region"]):
            pass
        box["child"] = calls.call("echo")(1)
        return k

    begun = os.eventfd(0)
    calls = tasks(region, {"parent": parent, "echo": lambda x: x})

    def work(region):
        box["region"] = region
        calls.worker(region)

    worker(region, work)
    x = calls.call("parent")(3)
    assert os.eventfd_read(begun) == 1
    assert _core.cancel(region, *_core.task_of(region, x), False, True) == RUNS
    assert calls.get(x) == 3
    assert end_cancelled(region) == 1 and region.statistics()["tasks"] == 0
    os.close(begun)
    _core.close_session(region)


@pytest.mark.parametrize("method", ["shape", "fail"])
def test_a_task_that_is_cancelled_before_its_worker_gives_it_back_never_begins_again(make_region, tasks, worker, method):
    region = make_region()

    def fails(k):
        raise ValueError(k)

    calls = tasks(region, {"fails": fails})
    x = calls.call("fails")(1)
    task = _core.task_of(region, x)

    def work(region):
        runner = calls.runner(region)
        usual = getattr(runner, method)

        def gives_back(*arguments):
            setattr(runner, method, usual)
            return (_core.cancel(region, *task, False) == RUNS) == (method == "fail")  # True of `fail`, False of `shape`

        setattr(runner, method, gives_back)
        _core.Worker(region, runner).run(50_000, 100_000_000)

    assert worker(region, work)[0].wait() == 0
    region.check()
    assert region.statistics()["ready"] == 0 and end_cancelled(region) == 1
    assert calls.wait([x], 0, 1000) and region.statistics()["tasks"] == 0


def test_a_cancelled_task_of_a_dead_worker_is_not_queued_again(make_region, tasks, worker, bury, wait_until):
    region = make_region()
    calls = tasks(region, {"stuck": lambda x: signal.pause()})
    child, slot = worker(region, calls.worker)
    x = calls.call("stuck")(1)
    wait_until(lambda: region.statistics()["cpus_free"] < 2, what="the task runs")
    assert cancel(region, x) == RUNS
    child.kill()
    bury(region, slot)
    region.check()
    assert region.statistics()["ready"] == 0 and end_cancelled(region) == 1
    assert calls.wait([x], 0, 1000) and region.statistics()["tasks"] == 0


def test_what_was_put_has_no_task(region):
    assert _core.task_of(region, _core.put_plain(region, 1)) == (0, 0)
    assert _core.cancel(region, 0, 0, False) == GONE


def test_a_record_that_is_another_task_by_now_is_left_alone(make_region, tasks, worker):
    region = make_region()
    calls = tasks(region, {"echo": lambda x: x})
    x = calls.call("echo")(1)
    old = _core.task_of(region, x)
    assert cancel(region, x) == QUEUED and end_cancelled(region) == 1
    y = calls.call("echo")(2)
    assert _core.task_of(region, y)[0] == old[0], "the record is used again"
    assert _core.cancel(region, *old, False) == GONE
    worker(region, calls.worker)
    assert calls.get(y) == 2
    _core.close_session(region)


@pytest.mark.parametrize("seed", range(3))
def test_random_cancellations_among_running_workers(make_region, tasks, worker, seed):
    """Every task has one end: its value, or the cancellation; and nothing is left."""
    region = make_region()
    calls = tasks(region, {"echo": lambda *x: x[0] if isinstance(x[0], int) else -1})
    for _ in range(2):
        worker(region, calls.worker)
    rng = random.Random(seed)
    ids, chosen, marked = [], set(), set()
    for k in range(400):
        ids.append(calls.call("echo")(k, *rng.sample(ids[-20:], min(len(ids), rng.randrange(3)))))
        if rng.random() < 0.3:
            victim = rng.randrange(len(ids))
            {QUEUED: chosen, RUNS: marked}.get(cancel(region, ids[victim]), set()).add(victim)
        if rng.random() < 0.1:
            end_cancelled(region)
    end_cancelled(region)
    assert calls.wait(ids, 0, 20_000)
    for k, x in enumerate(ids):
        value = _core.get_ready(region, x)
        failed = value is _core.MISS
        assert (failed or value == k) and (failed == (k in chosen) or k in marked)
    _core.close_session(region)


def test_descendants_are_those_whose_parents_run(make_region, tasks, worker, wait_until):
    region = make_region(cpus=0)
    box = {}

    def parent(depth):
        x = calls.call("parent", cpus=0)(depth - 1) if depth else calls.call("never")(0)
        os.write(1, b"") if depth < 0 else signal.pause()
        return x

    calls = tasks(region, {"parent": parent, "never": lambda x: x})

    def work(region):
        box["region"] = region
        calls.worker(region)

    for _ in range(3):
        worker(region, work)
    x = calls.call("parent", cpus=0)(2)
    stranger = calls.call("never")(1)
    wait_until(lambda: region.statistics()["tasks"] == 5, what="a chain of tasks")
    found = _core.descendants(region, [_core.task_of(region, x)])
    assert len(found) == 3 and _core.task_of(region, stranger) not in found
