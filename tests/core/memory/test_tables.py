"""Tables: entries are taken, given back and reused; pages are committed in steps; the end of a table is an error."""

import gc
import os

import pytest

from ray_lite import _core
from ray_lite.exceptions import ObjectStoreFullError


def put(region, count):
    return [_core.put_plain(region, k) for k in range(count)]


@pytest.fixture
def place(make_place):
    place = make_place(objects=512, commit_bytes=4096)
    place.region = place.create()
    place.region.join(_core.DRIVER, os.getpid(), 0)
    place.region.make_current()
    _core.set_root(b"root of these tests.")
    return place


def committed(place):
    return os.fstat(place.files[0]).st_blocks * 512


def test_a_table_grows_in_steps_while_it_is_used(place):
    """A page of objects holds 32."""
    sizes, handles = [], []
    for _ in range(8):
        handles += put(place.region, 32)
        sizes.append(committed(place))
    grown = [after - before for before, after in zip(sizes, sizes[1:], strict=False)]
    assert set(grown) == {4096}


def test_entries_are_counted_and_reused(place):
    before = place.region.statistics()["objects"]
    handles = put(place.region, 100)
    assert place.region.statistics()["objects"] == before + 100
    indices = {_core.object_index(x) for x in handles}
    size = committed(place)
    handles.clear()
    gc.collect()
    assert place.region.statistics()["objects"] == before
    handles = put(place.region, 100)
    assert {_core.object_index(x) for x in handles} == indices
    assert committed(place) == size
    place.region.check()


def test_the_last_freed_is_the_first_taken(place):
    handles = put(place.region, 10)
    index = _core.object_index(handles[4])
    del handles[4]
    assert _core.object_index(_core.put_plain(place.region, 0)) == index


def test_a_full_table_says_so_and_recovers(place):
    handles = []
    with pytest.raises(ObjectStoreFullError, match="RAY_LITE_OBJECTS"):
        while True:
            handles.append(_core.put_plain(place.region, len(handles)))
    assert len(handles) == 511  # index 0 is nobody
    place.region.check()
    handles.pop(200)
    x = _core.put_plain(place.region, "again")
    assert _core.get_ready(place.region, x) == "again"
    with pytest.raises(ObjectStoreFullError):
        _core.put_plain(place.region, 0)
    assert [_core.get_ready(place.region, x) for x in handles[:200]] == list(range(200))


def test_a_full_table_leaves_nothing_of_a_call(place, tasks):
    """The call's record exists when its returns don't fit: it is unwound."""
    calls = tasks(place.region, {"f": None})
    handles = put(place.region, 500)
    before = place.region.statistics()
    with pytest.raises(ObjectStoreFullError):
        calls.call("f", nreturns=40)()
    after = place.region.statistics()
    assert {name: before[name] for name in ("objects", "tasks", "refs", "ready")} == {
        name: after[name] for name in ("objects", "tasks", "refs", "ready")
    }
    place.region.check()
    del handles


def test_every_table_of_slots_ends(make_region):
    region = make_region(slots=4)
    slots = [_core.open_worker(region) for _ in range(2)]
    with pytest.raises(ObjectStoreFullError):
        _core.open_worker(region)
    _core.begin_sweep(region, slots[0])
    _core.end_sweep(region, slots[0])
    assert _core.open_worker(region) == slots[0]


def test_processes_grow_a_table_together(make_region, forked):
    """Two children fill what is left, each growing it as it goes; nobody loses an entry."""
    region = make_region(objects=4096, commit_bytes=4096)
    mine = put(region, 10)

    def fill(slot):
        _core.adopt_slot(region, slot, os.getpid(), 0)
        held = put(region, 1500)
        assert len({_core.object_index(x) for x in held}) == 1500
        assert [_core.get_ready(region, x) for x in held] == list(range(1500))
        return held

    slots = [_core.open_worker(region) for _ in range(2)]
    for child in [forked(fill, slot) for slot in slots]:
        assert child.wait() == 0
    assert region.statistics()["objects"] == 10 + 3000
    region.check()
    for slot in slots:
        _core.begin_sweep(region, slot)
        _core.end_sweep(region, slot)
    assert region.statistics()["objects"] == len(mine)
