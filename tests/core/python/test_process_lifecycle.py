"""What the node and a blocking worker do with slots: open, become, block, answer the bell, bury, close."""

import os
import select
import signal

import pytest

from ray_lite import _core
from ray_lite.exceptions import RaySystemError

CPU = 10_000


def test_what_the_node_looks_at(make_region, tasks, worker, wait_until):
    """(ready, idle, starting, free CPUs, whether a worker more would find a task, resting)"""
    region = make_region()
    calls = tasks(region, {"echo": lambda x: x})
    assert _core.can_start(region) == (0, 0, 0, 2 * CPU, False, 0)
    assert not _core.must_look(region)
    ids = [calls.call("echo")(k) for k in range(3)]
    assert _core.can_start(region) == (3, 0, 0, 2 * CPU, True, 0)
    assert _core.must_look(region)
    slot = _core.open_worker(region)
    assert _core.can_start(region)[2] == 1
    _core.begin_sweep(region, slot)
    _core.end_sweep(region, slot)
    worker(region, calls.worker)
    assert [calls.get(x) for x in ids] == [0, 1, 2]
    wait_until(lambda: _core.can_start(region) == (0, 1, 0, 2 * CPU, False, 1), what="an idle worker")
    _core.close_session(region)


def test_a_task_that_does_not_fit_starts_nobody(make_region, tasks):
    region = make_region(cpus=CPU)
    calls = tasks(region, {"echo": lambda x: x})
    x = calls.call("echo", cpus=2 * CPU)(1)
    assert _core.can_start(region) == (1, 0, 0, CPU, False, 0)
    assert not make_region.files_of(region).rung()
    del x


def test_a_childs_region_is_its_own(make_region, forked):
    region = make_region()
    slot = _core.open_worker(region)

    def child():
        assert region.inherited
        _core.adopt_slot(region, slot, os.getpid(), 5)
        assert not region.inherited and region.slot == slot
        x = _core.put_plain(region, "child")
        assert _core.get_ready(region, x) == "child"
        assert (os.getpid(), _core.WORKER) in region.processes()
        region.check()

    assert forked(child).wait() == 0
    _core.begin_sweep(region, slot)
    _core.end_sweep(region, slot)
    assert region.statistics()["objects"] == 0


def test_a_worker_that_has_not_asked_for_a_task_yet_needs_no_other(make_region, tasks, forked, wait_until):
    """A task that comes meanwhile will be its: the doorbell stays silent, and a look starts nobody."""
    region = make_region()
    calls = tasks(region, {"echo": lambda x: x})
    bell = make_region.files_of(region).rung
    slot = _core.open_worker(region)
    child = forked(lambda: (_core.adopt_slot(region, slot, os.getpid(), 5), signal.pause()))
    wait_until(lambda: (child.pid, _core.WORKER) in region.processes(), what="a worker")
    x = calls.call("echo")(1)
    assert not bell() and _core.can_start(region) == (1, 0, 1, 2 * CPU, False, 0)
    region.check()
    child.kill()
    _core.begin_sweep(region, slot)
    assert bell() and _core.can_start(region) == (1, 0, 0, 2 * CPU, True, 0)
    _core.end_sweep(region, slot)
    del x


def test_closing_ends_every_worker_soon(make_region, tasks, worker, wait_until):
    """Idle ones sleep 20 s by themselves."""
    region = make_region(cpus=4 * CPU)
    calls = tasks(region, {"echo": lambda x: x})
    crew = [worker(region, lambda region: calls.worker(region, 0, 20_000_000_000))[0] for _ in range(4)]
    wait_until(lambda: region.statistics()["idle"] == 4, what="four idle workers")
    assert not _core.is_closing(region)
    _core.close_session(region)
    assert _core.is_closing(region)
    wait_until(lambda: all(child.ended() for child in crew), what="the end of all workers")
    assert [child.wait() for child in crew] == [0] * 4


@pytest.mark.parametrize("blocked", [False, True])
def test_blocked_cpus_go_back_when_a_process_dies(make_region, tasks, worker, bury, wait_until, blocked):
    """Neither lost nor given twice, whether it died blocked or running."""
    region = make_region()
    box = {}

    def stuck(blocked):
        if blocked:
            _core.block(box["region"])
        box["write"]()
        signal.pause()

    def work(region):
        box["region"] = region
        calls.worker(region)

    read, write = os.pipe()
    box["write"] = lambda: os.write(write, b"!")
    calls = tasks(region, {"stuck": stuck})
    child, slot = worker(region, work)
    x = calls.call("stuck")(blocked)
    assert os.read(read, 1) == b"!"
    assert region.statistics()["cpus_free"] == (2 if blocked else 1)
    child.kill()
    assert len(bury(region, slot)) == 1
    assert region.statistics()["cpus_free"] == 2
    os.close(read), os.close(write)
    del x


def test_a_node_holds_its_lock_for_life(make_place, forked, wait_until):
    """When it dies, calls say so."""
    place = make_place()
    region = place.create()
    region.join(_core.DRIVER, os.getpid(), 0)
    region.make_current()
    _core.set_root(b"root of these tests.")
    ready = os.pipe()

    def node():
        mine = place.attach()
        mine.join(_core.NODE, os.getpid(), 0)
        os.write(ready[1], b"!")
        signal.pause()

    child = forked(node)
    assert os.read(ready[0], 1) == b"!"
    x = _core.put_plain(region, 1)
    assert x is not _core.MISS
    child.kill()
    with pytest.raises(RaySystemError, match="node process"):
        region.statistics()
    assert _core.put_plain(region, 1) is _core.MISS
    for file in ready:
        os.close(file)


def test_a_group_dies_with_its_node(forked, wait_until):
    """The worker's child too, though it never heard of the node."""
    read, write = os.pipe()

    def node():
        parent = os.getpid()
        if os.fork() == 0:
            os.setpgid(0, 0)
            _core.die_with_parent(parent)
            if os.fork() == 0:
                os.write(write, b"grandchild")
            else:
                os.write(write, b"child")
            while True:
                signal.pause()
        os.close(write)
        signal.pause()

    child = forked(node)
    os.close(write)
    seen = b""
    while len(seen) < 15:
        seen += os.read(read, 100)
    child.kill()
    assert select.select([read], [], [], 10)[0] and os.read(read, 1) == b"", "somebody still holds the pipe"
    os.close(read)
