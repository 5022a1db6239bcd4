"""actor_ends.pyx: handles, death, and the end of calls that nobody will run."""

import gc
import os
import random
import signal

import pytest

from ray_lite import _core


def test_an_actor_that_nobody_can_call_ends_when_its_calls_have_run(company, wait_until):
    crew = company()
    handle = crew.create()
    actor, x = crew.of(handle), crew.call(handle, "note", 1)
    del handle
    gc.collect()
    assert crew.node() == [], "its constructor and its call are to run"
    crew.start()
    assert crew.calls.get(x) == 1
    wait_until(lambda: crew.node() == [("retired", actor)], what="nobody needs it")
    child, slot = crew.processes.pop(actor)
    assert child.wait() == 0
    crew.bury(actor, slot)
    assert crew.node() == [("freed", actor)]
    assert crew.region.statistics()["actors"] == 0
    crew.region.check()


def test_a_handle_inside_a_value_keeps_its_actor(company, wait_until):
    crew = company()
    handle = crew.create()
    actor = crew.of(handle)
    box = _core.create_object(crew.region, os.urandom(20), 3, False)
    _core.fill_object(crew.region, _core.object_index(box), 0, (b"box", [], [], [handle]))
    _core.seal_object(crew.region, box)
    crew.start()
    crew.calls.get(crew.call(handle, "note", 1))
    del handle
    gc.collect()
    assert crew.node() == []
    del box
    gc.collect()
    wait_until(lambda: crew.node() == [("retired", actor)], what="nobody needs it")


def test_an_actor_that_holds_its_own_handle_ends_all_the_same(company, wait_until):
    crew = company()
    handle = crew.create()
    actor = crew.of(handle)
    crew.start()
    crew.calls.get(crew.call(handle, "keep", after=[handle]))
    del handle
    gc.collect()
    wait_until(lambda: crew.node() == [("retired", actor)], what="only it could call itself")


@pytest.mark.parametrize("most", [1, 2])
def test_calls_of_a_dead_actor_fail_wherever_they_wait(company, most):
    crew = company()
    handle = crew.create(most=most)
    crew.start()
    runs = crew.call(handle, "hold")
    crew.until_it_runs(handle)
    late = crew.late()
    queued = [crew.call(handle, "note", 1), crew.call(handle, "note", 2, after=[late]), crew.call(handle, "note", 3)]
    several, none = crew.call(handle, "note", 4, nreturns=3), crew.call(handle, "note", 5, nreturns=0)
    assert none is None
    crew.kill(crew.of(handle))
    assert crew.facts(handle)["state"] == "DEAD"
    assert crew.node() == [], "somebody has its handle"
    crew.region.check()
    assert crew.failure(runs) == b"it ran"
    assert {crew.failure(x) for x in (*queued, *several)} == {b"it is dead"}
    assert crew.facts(handle)["pending"] == 0
    after = crew.call(handle, "note", 6)
    crew.node()
    assert crew.failure(after) == b"it is dead"
    del handle
    gc.collect()
    assert crew.node() == [("freed", 1)]
    assert crew.failure(queued[0]) == b"it is dead", "the error outlives the actor"


def test_errors_of_many_calls_are_one_object(company):
    crew = company()
    handle = crew.create()
    ids = [crew.call(handle, "note", k) for k in range(500)]
    _core.kill_actor(crew.region, handle)
    before = crew.region.statistics()["objects"]
    crew.node()
    assert crew.region.statistics()["objects"] == before + 1
    assert {crew.failure(x) for x in ids} == {b"it is dead"}
    ids.clear()
    del handle
    gc.collect()
    crew.node()
    assert crew.region.statistics()["actors"] == crew.region.statistics()["refs"] == 0


