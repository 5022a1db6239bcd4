"""preallocate.pyx: the node commits memory before it is needed, not more than it was told, and not where none is wanted."""

import os

from ray_lite import _core

STEP = 65536


def committed(region):
    return region.statistics()["bytes_committed"]


def work_ahead(region, size):
    steps = 0
    while _core.should_preallocate(region) and _core.preallocate(region, size):
        steps += 1
    return steps


def test_nothing_is_committed_before_somebody_needed_something(make_region):
    region = make_region()
    assert not _core.should_preallocate(region) and work_ahead(region, 1 << 20) == 0 and committed(region) == 0


def test_after_a_growth_the_next_ones_find_memory_ready(make_region, stored):
    region = make_region()
    x = stored(region, STEP)
    assert make_region.files_of(region).rung() and _core.should_preallocate(region)
    assert work_ahead(region, 4 * STEP) == 4 and committed(region) == 5 * STEP
    held = [stored(region, STEP) for _ in range(4)]
    assert committed(region) == 5 * STEP and not _core.should_preallocate(region), "nobody had to commit"
    held.append(stored(region, STEP))
    assert _core.should_preallocate(region) and work_ahead(region, 4 * STEP) == 4
    region.check()
    del x, held


def test_at_most_a_sixteenth_of_the_store(make_region, stored):
    region = make_region(arena=32 * STEP)
    x = stored(region, STEP)
    assert work_ahead(region, 1 << 40) == 2
    del x


def test_not_beyond_the_end_nor_into_the_reserve(make_region, stored):
    region = make_region(arena=16 * STEP, reserve_bytes=STEP)
    x = stored(region, 15 * STEP)
    assert work_ahead(region, 8 * STEP) == 0 and committed(region) == 15 * STEP and not _core.should_preallocate(region)
    del x


def test_not_while_memory_was_given_back(make_region, stored):
    region = make_region(trim_bytes=STEP)
    keep = [stored(region, 10 * STEP), stored(region, STEP)]
    work_ahead(region, STEP)
    del keep[0]
    while _core.trim(region, -1):
        pass
    keep.append(stored(region, 30 * STEP))
    before = committed(region)
    assert work_ahead(region, 4 * STEP) == 0 and committed(region) == before


def test_without_memory_it_does_nothing(make_region, stored):
    """A full file system, or a limit: whoever needs the memory will hear of it."""
    region = make_region()
    x = stored(region, STEP)
    arena = make_region.files_of(region).files[1]
    kept = os.dup(arena)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), arena, inheritable=False)
    try:
        assert work_ahead(region, 4 * STEP) == 0 and not _core.should_preallocate(region)
    finally:
        os.dup2(kept, arena, inheritable=False)
        os.close(kept)
    assert committed(region) == STEP
    del x
