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
    ("held", "flags", lambda old: old | 2, "pins"),
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


@pytest.mark.parametrize("which, field, change, message", OBJECT_DAMAGE)
def test_damage_of_an_object_is_found(scene, which, field, change, message):
    index = _core.object_index(scene.objects[which])
    with scene.damaged("object", index, field, change), pytest.raises(AssertionError, match=message):
        scene.region.check()


REF_DAMAGE = [
    ("argument", "state", lambda old: 2, "contents|refs"),
    ("argument", "object", lambda old: 1 << 20, "ref: object"),
    ("argument", "owner", lambda old: old + 1, "refs"),
    ("argument", "linked", lambda old: 0, "linked|edges|ndeps"),
    ("argument", "next", lambda old: 2000, "refs"),
    ("content", "state", lambda old: 0, "live entries"),
    ("content", "owner", lambda old: old + 1, "contents"),
]


@pytest.mark.parametrize("which, field, change, message", REF_DAMAGE)
def test_damage_of_a_ref_is_found(scene, which, field, change, message):
    owner, chain = ("task", "refs") if which == "argument" else ("object", "contents")
    entry = scene.waiting if which == "argument" else _core.object_index(scene.objects["container"])
    index = scene.read(owner, entry, chain)
    with scene.damaged("ref", index, field, change), pytest.raises(AssertionError, match=message):
        scene.region.check()


TABLES = ["objects", "tasks", "refs", "extents", "queues", "slots"]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("field, change", [("live", +1), ("live", -1), ("used", -1), ("limit", -(1 << 20))])
def test_damage_of_a_table_is_found(scene, table, field, change):
    with scene.damaged_table(table, field, lambda old: max(0, old + change)):
        with pytest.raises(AssertionError, match="table|task|queue|slot|extent|object|ref|resources|lists"):
            scene.region.check()


@pytest.mark.parametrize("table", ["objects", "refs", "tasks"])
def test_a_free_list_that_forgets_is_found(scene, table):
    with scene.damaged_table(table, "free", lambda old: 0), pytest.raises(AssertionError, match="free entries"):
        scene.region.check()


def test_a_bit_of_a_stranger_is_found(scene):
    """A holder bit that nobody counted, on a living object and on a dead one."""
    held = _core.object_index(scene.objects["held"])
    with scene.damaged_bit(scene.region.slot + 1, held), pytest.raises(AssertionError, match="holders"):
        scene.region.check()
    with scene.damaged_bit(scene.region.slot, scene.free_object), pytest.raises(AssertionError, match="dead object"):
        scene.region.check()


@pytest.mark.parametrize("field", ["garbage", "nready", "idle", "nidle", "nstarting", "committed"])
def test_damage_of_the_header_is_found(scene, field):
    with scene.damaged_header(field, lambda old: old + 1), pytest.raises(AssertionError):
        scene.region.check()


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
