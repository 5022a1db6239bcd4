"""wait_edges.pyx: what a wait needs, through calls that have not begun and arguments that are not there."""

import os
import signal

import pytest

from ray_lite import _core


@pytest.fixture
def waiting():
    """`waiting(crew, x)`: the tasks of which this process needs one to end if it waits for an id, and whether the awaited task
    runs; None if there is none. To wait, it needs no task."""

    def look(crew, x):
        region = crew.region
        _core.block(region, True)
        _core.await_first(region, [x])
        region.check()
        assert _core.must_look(region)
        found = _core.wait_edges(region)
        _core.unblock(region)
        assert _core.wait_edges(region) == []
        assert all(edge[2] == region.slot for edge in found)
        return (found[0][5], found[0][7]) if found else None

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


def run_by(crew, handle):
    """The calls that an actor runs."""
    return tuple(task for task, _ in _core.running_calls(crew.region, crew.facts(handle)["slot"]))


def begun(crew):
    """An actor whose constructor has run."""
    handle = crew.create()
    crew.start()
    assert crew.calls.get(crew.call(handle, "note")) == 0
    return handle


def test_a_call_that_runs(holding, waiting):
    crew, handle, held = holding()
    assert waiting(crew, held) == (run_by(crew, handle), True)


def test_a_call_in_the_mailbox(holding, waiting):
    crew, handle, _ = holding()
    assert waiting(crew, crew.call(handle, "note", 1)) == (run_by(crew, handle), False)


def test_an_actor_that_has_not_begun_needs_nobody(company, waiting):
    crew = company()
    handle = crew.create()
    assert waiting(crew, crew.call(handle, "note", 1)) is None


def test_arguments_of_calls(holding, waiting):
    """Behind one that lacks an argument: in a lane, in the constructor, and in a task."""
    crew, handle, held = holding()
    place = run_by(crew, handle), False
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
    assert waiting(crew, last) == (run_by(crew, handle), False)


def test_a_long_chain_of_arguments(holding, waiting):
    crew, handle, held = holding()
    other, x = begun(crew), held
    for _ in range(100):
        x = crew.call(other, "note", after=[x])
    assert waiting(crew, x) == (run_by(crew, handle), False)


def test_many_arguments_of_which_the_last_is_late(holding, waiting):
    crew, handle, held = holding()
    other = begun(crew)
    ready = _core.put_plain(crew.region, 1)
    x = crew.call(other, "note", after=[held] + [ready] * 200)
    y = crew.call(other, "note", after=[ready] * 200 + [held])
    place = run_by(crew, handle), False
    assert (waiting(crew, x), waiting(crew, y)) == (place, place)


def test_an_actor_that_runs_several_calls_takes_more(holding, waiting):
    crew, handle, held = holding(most=2)
    assert waiting(crew, crew.call(handle, "note", 1)) is None
    assert waiting(crew, held) == (run_by(crew, handle), True)


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
        (_, _, _, began, *_), = _core.wait_edges(region)
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


# ---------------------------------------------------------------- one of several calls


@pytest.fixture
def two(cast):
    """`two(act)`: an actor's process runs two calls; `act(stage, first, second, wait, ids)` runs in it, where
    `wait(call, x, inside)` lets a call wait for an id while `inside()` runs."""

    def play(act, most=2):
        one = cast(most=most)
        ids = one.calls("note", "note", "note")

        def perform(stage):
            calls = stage.take(), stage.take()

            def wait(call, x, inside):
                def wait_in_there():
                    _core.await_first(stage.region, [x], call.record)
                    stage.region.check()
                    inside()
                    return True

                _core.while_thread_waits(stage.region, True, wait_in_there, 1, call.record)
                stage.region.check()

            act(stage, *calls, wait, [_core.id_from_token(*token) for token in tokens])
            for call in calls:
                stage.end(call)

        tokens = [_core.id_token(x) for x in ids]
        assert one.play(perform).wait() == 0

    return play


def test_what_each_of_several_calls_needs(two):
    """The third call is in the mailbox: it needs any of the two that run."""
    def act(stage, first, second, wait, ids):
        region, found = stage.region, []

        def look():
            found.append([(task, slot, since, set(needs), direct) for task, _, slot, since, _, needs, _, direct
                          in _core.wait_edges(region)])

        wait(first, ids[1], look)
        wait(first, ids[2], lambda: wait(second, ids[0], look))
        both = {first.record, second.record}
        assert found[0] == [(first.record, region.slot, 0, {second.record}, True)]
        assert sorted(found[1]) == sorted([(first.record, region.slot, 0, both, False),
                                           (second.record, region.slot, 0, {first.record}, True)])
        assert _core.wait_edges(region) == []

    two(act)


def test_an_actor_with_room_for_another_call_needs_none_to_end(two):
    def act(stage, first, second, wait, ids):
        wait(first, ids[2], lambda: found.extend(_core.wait_edges(stage.region)))
        assert found == []

    found = []
    two(act, most=3)


def test_a_verdict_is_about_one_call(two):
    def act(stage, first, second, wait, ids):
        region = stage.region

        def condemn(call, serial):
            _core.break_cycle(region, region.slot, 0, call.record, serial)
            return _core.take_cycle(region, second.record), _core.take_cycle(region, first.record)

        def inside():
            (task, serial, *_), = _core.wait_edges(region)
            assert task == first.record
            assert condemn(first, serial + 1) == (False, False), "that was another call"
            assert condemn(second, serial) == (False, False), "it does not wait"
            assert condemn(first, serial) == (False, True)
            assert not _core.take_cycle(region, first.record)
            _core.break_cycle(region, region.slot, 0, first.record, serial)

        wait(first, ids[1], inside)
        assert not _core.take_cycle(region, first.record), "the wait has ended"

    two(act)


def test_a_death_while_several_calls_await(cast, wait_until):
    one = cast(most=2)
    x, *_ = one.calls("note", "note")
    token, region = _core.id_token(x), one.crew.region

    def act(stage):
        for call in (stage.take(), stage.take()):
            _core.await_first(stage.region, [_core.id_from_token(*token)], call.record)
        signal.pause()

    one.play(act)
    wait_until(lambda: len(_core.wait_edges(region)) == 2, what="two waits")
    one.crew.kill(one.crew.of(one.handle))
    region.check()
    assert _core.wait_edges(region) == [] and not _core.must_look(region)
