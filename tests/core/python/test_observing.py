"""observing.pyx: what a process without a slot can see of a session."""

import os
import pickle

import pytest

from ray_lite import _core


@pytest.fixture
def region(ray_session):
    return ray_session.session.current().region


def test_processes_and_what_they_do(ray_session, region, gate, wait_until):
    arrive, wait = gate.arrive, gate.wait
    x = ray_session.remote(num_cpus=0)(lambda: (arrive("in"), wait())).remote()
    waits = ray_session.remote(num_cpus=0, inline=False)(lambda ids: ray_session.get(ids[0]))
    y = waits.remote([x])
    wait_until(lambda: gate.arrived("in") and _core.wait_rows(region))
    rows = {row[1]: row for row in _core.process_rows(region)}
    assert rows[os.getpid()][2] == _core.DRIVER and rows[ray_session.session.current().address["node_pid"]][2] == _core.NODE
    [(pid, role, function, awaited, state)] = _core.wait_rows(region)
    waiting = rows[pid]
    assert role == waiting[2] == _core.WORKER and waiting[4] == 1 and state == "RUNNING"
    assert waiting[7] and waiting[8] == function
    assert pickle.loads(_core.kept_stream(region, awaited)[0]).endswith("<lambda>")
    gate.open()
    ray_session.get(y)


def test_each_of_several_calls_that_waits_is_told(ray_session, region, gate, wait_until):
    arrive, wait = gate.arrive, gate.wait
    x = ray_session.remote(num_cpus=0)(lambda: (arrive("in"), wait())).remote()

    @ray_session.remote(num_cpus=0, max_concurrency=3)
    class Waits:
        def wait(self, ids):
            ray_session.get(ids[0])

        def hold(self):
            wait()

    actor = Waits.remote()
    calls = [actor.wait.remote([x]), actor.hold.remote(), actor.wait.remote([x])]
    wait_until(lambda: len(_core.wait_rows(region)) == 2)
    names = [pickle.loads(_core.kept_stream(region, row[2])[0]) for row in _core.wait_rows(region)]
    assert all(name.endswith("Waits.wait") for name in names)
    assert {(row[1], row[4]) for row in _core.wait_rows(region)} == {(_core.ACTOR, "RUNNING")}
    gate.open()
    ray_session.get(calls)
    wait_until(lambda: _core.wait_rows(region) == [])


def test_tasks_are_counted_by_function_and_state(ray_session, region, gate):
    wait = gate.wait
    hold, after = ray_session.remote(num_cpus=2)(lambda: wait()), ray_session.remote(lambda x: x)
    held = [hold.remote() for _ in range(3)]
    ids = [after.remote(held[0]) for _ in range(5)]
    counts = {}
    for (_, state), number in _core.task_counts(region).items():
        counts[state] = counts.get(state, 0) + number
    assert counts["WAITING"] == 5 and counts.get("READY", 0) + counts.get("RUNNING", 0) == 3
    gate.open()
    ray_session.get(ids + held)


def test_kept_objects_are_read_without_a_hold(ray_session, region):
    index = ray_session.session.current().store.keep(["a", 1])
    before = _core.object_facts(region, index)[4]
    stream, more = _core.kept_stream(region, index)
    assert (pickle.loads(stream), more) == (["a", 1], False)
    assert _core.object_facts(region, index)[4] == before
    x = ray_session.put(b"not kept")
    assert _core.kept_stream(region, _core.object_index(x)) is None
    assert _core.kept_stream(region, 0) is None and _core.kept_stream(region, 1 << 30) is None


def test_an_observer_sees_what_changes_and_its_end_disturbs_nobody(ray_session, region, forked):
    """Handles of the process that it was forked from do nothing there."""
    held = [ray_session.put(bytes(1000)) for _ in range(10)]

    def look():
        _core.observe(region)
        held.clear()
        assert region.slot == 0 and len(_core.process_rows(region)) >= 2
        assert region.statistics()["objects"] >= 10

    assert forked(look).wait() == 0
    assert all(ray_session.get(x) == bytes(1000) for x in held)
    region.check()