def test_a_killed_actor_begins_no_further_call(company):
    crew = company()
    handle = crew.create()
    crew.start()
    runs = crew.call(handle, "hold")
    crew.until_it_runs(handle)
    x = crew.call(handle, "note", 1)
    assert _core.kill_actor(crew.region, handle)
    os.kill(crew.processes[crew.of(handle)][0].pid, signal.SIGUSR1)
    assert crew.calls.get(runs) == "held"
    assert crew.facts(handle)["state"] == "ENDING" and _core.lacking(crew.region, [x]) == [x]
    crew.node()
    crew.node()
    assert crew.failure(x) == b"it is dead" and not _core.kill_actor(crew.region, handle)


def test_an_actor_ends_itself_with_a_cause(company, wait_until):
    crew = company()
    handle = crew.create()
    crew.start()
    x, behind = crew.call(handle, "leave"), crew.call(handle, "note", 1)
    assert crew.calls.get(x) == "left"
    actor = crew.of(handle)
    wait_until(lambda: crew.facts(handle)["state"] == "ENDING", what="it has left")
    crew.kill(actor)
    crew.node()
    assert crew.failure(behind) == b"it left"


def test_a_process_that_dies_before_it_is_there_is_tried_again(company):
    crew = company()
    handle = crew.create(holds=10_000)
    actor, slot = _core.open_actor(crew.region)
    assert actor == crew.of(handle) and crew.region.statistics()["cpus_free"] == 1
    _core.begin_sweep(crew.region, slot)
    assert _core.retry_actor(crew.region, actor)
    _core.end_sweep(crew.region, slot)
    crew.region.check()
    assert crew.facts(handle)["state"] == "PENDING" and crew.region.statistics()["cpus_free"] == 2
    x = crew.call(handle, "note", 1)
    assert crew.start() == [actor] and crew.calls.get(x) == 1


def test_a_process_that_dies_before_it_is_there_is_not_tried_again_after_a_kill(company):
    crew = company()
    handle = crew.create(holds=10_000)
    actor, slot = _core.open_actor(crew.region)
    _core.begin_sweep(crew.region, slot)
    assert _core.kill_actor(crew.region, handle)
    assert not _core.retry_actor(crew.region, actor)
    _core.end_actor(crew.region, actor, crew.error(b"it was killed"))
    _core.end_sweep(crew.region, slot)
    crew.region.check()
    assert crew.facts(handle)["state"] == "DEAD" and crew.region.statistics()["cpus_free"] == 2


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.watchdog(120)
def test_random_calls_of_several_callers_agree_with_a_model(company, seed):
    """Nothing is lost, nothing runs twice, and each caller's calls run in its order, but those that are cancelled."""
    rng, crew = random.Random(seed), company()
    needs = [rng.choice((0, 0, 5_000, 10_000)) for _ in range(3)]
    handles = [crew.create(needs=one, holds=0 if one else rng.choice((0, 5_000))) for one in needs]
    crew.start(turn=500_000)
    crew.worker()
    callers = [crew.caller(handles, number, seed) for number in (1, 2)]
    mine, dropped, told, pending = [[] for _ in handles], set(), set(), []
    for k in range(150):
        if rng.random() < 0.1:
            pending.append(crew.late(rng.choice((0, 0.002))))
        which = rng.randrange(len(handles))
        after = [rng.choice(pending)] if pending and rng.random() < 0.2 else []
        x = crew.call(handles[which], "from_", 0, k, after=after)
        mine[which].append((k, x))
        if rng.random() < 0.05:
            found = _core.cancel(crew.region, *_core.task_of(crew.region, x), False)
            dropped |= {k} if found == 1 else set()
            told |= {k} if found == 2 else set()  # it began, or is about to
            crew.cancelled()
        if rng.random() < 0.1:
            crew.region.check()
    for calls in mine:
        for k, x in calls:
            value = crew.calls.get(x)
            assert value == k or k in dropped | told
            dropped |= set() if value == k else {k}
    assert [child.wait() for child in callers] == [0, 0]
    for number, handle in enumerate(handles):
        ran = crew.ran(handle)
        assert [k for who, k in ran if who == 0 and k not in dropped] == [k for k, _ in mine[number] if k not in dropped]
        for who in (1, 2):
            assert [k for caller, k in ran if caller == who] == list(range(number, 60, 3))
    crew.region.check()
