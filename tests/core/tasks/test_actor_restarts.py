"""actor_restarts.pyx: the next process of an actor runs past calls again, in their order, after the last checkpoint."""

import gc
import os
import signal

import pytest

from ray_lite import _core

KEEPS = 100, True  # restarts, and whether past calls are kept


def made(crew, back=KEEPS, *after):
    handle = crew.create(back=back, after=after)
    crew.start()
    return handle


def notes(crew, handle, *values):
    return [crew.calls.get(crew.call(handle, "note", value)) for value in values]


def facts(crew, handle):
    names = ("restarts", "most", "incarnation", "keeps", "lost")
    return dict(zip(names, _core.restart_facts(crew.region, crew.of(handle)), strict=True))


def test_past_calls_run_again_in_their_order(company):
    crew = company()
    handle = made(crew)
    for incarnation in range(1, 4):
        notes(crew, handle, 2 * incarnation, 2 * incarnation + 1)
        crew.restart(crew.of(handle))
        crew.region.check()
        assert crew.ran(handle) == list(range(2, 2 * incarnation + 2))
        assert facts(crew, handle)["incarnation"] == incarnation
    crew.region.check()


def test_what_ran_comes_after_the_past_and_before_the_rest(company, wait_until):
    crew = company()
    handle = made(crew)
    notes(crew, handle, 1)
    held = crew.call(handle, "hold")
    crew.until_it_runs(handle)
    late = crew.late()
    lacks, after = crew.call(handle, "note", after=[late]), crew.call(handle, "note", 3)
    crew.restart(crew.of(handle))
    wait_until(lambda: crew.facts(handle)["running"], what="the call that ran runs again")
    crew.region.check()
    crew.worker()
    os.kill(crew.processes[crew.of(handle)][0].pid, signal.SIGUSR1)
    assert [crew.calls.get(x) for x in (held, lacks, after)] == ["held", 2, 3]
    assert crew.ran(handle) == [1, "late", 3]


def test_a_mark_that_came_too_late_stops_no_replay(company, wait_until):
    crew = company()
    handle = made(crew)
    x = crew.call(handle, "hold", 1)
    crew.until_it_runs(handle)
    assert _core.cancel(crew.region, *_core.task_of(crew.region, x), False, True)
    os.kill(crew.processes[crew.of(handle)][0].pid, signal.SIGUSR1)
    assert crew.calls.get(x) == "held"
    crew.restart(crew.of(handle))
    wait_until(lambda: crew.facts(handle)["running"], what="it runs again")
    os.kill(crew.processes[crew.of(handle)][0].pid, signal.SIGUSR1)
    assert crew.ran(handle) == [1]


def test_without_past_calls_the_constructor_runs_again(company):
    crew = company()
    crew.worker()
    argument = crew.late()
    crew.calls.get(argument)
    handle = made(crew, (1, False), argument)
    del argument
    gc.collect()
    notes(crew, handle, 1)
    crew.restart(crew.of(handle))
    assert crew.ran(handle) == ["late"]
    crew.region.check()


def test_a_checkpoint_frees_the_past(company):
    crew = company()
    crew.worker()
    argument = crew.late()
    crew.calls.get(argument)
    handle = made(crew)
    crew.calls.get(crew.call(handle, "note", 1, after=[argument]))
    crew.calls.get(crew.call(handle, "save", 2))
    before = crew.region.statistics()["tasks"]
    assert before == 1, "the call that saved is kept"
    crew.restart(crew.of(handle))
    assert crew.ran(handle) == [1, "late", 2, 2], "and runs again"
    crew.calls.get(crew.call(handle, "save"))
    assert facts(crew, handle)["restarts"] == 0 and facts(crew, handle)["incarnation"] == 1
    crew.region.check()


def test_a_lost_past(company):
    crew = company()
    handle = made(crew)
    notes(crew, handle, 1, 2)
    crew.calls.get(crew.call(handle, "lose"))
    assert facts(crew, handle)["lost"] and crew.region.statistics()["tasks"] == 0
    notes(crew, handle, 3)
    assert crew.region.statistics()["tasks"] == 0, "nothing more is kept"
    crew.calls.get(crew.call(handle, "save"))
    assert not facts(crew, handle)["lost"]
    crew.restart(crew.of(handle))
    assert crew.ran(handle) == [1, 2, 3]


