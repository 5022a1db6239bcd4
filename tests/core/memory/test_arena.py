"""The arena: blocks of all sizes against a dictionary, the end of the arena, and what is left when all is given back."""

import gc
import os
import random

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ray_lite import _core
from ray_lite.exceptions import ObjectStoreFullError

PAGE = 4096
SMALL = 40
CELL_MOST = 32768
EDGES = [64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 16384, 24576, CELL_MOST, PAGE * 9, PAGE * 64]


def store(region, data):
    """A sealed object with these bytes."""
    x = _core.create_object(region, _core.next_put_id(), len(data), False)
    _core.fill_object(region, _core.object_index(x), 0, (data, [], [], []))
    _core.seal_object(region, x)
    return x


def read(region, x):
    return bytes(_core.payload(region, x)[1])


def pattern(number, size):
    return (number.to_bytes(4, "little") * (size // 4 + 1))[:size]


def address(region, x):
    return numpy.frombuffer(_core.payload(region, x)[1], dtype="uint8").ctypes.data


def sizes(rng):
    """Small, cells, runs; at the edges of classes and between."""
    kind = rng.random()
    if kind < 0.3:
        return max(0, rng.choice(EDGES) + rng.randrange(-2, 3))
    return rng.randrange(1, (SMALL + 30, 3000, CELL_MOST + 10, 300_000)[rng.randrange(4)])


def test_blocks_keep_their_bytes_whatever_happens_around_them(make_region):
    region = make_region(arena=1 << 22)
    rng = random.Random(2)
    model, full = {}, 0
    for number in range(4000):
        if model and rng.random() < 0.48:
            verify_and_drop(region, model, rng.choice(list(model)))
            continue
        data = pattern(number, sizes(rng))
        try:
            model[number] = store(region, data), data
        except ObjectStoreFullError:
            full += 1
            for key in rng.sample(list(model), len(model) // 2):
                verify_and_drop(region, model, key)
        if number % 200 == 0:
            region.check()
    assert full > 3, "the arena was never full: the test is too kind"
    for key in list(model):
        verify_and_drop(region, model, key)


def verify_and_drop(region, model, key):
    x, data = model.pop(key)
    assert read(region, x) == data


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.integers(1, 200_000), st.sampled_from(EDGES), st.just(0)), max_size=40))
def test_any_sequence_of_sizes_tiles_the_arena(region, script):
    """0 gives the oldest block back."""
    held = []
    for number, size in enumerate(script):
        if size:
            held.append((store(region, pattern(number, size)), number, size))
        elif held:
            held.pop(0)
        region.check()
    assert [read(region, x) == pattern(number, size) for x, number, size in held] == [True] * len(held)


@pytest.mark.parametrize("size", [41, 64, 65, 200, 1000, 5000, CELL_MOST, CELL_MOST + 1, 100_000])
def test_blocks_are_aligned_and_apart(region, size):
    held = [store(region, b"\1" * size) for _ in range(9)]
    places = sorted(address(region, x) for x in held)
    assert not [place for place in places if place % 64]
    assert min(b - a for a, b in zip(places, places[1:], strict=False)) >= size


