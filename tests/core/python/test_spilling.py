"""What a mover asks for: who may go, oldest first; and what will end by itself."""

import pytest

from ray_lite import _core

CPU = 10_000


@pytest.fixture
def region(make_region):
    return make_region(spill_least=4096)


def stored(region, size=50_000):
    x = _core.create_object(region, _core.next_put_id(), 0, False)
    _core.fill_object(region, _core.object_index(x), 0, (b"x" * size, [], [], []))
    _core.seal_object(region, x)
    return x


def indices(found):
    return [index for index, _ in found]


def test_the_least_recently_used_go_first(region, wait_until):
    a, b, c = held = [stored(region) for _ in range(3)]

    def touched():
        """`a` is the latest by the clock, which has a tick of a millisecond."""
        _core.payload(region, b)
        _core.payload(region, c)
        first = indices(_core.spill_candidates(region, 1))
        return first == [_core.object_index(a)]

    wait_until(touched, what="a tick")
    assert len(_core.spill_candidates(region, 1)) == 1 and len(_core.spill_candidates(region, 60_000)) == 2
    assert set(indices(_core.spill_candidates(region, 1 << 40))) == {_core.object_index(x) for x in held}


@pytest.mark.parametrize("spilled", [True, False])
def test_what_only_moves_bytes_is_none_of_the_programs(region, spilled):
    x = stored(region)
    before = region.statistics()
    moving = _core.create_nameless(region, 60_000, spilled)
    assert region.statistics()["objects"] == before["objects"] == 1
    assert _core.largest(region, 0, 9, False) == [_core.object_index(x)]
    region.check()
    del moving
    after = region.statistics()
    assert all(after[key] == before[key] for key in ("objects", "bytes_used", "bytes_spilled"))


def test_what_somebody_needs_goes_last(region):
    needed, free = stored(region), stored(region)
    outer = _core.create_object(region, _core.next_put_id(), 0, False)
    _core.fill_object(region, _core.object_index(outer), 0, (b"s", [], [], [needed]))
    _core.seal_object(region, outer)
    assert indices(_core.spill_candidates(region, 1 << 40)) == [_core.object_index(free), _core.object_index(needed)]


def test_arguments_that_nobody_holds_are_ending(region, tasks):
    calls = tasks(region, {"len": len})
    x = stored(region)
    assert _core.bytes_freed_soon(region) == 0
    pending = calls.call("len")(x)
    assert _core.bytes_freed_soon(region) == 0, "its driver holds it"
    del x
    assert _core.bytes_freed_soon(region) == 50_000
    outer = stored(region)
    inside = _core.create_object(region, _core.next_put_id(), 0, False)
    _core.fill_object(region, _core.object_index(inside), 0, (b"s", [], [], [outer]))
    _core.seal_object(region, inside)
    other = calls.call("len")(outer)
    del outer
    assert _core.bytes_freed_soon(region) == 50_000, "an object needs it, too"
    del pending, other


def test_arguments_of_the_task_that_asks_are_not_ending(region, tasks, worker):
    """They go when it ends, and it waits for room before that."""
    box = {}
    calls = tasks(region, {"ask": lambda data: _core.bytes_freed_soon(box["region"]), "len": len})

    def work(region):
        box["region"] = region
        calls.worker(region)

    x = stored(region)
    asked = calls.call("ask")(x)
    del x
    worker(region, work)
    assert calls.get(asked) == 0
    _core.close_session(region)


def test_what_this_process_looks_at_is_not_borrowed(region):
    x = stored(region)
    view = _core.payload(region, x)[1]
    assert not _core.others_reading(region) and view
    del view


def test_bytes_that_are_filled_can_be_spilled_soon(region):
    small = _core.create_object(region, _core.next_put_id(), 2000, False)
    assert not _core.others_reading(region), "too small for that"
    x = _core.create_object(region, _core.next_put_id(), 50_000, False)
    assert _core.others_reading(region)
    _core.fill_object(region, _core.object_index(x), 0, (b"x" * 50_000, [], [], []))
    _core.seal_object(region, x)
    assert not _core.others_reading(region), "a search finds it now"
    del small


def test_holding_by_index(region):
    x = stored(region)
    (index, generation), = _core.spill_candidates(region, 1)
    again = _core.hold_object(region, index, generation)
    assert again == x
    assert _core.hold_object(region, index, generation + 1) is None
    del again, x
    assert _core.hold_object(region, index, generation) is None
    assert region.statistics()["objects"] == 0


def test_a_copy_of_ones_own_has_the_same_parts(region):
    buffers = [b"a" * 10_000, b"b" * 100]
    x = _core.create_object(region, _core.next_put_id(), 0, False)
    _core.fill_object(region, _core.object_index(x), 0, (b"stream", buffers, [10_000, 100], []))
    _core.seal_object(region, x)
    view, _ = _core.movable_bytes(region, x)
    private = memoryview(bytes(view))
    error, stream, views = _core.private_payload(region, x, private)
    assert (error, bytes(stream), [bytes(one) for one in views]) == (False, b"stream", buffers)
    assert all(isinstance(one, memoryview) and one.readonly for one in (stream, *views))