@pytest.mark.parametrize("back", [KEEPS, (1, False)])
def test_a_dead_actor_keeps_nothing(company, back):
    crew = company()
    handle = made(crew, back)
    actor = crew.of(handle)
    notes(crew, handle, 1, 2)
    crew.calls.get(crew.call(handle, "save"))
    crew.kill(actor)
    crew.node()
    assert crew.region.statistics()["tasks"] == 0
    del handle
    gc.collect()
    assert crew.node() == [("freed", actor)]
    crew.region.check()


def test_past_calls_can_not_be_cancelled(company, wait_until):
    crew = company()
    handle = made(crew)
    x = crew.call(handle, "hold")
    crew.until_it_runs(handle)
    task = _core.task_of(crew.region, x)
    os.kill(crew.processes[crew.of(handle)][0].pid, signal.SIGUSR1)
    assert crew.calls.get(x) == "held"
    assert not _core.cancel(crew.region, *task, False)
    crew.restart(crew.of(handle))
    wait_until(lambda: crew.facts(handle)["running"], what="it runs again")
    assert not _core.cancel(crew.region, *task, False)


def test_an_actor_ends_whose_past_alone_has_its_handle(company, wait_until):
    crew = company()
    handle = made(crew)
    actor = crew.of(handle)
    crew.calls.get(crew.call(handle, "keep", after=[handle]))
    crew.calls.get(crew.call(handle, "note", 1))
    del handle
    gc.collect()
    wait_until(lambda: crew.node() == [("retired", actor)], what="only it could call itself")


def test_a_kill_amidst_a_restart_ends_the_actor(company):
    """It comes when its process is gone, and before it is to have another."""
    crew = company()
    handle = made(crew)
    actor = crew.of(handle)
    first = crew.call(handle, "note", 1)
    assert crew.calls.get(first) == 1
    child, slot = crew.processes.pop(actor)
    child.kill()
    _core.begin_sweep(crew.region, slot)
    assert _core.kill_actor(crew.region, handle)
    assert not _core.restart_actor(crew.region, actor)
    _core.end_actor(crew.region, actor, crew.error(b"it was killed"))
    _core.end_sweep(crew.region, slot)
    crew.region.check()
    late = crew.call(handle, "note", 2)
    crew.node()
    assert crew.failure(late) == b"it was killed" and crew.calls.get(first) == 1


def test_an_actor_that_was_lost_without_need_ends(company, wait_until):
    """Its last handle goes while it has no process."""
    crew = company()
    handle = made(crew)
    actor = crew.of(handle)
    crew.calls.get(crew.call(handle, "save"))
    child, slot = crew.processes.pop(actor)
    child.kill()
    _core.begin_sweep(crew.region, slot)
    assert _core.restart_actor(crew.region, actor)
    _core.end_sweep(crew.region, slot)
    del handle
    gc.collect()
    crew.start()
    wait_until(lambda: crew.node() == [("retired", actor)], what="nobody needs it")


def test_an_actor_that_is_killed_between_its_death_and_its_restart(company):
    crew = company()
    handle = made(crew)
    actor = crew.of(handle)
    crew.calls.get(crew.call(handle, "note", 1))
    x = crew.call(handle, "hold")
    crew.until_it_runs(handle)
    child, slot = crew.processes.pop(actor)
    child.kill()
    _core.begin_sweep(crew.region, slot)
    while (adopted := _core.adopt_task(crew.region, slot))[0]:
        _core.requeue_task(crew.region, adopted[0], False, True)
    assert _core.kill_actor(crew.region, handle)
    assert not _core.restart_actor(crew.region, actor)
    _core.end_actor(crew.region, actor, crew.error(b"killed"))
    _core.end_sweep(crew.region, slot)
    crew.node()
    assert crew.failure(x) == b"killed"
    crew.region.check()
