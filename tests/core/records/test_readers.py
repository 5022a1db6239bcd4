"""Uses: bytes move only while nobody looks, whoever dies in between; and who waits for room goes first, for a turn."""

import os
import signal
import time

import pytest

from ray_lite import _core
from ray_lite.exceptions import FullReason, ObjectStoreFullError

LEAST = 4096


@pytest.fixture
def region(make_region):
    return make_region(spill_least=LEAST)


def stored(region, data=b"x" * 50_000):
    x = _core.create_object(region, _core.next_put_id(), 0, False)
    _core.fill_object(region, _core.object_index(x), 0, (data, [], [], []))
    _core.seal_object(region, x)
    return x


def move_out(region, x, file):
    """What spill.py does."""
    view, turn = _core.movable_bytes(region, x)
    target = _core.create_nameless(region, len(view), True)
    file[_core.file_offset(region, target)] = bytes(view)
    return _core.exchange_blocks(region, x, target, turn, 77)


def move_back(region, x, file):
    offset, size, checksum, turn = _core.spilled_place(region, x)
    assert checksum == 77
    target = _core.create_object(region, _core.next_put_id(), size, False)
    _core.unsealed_bytes(region, target)[:] = file[offset]
    return _core.exchange_blocks(region, x, target, turn, 0)


def stream(region, x):
    _, stream, _ = _core.payload(region, x)
    return None if stream is None else bytes(stream)


def test_bytes_go_and_come_back(region):
    x, file = stored(region, b"abc" * 20_000), {}
    used = region.statistics()["bytes_used"]
    assert move_out(region, x, file)
    assert region.statistics()["bytes_used"] == 0 and region.statistics()["bytes_spilled"] == used
    assert _core.payload(region, x) == (False, None, _core.MISS)
    assert _core.movable_bytes(region, x) is None
    region.check()
    assert move_back(region, x, file)
    assert stream(region, x) == b"abc" * 20_000 and _core.spilled_place(region, x) is None
    assert region.statistics()["bytes_spilled"] == 0


def test_a_view_keeps_the_bytes_here(region):
    x, file = stored(region), {}
    _, view, _ = _core.payload(region, x)
    region.check()
    assert _core.movable_bytes(region, x) is None and _core.spill_candidates(region, 1) == []
    del view
    found = _core.movable_bytes(region, x)
    _, view, _ = _core.payload(region, x)  # somebody comes while they are copied
    target = _core.create_nameless(region, len(found[0]), True)
    assert not _core.exchange_blocks(region, x, target, found[1], 1)
    del found, target
    assert bytes(view) == b"x" * 50_000
    del view
    assert move_out(region, x, file)


def test_another_process_keeps_them_here(region, forked, wait_until):
    x = stored(region)
    slot = _core.open_worker(region)
    token = _core.id_token(x)

    def look():
        _core.adopt_slot(region, slot, os.getpid(), 5)
        region.make_current()
        mine = _core.id_from_token(*token)
        _, view, _ = _core.payload(region, mine)
        signal.pause()
        assert view

    child = forked(look)
    wait_until(lambda: _core.movable_bytes(region, x) is None, what="a view in the child")
    region.check()
    child.kill()
    _core.begin_sweep(region, slot)
    _core.end_sweep(region, slot)
    assert _core.movable_bytes(region, x) is not None


def test_a_late_copy_is_refused(region):
    x, file = stored(region), {}
    view, turn = _core.movable_bytes(region, x)
    data = bytes(view)
    del view
    assert move_out(region, x, file) and move_back(region, x, file)
    target = _core.create_nameless(region, len(data), True)
    assert not _core.exchange_blocks(region, x, target, turn, 1)


def test_what_is_small_or_kept_stays(region):
    small = stored(region, b"x" * (LEAST - 1))
    kept = _core.create_object(region, _core.next_put_id(), 0, True)
    _core.fill_object(region, _core.object_index(kept), 0, (b"x" * 50_000, [], [], []))
    _core.seal_object(region, kept)
    for x in (small, kept):
        assert _core.movable_bytes(region, x) is None
    assert _core.spill_candidates(region, 1 << 30) == []


def test_a_spilled_object_ends_like_another(region):
    x, inner = None, stored(region, b"i" * 5000)
    x = _core.create_object(region, _core.next_put_id(), 0, False)
    _core.fill_object(region, _core.object_index(x), 0, (b"x" * 50_000, [], [], [inner]))
    _core.seal_object(region, x)
    assert move_out(region, x, {})
    del inner
    assert region.statistics()["objects"] == 2
    del x
    assert region.statistics()["objects"] == 0 and region.statistics()["bytes_spilled"] == 0


def test_the_file_is_used_again(region):
    held, file = [stored(region) for _ in range(20)], {}
    assert all(move_out(region, x, file) for x in held)
    size = region.statistics()["spill_bytes"]
    for _ in range(10):
        held = [stored(region) for _ in range(20)]
        assert all(move_out(region, x, file) for x in held)
        region.check()
    assert region.statistics()["spill_bytes"] <= 2 * size


def test_who_waits_for_room_goes_first_for_a_turn(make_region, forked, wait_until):
    region = make_region(room_precedence=300_000_000)
    slot = _core.open_worker(region)

    def wait():
        _core.adopt_slot(region, slot, os.getpid(), 5)
        _core.wait_for_room(region, True)
        signal.pause()

    child = forked(wait)

    def put():
        try:
            return stored(region)
        except ObjectStoreFullError as full:
            assert full.reason is FullReason.PROMISED, "there is room"
            return None

    wait_until(lambda: put() is None, what="hunger")
    begun = time.monotonic()
    assert stored(region, b"x" * 1000), "small ones are no matter"
    wait_until(put, what="the end of the turn")
    assert time.monotonic() - begun < 10
    child.kill()
    _core.begin_sweep(region, slot)
    _core.end_sweep(region, slot)
    _core.wait_for_room(region, True)
    assert put() is not None, "it does not wait for itself"
    _core.wait_for_room(region, False)
