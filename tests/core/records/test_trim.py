"""Giving back: large free runs lose their pages, are filled before they are used again, and nobody's bytes go with them."""

import os
import random

import pytest

from ray_lite import _core
from ray_lite.exceptions import ObjectStoreFullError

PAGE = 4096
LOOSE = 16 * PAGE
ARENA = 1 << 24


@pytest.fixture
def region(make_region):
    return make_region(trim_bytes=LOOSE, arena=ARENA)


def stored(region, size, fill=b"x"):
    x = _core.create_object(region, _core.next_put_id(), 0, False)
    _core.fill_object(region, _core.object_index(x), 0, (fill * size, [], [], []))
    _core.seal_object(region, x)
    return x


def memory(make_region, region):
    """Bytes that the arena's file has now."""
    return os.fstat(make_region.files_of(region).files[1]).st_blocks * 512


def give_all(region):
    given = 0
    while one := _core.trim(region, -1):
        given += one
    return given


def test_free_memory_goes_back(make_region, region):
    bell = make_region.files_of(region).rung
    x = stored(region, 8 << 20)
    bell()
    assert give_all(region) == 0, "the step in which the arena grows leaves less than is worth it"
    assert not _core.has_trimmable(region) and memory(make_region, region) >= 8 << 20
    del x
    assert _core.has_trimmable(region) and bell(), "the node is told"
    assert give_all(region) >= 8 << 20 and memory(make_region, region) < 1 << 20
    assert region.statistics()["bytes_committed"] < 1 << 20 and not _core.has_trimmable(region)
    region.check()
    x = stored(region, 8 << 20, b"y")
    assert bytes(_core.payload(region, x)[1]) == b"y" * (8 << 20)
    assert memory(make_region, region) >= 8 << 20


def test_a_hole_is_filled_as_far_as_it_is_needed(make_region, region):
    x = stored(region, 8 << 20)
    del x
    give_all(region)
    x = stored(region, 100_000)
    assert memory(make_region, region) < 1 << 20
    region.check()
    assert x


def test_holes_beside_free_runs_and_each_other_are_one_room_in_the_end(region):
    """Whatever was given back, an object as large as the arena fits into an empty one."""
    parts = [stored(region, 1 << 20) for _ in range(14)]
    for k in (3, 7, 8, 11):
        parts[k] = None
    give_all(region)
    del parts
    region.check()
    x = stored(region, 15 << 20, b"z")
    assert bytes(memoryview(_core.payload(region, x)[1])[-100:]) == b"z" * 100


def test_a_full_arena_is_full(region):
    parts = [stored(region, 1 << 20) for _ in range(12)]
    parts[5] = None
    give_all(region)
    with pytest.raises(ObjectStoreFullError):
        stored(region, 8 << 20)
    region.check()


def test_small_runs_stay(make_region, region):
    keep = [stored(region, 40_000) for _ in range(20)]
    del keep[::2]
    before = memory(make_region, region)
    give_all(region)
    assert memory(make_region, region) >= before - LOOSE


def test_none_is_given_back_where_that_can_not_be(make_region):
    region = make_region(trim_bytes=0)
    x = stored(region, 8 << 20)
    del x
    assert not _core.has_trimmable(region)


def test_disk_space_of_the_spill_file_goes_back(make_region, tmp_path):
    region = make_region(trim_bytes=LOOSE, spill_least=PAGE)
    with open(tmp_path / "spill", "w+b") as file:
        targets = [_core.create_nameless(region, 1 << 20, True) for _ in range(4)]
        for x in targets:
            os.pwrite(file.fileno(), b"s" * (1 << 20), _core.file_offset(region, x))
        os.fsync(file.fileno())
        kept = targets.pop()
        del targets, x
        while _core.trim(region, file.fileno()):
            region.check()
        assert os.fstat(file.fileno()).st_blocks * 512 <= (1 << 20) + 65536
        assert os.pread(file.fileno(), 1 << 20, _core.file_offset(region, kept)) == b"s" * (1 << 20)
        assert _core.trim(region, file.fileno()) == 0, "it went once"


@pytest.mark.parametrize("seed", range(4))
def test_random_puts_drops_and_punches_leave_every_byte(region, seed):
    rng = random.Random(seed)
    held = {}
    for step in range(600):
        kind = rng.random()
        if kind < 0.5:
            size = rng.choice((100, 5000, 40_000, 200_000, 1 << 20, 3 << 20))
            try:
                held[step] = (size, stored(region, size, bytes([step % 256])))
            except ObjectStoreFullError:
                held.clear()
        elif kind < 0.85 and held:
            del held[rng.choice(list(held))]
        else:
            _core.trim(region, -1)
        if step % 20 == 0:
            region.check()
            for made, (size, x) in held.items():
                assert bytes(_core.payload(region, x)[1]) == bytes([made % 256]) * size
