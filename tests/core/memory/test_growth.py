"""Growth: spaces get pages in steps, holes before the end of the file; who is late fills nothing."""

import os
import threading

import pytest

from ray_lite import _core
from ray_lite.exceptions import ObjectStoreFullError

PAGE, STEP = 4096, 65536


def committed(region):
    return region.statistics()["bytes_committed"]


def test_the_arena_grows_by_steps(make_region, stored):
    region = make_region()
    x = stored(region, 40_000)
    assert committed(region) == STEP
    y = stored(region, 3 * STEP + 1)
    assert committed(region) == 4 * STEP, "with what was left of the first"
    del x, y


def test_the_end_is_an_error_and_what_is_there_is_used(make_region, stored):
    region = make_region(arena=10 * STEP)
    with pytest.raises(ObjectStoreFullError):
        stored(region, 11 * STEP)
    held = [stored(region, STEP) for _ in range(10)]
    with pytest.raises(ObjectStoreFullError):
        stored(region, PAGE * 9)
    del held
    assert stored(region, 10 * STEP)


def test_a_hole_comes_before_the_end_of_the_file(make_region, stored):
    region = make_region(trim_bytes=STEP)
    keep = [stored(region, 10 * STEP), stored(region, STEP)]
    del keep[0]
    while _core.trim(region, -1):
        pass
    before = committed(region)
    x = stored(region, 5 * STEP)
    place = os.fstat(make_region.files_of(region).files[1])
    assert committed(region) == before + 5 * STEP and place.st_blocks * 512 == committed(region)
    del x


def test_two_who_grow_at_once(make_region, forked, stored):
    """Processes that fill and drop while holes are made."""
    region = make_region(trim_bytes=STEP, arena=1 << 23, slots=8)
    slots = [_core.open_worker(region) for _ in range(3)]

    def life(slot):
        _core.adopt_slot(region, slot, os.getpid(), 5)
        for k in range(300):
            x = stored(region, (1 + k % 9) * STEP // 2)
            assert bytes(_core.payload(region, x)[1]) == b"x" * ((1 + k % 9) * STEP // 2)
            del x

    children = [forked(life, slot) for slot in slots]
    over = threading.Event()

    def give():
        while not over.is_set():
            _core.trim(region, -1)

    giver = threading.Thread(target=give)
    giver.start()
    try:
        assert [child.wait() for child in children] == [0, 0, 0]
    finally:
        over.set()
        giver.join()
    for slot in slots:
        _core.begin_sweep(region, slot)
        _core.end_sweep(region, slot)
    assert region.statistics()["bytes_used"] == 0
