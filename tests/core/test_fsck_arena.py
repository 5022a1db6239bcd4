"""fsck of the arena: each damaged word of a run, a free list, a slab or a sum is found."""

import pytest


@pytest.fixture
def scene(lively):
    return lively()


FREE, USED, SLAB = 1, 2, 3
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
