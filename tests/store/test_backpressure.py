"""Room in a full store: what is tried, in which order, and for how long."""

import gc
import time

import pytest

from ray_lite import _core
from ray_lite.config import Config
from ray_lite.exceptions import ObjectStoreFullError
from ray_lite.store.backpressure import Room


class Core:
    """Stands for the region and the spill file, and keeps a diary."""

    fd = 3

    def __init__(self, monkeypatch, full=1 << 30, ending=(), spills=(), reason=_core.STORE_FULL):
        self.full, self.reason = full, reason
        self.coming, self.spills, self.diary = list(ending), list(spills), []
        monkeypatch.setattr(_core, "borrowed", lambda region: False)
        monkeypatch.setattr(_core, "hunger", lambda region, begun: self.diary.append("hungry" if begun else "served"))
        monkeypatch.setattr(_core, "ending", lambda region: self.coming.pop(0) if len(self.coming) > 1 else sum(self.coming))

    def statistics(self):
        return {"arena_bytes": 1000}

    def store(self):
        self.diary.append("try")
        self.full -= 1
        if self.full >= 0:
            raise ObjectStoreFullError(self.reason)
        return "stored"

    def spill(self, wanted):
        self.diary.append(f"spill {wanted}")
        return self.spills.pop(0) if self.spills else 0


@pytest.fixture
def core(monkeypatch):
    return lambda **how: Core(monkeypatch, **how)


def room(core, others=False, **limits):
    return Room(core, Config(**{"full_wait": 0.05, "spill_batch": 200} | limits), core, others)


def test_nothing_is_done_while_there_is_room(core):
    one = core(full=0)
    assert room(one).make(one.store, 100) == "stored" and one.diary == ["try"]


def test_garbage_goes_before_it_is_an_error(core, monkeypatch):
    one = core(full=2)
    monkeypatch.setattr(gc, "collect", lambda: one.diary.append("collect"))
    assert room(one).make(one.store, 100) == "stored"
    assert one.diary == ["try", "hungry", "try", "spill 200", "collect", "hungry", "try", "served"]


def test_a_full_disk_is_an_error_after_that(core, monkeypatch):
    one = core()

    def full_disk(wanted):
        one.diary.append("disk")
        raise ObjectStoreFullError("spilling failed")

    monkeypatch.setattr(gc, "collect", lambda: one.diary.append("collect"))
    monkeypatch.setattr(one, "spill", full_disk)
    with pytest.raises(ObjectStoreFullError, match="spilling failed"):
        room(one).make(one.store, 100)
    assert one.diary == ["try", "hungry", "try", "disk", "collect", "hungry", "try", "disk", "served"]


def test_what_is_ending_is_waited_for(core):
    one = core(full=5, ending=[100])
    assert room(one, full_wait=60).make(one.store, 100) == "stored" and "spill 200" not in one.diary


def test_too_little_is_not_waited_for_when_there_is_a_file(core):
    one = core(full=3, ending=[99], spills=[200, 200])
    assert room(one, full_wait=60).make(one.store, 100) == "stored"
    assert one.diary == ["try", "hungry", "try", "spill 200", "hungry", "try", "spill 200", "hungry", "try", "served"]


def test_a_large_wish_spills_as_much(core):
    one = core(full=2, spills=[900])
    assert room(one).make(one.store, 900) == "stored" and "spill 900" in one.diary


def test_who_has_another_way_waits_for_nobody(core):
    for how in ({"spills": [200] * 9, "reason": _core.ROOM_PROMISED_TEXT}, {"reason": "a table is full", "spills": [200] * 9}, {}):
        one = core(**how)
        with pytest.raises(ObjectStoreFullError):
            room(one).make_at_once(one.store, 100)
        assert one.diary == ["try"] + ([] if how else ["spill 200"])
    one = core(full=2, spills=[200, 200])
    assert room(one).make_at_once(one.store, 100) == "stored"
    assert one.diary == ["try", "spill 200", "try", "spill 200", "try"]


def test_the_turn_of_others_is_waited_for_even_by_a_driver(core):
    """Nothing is spilled for them meanwhile: else all would be, and then the store would still be full."""
    one = core(full=5, reason=_core.ROOM_PROMISED_TEXT, spills=[200])
    assert room(one, full_wait=60).make(one.store, 100) == "stored" and "spill 200" not in one.diary


def test_but_not_for_ever(core):
    one = core(reason=_core.ROOM_PROMISED_TEXT)
    begun = time.monotonic()
    with pytest.raises(ObjectStoreFullError):
        room(one).make(one.store, 100)
    assert 0.05 <= time.monotonic() - begun < 10


def test_a_vain_wait_is_not_repeated(core):
    one = core(full=10_000, ending=[100], spills=[1])
    mine = room(one)
    begun = time.monotonic()
    with pytest.raises(ObjectStoreFullError):
        mine.make(one.store, 100)
    assert time.monotonic() - begun >= 0.05
    one.diary.clear()
    with pytest.raises(ObjectStoreFullError):
        mine.make(one.store, 100)
    assert one.diary == ["try", *["hungry", "try", "spill 200"] * 2, "served"]
    one.coming = [200]
    one.full = 3
    assert mine.make(one.store, 100) == "stored", "more is ending now"


def test_a_driver_gives_up_at_once_and_a_worker_waits(core):
    for others, least in ((False, 0), (True, 0.05)):
        one = core()
        one.fd = -1
        begun = time.monotonic()
        with pytest.raises(ObjectStoreFullError):
            room(one, others).make(one.store, 100)
        assert least <= time.monotonic() - begun < 10
        assert one.diary[-1] == "served"


@pytest.mark.parametrize("how, size", [({"reason": "a table of the shared region is full"}, 100), ({}, 1001)])
def test_what_no_room_helps_against(core, how, size):
    one = core(**how)
    with pytest.raises(ObjectStoreFullError):
        room(one).make(one.store, size)
    assert one.diary == ["try"]
