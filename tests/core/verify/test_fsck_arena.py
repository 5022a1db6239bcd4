"""fsck of the arena: each damaged word of a run, a free list, a slab or a sum is found."""

import pytest

from ray_lite import _core


@pytest.fixture
def scene(lively):
    return lively()


FREE, USED, SLAB, SPILLED, HOLE = 1, 2, 3, 4, 5
DAMAGE = [
    (USED, "pages", lambda old: old + 1, "neighbours|tiled"),
    (USED, "pages", lambda old: 0, "neighbours|size"),
    (USED, "start", lambda old: old + 1, "neighbours"),
    (USED, "left", lambda old: 0 if old else 1, "tiled|tiling|neighbours"),
    (USED, "right", lambda old: old + 1, "neighbours"),
    (USED, "state", lambda old: FREE, "free runs|touch|block"),
    (USED, "state", lambda old: 7, "tiling|block"),
    (USED, "state", lambda old: 0, "live entries"),
    (FREE, "state", lambda old: USED, "free runs|owners"),
    (FREE, "prev", lambda old: old + 1, "list"),
    (FREE, "next", lambda old: 5000, "list|count"),
    (SLAB, "clas", lambda old: 40, "class"),
    (SLAB, "clas", lambda old: old - 1, "class|cell|list|room|size"),
    (SLAB, "cells", lambda old: old | 1 << 60, "owners|cell"),
    (SLAB, "cells", lambda old: old & ~1, "free|owners"),
    (SLAB, "prev", lambda old: old + 1, "list"),
    (SLAB, "state", lambda old: USED, "room|owners|list"),
]


def test_damage_of_an_extent_is_found(scene):
    for case in DAMAGE:
        extents = [x for x in range(1, 200) if scene.read("extent", x, "state") == case[0]]
        assert extents, case
        scene.entry_must_notice("extent", extents[0], case)


SUMS = [
    ("used_bytes", "used_bytes"),
    ("kept_bytes", "kept_bytes"),
    ("kept", "objects: kept"),
    ("nameless", "objects: nameless"),
    ("trimming", "trim: the run"),
    ("arena.committed", "neighbours|tiled"),
    ("arena.first_map", "first map"),
    ("arena.last", "tiling|neighbours|tiled"),
]


def test_damage_of_the_sums_is_found(scene):
    for field, message in SUMS:
        scene.header_must_notice(field, lambda old: old ^ 1, message)


def test_damage_of_the_lists_is_found(scene):
    lists = ("arena.second_map", 30, "map"), ("arena.heads", 240, "map|list"), ("partial", 18, "list|room")
    for field, count, message in lists:
        at = [k for k in range(count) if scene.read_header(field, k)]
        assert at, field
        scene.header_must_notice(field, lambda old: 0, message, at[0])


@pytest.fixture
def spilled(make_region, words):
    """A region with a hole, a free run of the spill file, a spilled object, and one that this process looks at."""
    region = make_region(spill_least=4096, trim_bytes=65536)

    def stored(size):
        x = _core.create_object(region, _core.next_put_id(), 0, False)
        _core.fill_object(region, _core.object_index(x), 0, (b"x" * size, [], [], []))
        _core.seal_object(region, x)
        return x

    held = [stored(300_000) for _ in range(4)]
    away = _core.create_nameless(region, 300_000, True)
    free = _core.create_nameless(region, 200_000, True)
    last = _core.create_nameless(region, 8192, True)
    view, turn = _core.movable_bytes(region, held[0])
    assert _core.exchange_blocks(region, held[0], away, turn, 5)
    del view, away, free
    while _core.trim(region, -1):
        pass
    look = _core.payload(region, held[1])[1]
    region.check()
    yield region, words(make_region.files_of(region)), [_core.object_index(x) for x in held]
    del look, last


def test_damage_of_what_is_spilled_and_given_back_is_found(spilled):
    region, words, (away, seen, *_) = spilled
    entries = [x for x in range(1, 60) if words.get(words.entry("extent", x, "state")) == HOLE]
    runs = [x for x in range(1, 60) if words.get(words.entry("extent", x, "state")) == SPILLED]
    heads = [k for k in range(240) if words.get(words.header("holes.heads", k))]
    frees = [k for k in range(240) if words.get(words.header("spill.heads", k))]
    assert entries and len(runs) == 2 and heads and frees
    row = words.get(words.header("rows")) + words.get(words.header("row_bytes")) * region.slot
    cases = [
        (words.header("spilled_bytes"), "spilled_bytes"),
        (words.header("spill.committed"), "neighbours|tiled"),
        (words.header("holes.committed"), "holes: sum"),
        (words.header("holes.heads", heads[0]), "list|map"),
        (words.header("spill.heads", frees[0]), "list|map"),
        (words.entry("extent", entries[0], "state"), "tiling|free runs"),
        (words.entry("extent", runs[0], "state"), "tiling|block"),
        (words.entry("object", away, "extent"), "block|owners"),
        (words.entry("object", seen, "data"), "uses"),
    ]
    bit = row + words.get(words.header("reader_bits")) + seen // 8, 1
    for word, message, flips in [*((*case, 1) for case in cases), (bit, "uses", 1 << seen % 8)]:
        with words.damaged(word, lambda old, flips=flips: old ^ flips):
            with pytest.raises(AssertionError, match=message):
                region.check()
        region.check()
