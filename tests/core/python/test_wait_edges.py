"""wait_edges.pyx: which process a wait needs, through calls that have not begun and arguments that are not there."""

import os
import signal

import pytest

from ray_lite import _core


@pytest.fixture
def waiting():
    """`waiting(crew, x)`: the slot that this process needs if it waits for an id, and whether the awaited task runs there;
    None if there is none. To wait, it needs no task."""

    def look(crew, x):
        region = crew.region
        _core.block(region, True)
        _core.await_first(region, [x])
        region.check()
        assert _core.must_look(region)
        found = _core.wait_edges(region)
        _core.unblock(region)
        assert _core.wait_edges(region) == []
        assert all(edge[0] == region.slot for edge in found)
        return (found[0][2], found[0][5]) if found else None

    return look


@pytest.fixture
def holding(company):
    """`holding(most=...)`: a company, the handle of an actor that is in a call, and the id of that call's result."""
    made = []

    def make(**options):
        crew = company()
        handle = crew.create(**options)
        crew.start()
        held = crew.call(handle, "hold")
        crew.until_it_runs(handle)
        made.append((crew, handle, held))
        return made[-1]

    yield make
    for crew, handle, held in made:
        child, _ = crew.processes[crew.of(handle)]
        os.kill(child.pid, signal.SIGUSR1)
        assert crew.calls.get(held) == "held"


def begun(crew):
    """An actor whose constructor has run."""
    handle = crew.create()
    crew.start()
    assert crew.calls.get(crew.call(handle, "note")) == 0
    return handle


def test_a_call_that_runs(holding, waiting):
    crew, handle, held = holding()
    assert waiting(crew, held) == (crew.facts(handle)["slot"], True)


def test_a_call_in_the_mailbox(holding, waiting):
    crew, handle, _ = holding()
    assert waiting(crew, crew.call(handle, "note", 1)) == (crew.facts(handle)["slot"], False)


def test_an_actor_that_has_not_begun_needs_nobody(company, waiting):
    crew = company()
    handle = crew.create()
    assert waiting(crew, crew.call(handle, "note", 1)) is None


def test_arguments_of_calls(holding, waiting):
    """Behind one that lacks an argument: in a lane, in the constructor, and in a task."""
    crew, handle, held = holding()
    place = crew.facts(handle)["slot"], False
    other = begun(crew)
    lacks, behind = crew.call(other, "note", after=[held]), crew.call(other, "note", 2)
    third = crew.create(after=[behind])
    call = crew.call(third, "note", 3)
    assert [waiting(crew, x) for x in (lacks, behind, call)] == [place] * 3


def test_a_lane_whose_first_call_is_ready(holding, waiting):
    crew, handle, _ = holding()
    late = crew.late()
    last = crew.call(handle, "note", after=[late])
    assert waiting(crew, last) is None, "no worker runs the task that it needs"
    crew.worker()
    assert crew.calls.get(late) == "late"
    assert waiting(crew, last) == (crew.facts(handle)["slot"], False)


def test_a_long_chain_of_arguments(holding, waiting):
    crew, handle, held = holding()
    other, x = begun(crew), held
    for _ in range(100):
        x = crew.call(other, "note", after=[x])
    assert waiting(crew, x) == (crew.facts(handle)["slot"], False)


def test_many_arguments_of_which_the_last_is_late(holding, waiting):
    crew, handle, held = holding()
    other = begun(crew)
    ready = _core.put_plain(crew.region, 1)
    x = crew.call(other, "note", after=[held] + [ready] * 200)
    y = crew.call(other, "note", after=[ready] * 200 + [held])
    place = crew.facts(handle)["slot"], False
    assert (waiting(crew, x), waiting(crew, y)) == (place, place)


def test_an_actor_that_runs_several_calls_takes_more(holding, waiting):
    crew, handle, held = holding(most=2)
    assert waiting(crew, crew.call(handle, "note", 1)) is None
    assert waiting(crew, held) == (crew.facts(handle)["slot"], True)


def test_only_who_is_blocked_awaits(holding):
    crew, _, held = holding()
    region = crew.region
    _core.await_first(region, [held])
    assert _core.wait_edges(region) == [] and not _core.must_look(region)
    _core.block(region, True)
    _core.await_first(region, [_core.put_plain(region, 1)])
    assert _core.wait_edges(region) == [] and not _core.must_look(region), "it is there"
    _core.unblock(region)


def test_the_death_of_who_awaits(holding, worker, wait_until):
    crew, _, held = holding()
    region = crew.region
    token = _core.id_token(held)

    def wait(region):
        crew.enter(b"one who waits".ljust(20))
        _core.block(region, True)
        _core.await_first(region, [_core.id_from_token(*token)])
        signal.pause()

    child, slot = worker(region, wait)
    wait_until(lambda: _core.wait_edges(region), what="a wait")
    child.kill()
    _core.begin_sweep(region, slot)
    region.check()
    assert _core.wait_edges(region) == [] and not _core.must_look(region)
    _core.end_sweep(region, slot)


def test_a_verdict_is_about_one_wait(holding):
    crew, _, held = holding()
    region = crew.region

    def since():
        _core.await_first(region, [held])
        (_, began, *_), = _core.wait_edges(region)
        return began

    _core.block(region, True)
    first = since()
    _core.break_cycle(region, region.slot, first - 1)
    assert not _core.take_cycle(region), "that was another wait"
    _core.break_cycle(region, region.slot, first)
    assert not _core.take_deadlock(region, True, []), "it is told apart"
    assert _core.take_cycle(region) and not _core.take_cycle(region)
    _core.break_cycle(region, region.slot, first)
    _core.unblock(region)
    assert not _core.take_cycle(region)
    _core.block(region, True)
    second = since()
    _core.break_cycle(region, region.slot, first)
    assert second > first and not _core.take_cycle(region)
    _core.unblock(region)
    _core.block(region, False)
    _core.break_cycle(region, region.slot, since())
    assert not _core.take_cycle(region), "it ends by itself"
    _core.unblock(region)