def test_used_bytes_are_the_blocks_in_use(region):
    """A class costs at most a third more than asked; a run is whole pages."""
    before = region.statistics()["bytes_used"]
    for size in (41, 100, 257, 385, 5000, 20000, 40000, 1_000_000):
        x = store(region, b"a" * size)
        used = region.statistics()["bytes_used"] - before
        assert size <= used <= max(64, size * 3 // 2, size + PAGE)
        del x
        assert region.statistics()["bytes_used"] == before


def test_inline_payloads_take_no_block(region):
    before = region.statistics()["bytes_used"]
    x = store(region, b"a" * SMALL)
    assert region.statistics()["bytes_used"] == before
    assert read(region, x) == b"a" * SMALL


def test_a_full_arena_is_an_error_and_recovers(make_region):
    region = make_region(arena=1 << 20)
    held = []
    with pytest.raises(ObjectStoreFullError):
        while True:
            held.append(store(region, pattern(len(held), 50_000)))
    region.check()
    assert len(held) == (1 << 20) // (13 * PAGE)
    assert [read(region, x) == pattern(k, 50_000) for k, x in enumerate(held)] == [True] * len(held)
    held.pop(3)
    held.append(store(region, b"z" * 50_000))
    with pytest.raises(ObjectStoreFullError):
        store(region, b"z" * 50_000)
    before = region.statistics()["objects"]
    with pytest.raises(ObjectStoreFullError):
        store(region, b"z" * 200_000)
    gc.collect()
    assert region.statistics()["objects"] == before


def test_a_block_larger_than_the_arena_is_refused_at_once(region):
    for size in ((1 << 24) + 1, 1 << 40, (1 << 63) + 5):
        with pytest.raises(ObjectStoreFullError):
            _core.create_object(region, _core.next_put_id(), size, False)
    assert region.statistics()["bytes_committed"] == 0


def test_the_whole_arena_can_be_one_block(make_region):
    region = make_region(arena=1 << 22)
    x = store(region, b"w" * (1 << 22))
    with pytest.raises(ObjectStoreFullError):
        store(region, b"w" * 41)
    del x
    assert read(region, store(region, b"w" * (1 << 22)))[-1:] == b"w"


def test_after_all_is_given_back_one_run_is_left(make_region):
    """Apart from one cached slab a class, which keeps touched pages near."""
    region = make_region(arena=1 << 23)
    rng = random.Random(9)
    held = [store(region, b"x" * rng.randrange(CELL_MOST + 1, 400_000)) for _ in range(30)]
    rng.shuffle(held)
    held.clear()
    gc.collect()
    assert region.statistics()["extents"] == 1
    held = [store(region, b"x" * size) for size in range(41, CELL_MOST, 700)]
    rng.shuffle(held)
    held.clear()
    gc.collect()
    statistics = region.statistics()
    assert statistics["bytes_used"] == 0
    assert statistics["extents"] <= 18 + 19  # 18 classes: a slab each, and free runs between them
    region.check()


def test_freed_runs_merge_whatever_the_order(make_region):
    region = make_region(arena=1 << 22)
    for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        held = [store(region, b"x" * 100_000) for _ in range(3)]
        for k in order:
            held[k] = None
            region.check()
        assert region.statistics()["extents"] == 1


def test_a_run_hidden_behind_a_shorter_one_of_its_class_is_no_full_arena(make_region):
    """The good fit looks only at the first run of a class; the last one of the arena can still be extended."""
    region = make_region(arena=1 << 24, commit_bytes=PAGE)
    short, wall, long = (room(region, PAGE * pages) for pages in (970, 1, 1010))
    del long, short  # the shorter is first in the list of the class, the longer ends what is committed
    found = room(region, PAGE * 1001)
    region.check()
    del wall, found


def room(region, size):
    return _core.create_object(region, _core.next_put_id(), size, False)


def test_pages_are_committed_as_they_are_needed(make_place):
    place = make_place(arena=1 << 24, commit_bytes=65536)
    region = place.create()
    region.join(_core.DRIVER, os.getpid(), 0)
    region.make_current()
    _core.set_root(b"root of these tests.")
    held = [store(region, b"x" * 60_000)]
    assert os.fstat(place.files[1]).st_blocks * 512 == region.statistics()["bytes_committed"] == 65536
    held.append(store(region, b"x" * 1_000_000))
    assert os.fstat(place.files[1]).st_blocks * 512 == region.statistics()["bytes_committed"] <= 1_200_000


def test_processes_share_the_arena(make_region, forked):
    """Each fills and empties it at random; the bytes of one never show in another's block."""
    region = make_region(arena=1 << 23)
    slots = [_core.open_worker(region) for _ in range(2)]

    def churn(slot):
        _core.adopt_slot(region, slot, os.getpid(), 0)
        _core.set_root(slot.to_bytes(20, "little"))
        rng, held = random.Random(slot), []
        for number in range(1500):
            if len(held) > 25 or (held and rng.random() < 0.4):
                x, data = held.pop(rng.randrange(len(held)))
                assert read(region, x) == data
            else:
                data = pattern(slot << 20 | number, min(sizes(rng), 100_000))
                held.append((store(region, data), data))

    for child in [forked(churn, slot) for slot in slots]:
        assert child.wait() == 0
    region.check()
    for slot in slots:
        _core.begin_sweep(region, slot)
        _core.end_sweep(region, slot)
    assert region.statistics()["bytes_used"] == 0
