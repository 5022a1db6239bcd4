"""fsck of objects, refs, bits and the index: a region full of life passes, and each damaged word is found.

Damage is written through the control file, word by word, and put back: a check that can't fail proves nothing.
"""

import pytest

from ray_lite import _core


@pytest.fixture
def scene(lively):
    return lively()


def test_a_lively_region_passes(scene):
    scene.region.check()
    statistics = scene.region.statistics()
    assert min(statistics[name] for name in ("objects", "tasks", "refs", "extents", "ready", "idle")) > 0


OBJECT_DAMAGE = [
    # which object, field, new value (a function of the old), what fsck says
    ("held", "holders", lambda old: old + 1, "holders"),
    ("held", "holders", lambda old: old - 1, "leaked|holders"),
    ("held", "pins", lambda old: old + 1, "pins"),
    ("held", "state", lambda old: 9, "state"),
    ("held", "state", lambda old: 0, "live entries"),
    ("held", "state", lambda old: 1, "pending without a task"),
    ("contained", "state", lambda old: 2, "creating without a creator"),
    ("held", "state", lambda old: 4, "garbage"),
    ("held", "size", lambda old: 41, "size"),
    ("held", "extent", lambda old: 60_000, "block"),
    ("held", "flags", lambda old: old | 2, "pins|kept"),
    ("blocked", "size", lambda old: old + (1 << 20), "size"),
    ("blocked", "extent", lambda old: 0, "size"),
    ("blocked", "cell", lambda old: old + 1, "cell is free|owners"),
    ("container", "contents", lambda old: 0, "contents"),
    ("inner", "pins", lambda old: old - 1, "pins"),
    ("awaited", "edges", lambda old: 0, "linked"),
    ("awaited", "task", lambda old: 0, "pending without a task"),
    ("indexed", "flags", lambda old: old & ~1, "index"),
    ("indexed", "hash_next", lambda old: 7777, "index"),
    ("indexed", "id", lambda old: old ^ 1, "index"),
]


def test_damage_of_an_object_is_found(scene):
    for case in OBJECT_DAMAGE:
        scene.entry_must_notice("object", _core.object_index(scene.objects[case[0]]), case)


REF_DAMAGE = [
    ("argument", "state", lambda old: 2, "contents|refs"),
    ("argument", "object", lambda old: 1 << 20, "ref: object"),
    ("argument", "owner", lambda old: old + 1, "refs"),
    ("argument", "linked", lambda old: 0, "linked|edges|ndeps"),
    ("argument", "next", lambda old: 2000, "refs"),
    ("content", "state", lambda old: 0, "live entries"),
    ("content", "owner", lambda old: old + 1, "contents"),
]


def test_damage_of_a_ref_is_found(scene):
    container = _core.object_index(scene.objects["container"])
    refs = {
        "argument": scene.read("task", scene.waiting, "refs"),
        "content": scene.read("object", container, "contents"),
    }
    for case in REF_DAMAGE:
        scene.entry_must_notice("ref", refs[case[0]], case)


TABLES = ["objects", "tasks", "refs", "extents", "queues", "slots", "resources"]


def test_damage_of_a_table_is_found(scene):
    """Entries lost or invented, and a limit that is too small."""
    message = "table|task|queue|slot|extent|object|ref|resources|lists"
    for table in TABLES:
        for field, change in (("live", 1), ("live", -1), ("used", -1), ("limit", -(1 << 20))):
            word = scene.words.table(table, field)
            scene.must_notice(word, lambda old, change=change: max(0, old + change), message, f"{table}.{field}")


def test_a_free_list_that_forgets_is_found(scene):
    for table in ("objects", "refs", "tasks"):
        scene.must_notice(scene.words.table(table, "free"), lambda old: 0, "free entries", table)


def test_a_bit_of_a_stranger_is_found(scene):
    """A holder bit that nobody counted, on a living object and on a dead one; and one that is missing."""
    held = _core.object_index(scene.objects["held"])
    stranger = scene.region.slot + 1
    scene.words.put(scene.words.entry("slot", stranger, "row_limit"), held + 1)  # it has held nothing: its row has no memory
    scene.bit_must_notice(stranger, held, "holders")
    scene.bit_must_notice(scene.region.slot, held, "holders|creator")
    scene.bit_must_notice(scene.region.slot, scene.free_object, "dead object")


def test_a_row_for_more_objects_than_there_are_is_found(scene):
    word = scene.words.entry("slot", scene.region.slot, "row_limit")
    scene.must_notice(word, lambda old: scene.words.get(scene.words.table("objects", "limit")) + 1, "row", "row_limit")
    scene.must_notice(word, lambda old: 0, "holders|creator", "row_limit")


def test_damage_of_the_header_is_found(scene):
    for field in ("garbage", "kept", "nstalled", "arena.committed"):
        scene.header_must_notice(field, lambda old: old + 1, ".")


def test_poison_is_found_and_ends_the_session(make_region, words):
    """Not even put back: nothing may trust the region any more."""
    region = make_region()
    control = words(make_region.files_of(region))
    x = _core.put_plain(region, 1)
    control.put(control.header("poison"), 5)
    with pytest.raises(AssertionError, match="poison"):
        region.check()
    with pytest.raises(Exception, match="cannot be trusted"):
        _core.put_plain(region, 2)
    control.put(control.header("poison"), 0)
    assert _core.get_ready(region, x) == 1
