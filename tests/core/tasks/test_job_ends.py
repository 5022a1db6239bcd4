"""job_ends.pyx: a driver is killed, and nothing of its job stays; what other jobs hold of it lives, or is an error."""

import os
import signal

import pytest

from ray_lite import _core

CPU = 10_000


def lose_all(region, job, cause):
    """What the host does once the job's processes are gone, but for its actors."""
    _core.begin_drop(region, job)
    for slot, *_ in _core.job_processes(region, job):
        _core.begin_sweep(region, slot)
        while (found := _core.adopt_task(region, slot))[0]:
            _core.lose_task(region, found[0], cause)
        if actor := _core.actor_in(region, slot):
            _core.end_actor(region, actor, cause)
        _core.end_sweep(region, slot)
        region.check()
    in_pieces(lambda at: _core.lose_tasks(region, job, cause, at), region)


def in_pieces(step, region):
    at = 1
    while at := step(at):
        region.check()


def free_all(region, job):
    in_pieces(lambda at: _core.forget_sites(region, job, at), region)
    in_pieces(lambda at: _core.unkeep_objects(region, job, at), region)
    in_pieces(lambda at: _core.free_queues(region, job, at), region)
    _core.free_job(region, job)
    region.check()


class Host:
    """This process: the host, and the driver of the first job; and a second job, whose driver is a child."""

    def __init__(self, place, region, tasks, forked):
        self.place, self.region, self.tasks, self.forked = place, region, tasks, forked
        self.own = tasks(region, {"add": lambda x, y=0: x + y, "echo": lambda x: x})
        self.queue = _core.actor_queue(region, _core.LIVES, (0, 0, (), 0))

    def cause(self):
        x = _core.create_object(self.region, _core.next_put_id(), 0, False)
        _core.fill_object(self.region, _core.object_index(x), _core.ERROR, (b"its driver is dead", [], [], []))
        _core.seal_object(self.region, x)
        return x

    def drive(self, function):
        """A job whose driver calls `function(region, tasks)` and hands over the ids that this returns: (job, child, ids)."""
        other = self.place.another_job()
        reads, writes = os.pipe()

        def main():
            _core.observe(other)
            other.take_slot(other_slot)
            other.make_current()
            _core.set_root(os.urandom(20))
            kept = function(other, self.tasks(other, {"echo": lambda x: x, "holds": lambda: signal.pause()}))
            os.write(writes, b"".join(x.binary() for x in kept[0]) + b".")
            signal.pause()

        other_slot = other.slot
        child = self.forked(main)
        data = b""
        while not data.endswith(b".") or len(data) % 20 != 1:
            data += os.read(reads, 4096)
        os.close(reads), os.close(writes)
        ids = [_core.ObjectID(data[k:k + 20]) for k in range(0, len(data) - 1, 20)]
        _core.resolve_all(self.region, ids)
        return other.job, child, ids

    def counts(self):
        facts = self.region.statistics()
        names = "objects tasks refs actors lanes kept bytes_kept bytes_used jobs slots cpus_free"
        return {name: facts[name] for name in names.split()}


@pytest.fixture
def host(make_region, tasks, forked):
    def make(**changes):
        region = make_region(cpus=CPU, **changes)
        return Host(make_region.files_of(region), region, tasks, forked)

    return make


def busy(region, calls):
    """Queued tasks, tasks that wait for these, one that waits in two jobs' sense, a value, a kept one."""
    ready = [calls.call("echo", nreturns=1)(k) for k in range(40)]
    waits = [calls.call("echo", cpus=CPU * (1 + k % 3))(x) for k, x in enumerate(ready)]
    deep = calls.call("echo")(waits[0])
    value = _core.create_object(region, _core.next_put_id(), 3, False)
    _core.fill_object(region, _core.object_index(value), 0, (b"big", [], [], [ready[0]]))
    _core.seal_object(region, value)
    return [ready[0], deep, value], waits, ready


def test_nothing_stays_of_a_killed_driver(host, worker):
    one = host()
    before = one.counts()
    for _ in range(5):
        job, child, (pending, deep, value) = one.drive(busy)
        mine = one.own.call("add")(deep)
        child.kill()
        cause = one.cause()
        lose_all(one.region, job, cause)
        free_all(one.region, job)
        assert one.region.statistics()["jobs"] == 1
        error = _core.payload(one.region, pending)[0]
        assert error and bytes(_core.payload(one.region, value)[1]) == b"big"
        del error
        worker_child, slot = worker(one.region, one.own.worker)
        assert one.own.wait([mine], 0, 10_000)  # it ran, or failed with what it got
        _core.retire_idle(one.region, 0)
        worker_child.kill()
        _core.begin_sweep(one.region, slot)
        _core.end_sweep(one.region, slot)
        del pending, deep, value, mine, cause
    after = one.counts()
    assert {name: (before[name], after[name]) for name in before if before[name] != after[name]} == {}


def test_a_thousand_drivers_leave_the_tables_as_they_were(host):
    """Each with shapes of its own; the tables do not grow after the first ones."""
    one = host(resources=[CPU] * 3)

    def shapes(region, calls):
        queues = [calls.shaped("echo", CPU, 0, [(k % 3, 5 + k)])(k) for k in range(20)]
        return [queues[0]], queues

    used = []
    for _ in range(20):
        job, child, ids = one.drive(shapes)
        child.kill()
        cause = one.cause()
        lose_all(one.region, job, cause)
        free_all(one.region, job)
        del ids, cause
        used.append((one.counts(), one.region.statistics()["region_bytes"]))
    assert used[-1] == used[3]
