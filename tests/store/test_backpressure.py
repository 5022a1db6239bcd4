"""backpressure.py: what is tried in a full store, in which order, and for how long."""

import gc
import time

import pytest

from ray_lite import _core
from ray_lite.config import Config
from ray_lite.exceptions import FullReason, ObjectStoreFullError
from ray_lite.store.backpressure import Backpressure


class Core:
    """Stands for the region and the spill file, and keeps a diary."""

    fd, jobs = 3, 1

    def __init__(self, monkeypatch, full=1 << 30, soon=(), spills=(), reason=FullReason.STORE, trims=()):
        self.full, self.reason = full, reason
        trims = list(trims)
        monkeypatch.setattr(_core, "bytes_trimmed_now", lambda region: trims.pop(0) if trims else 0)
        self.coming, self.spills, self.diary = list(soon), list(spills), []
        monkeypatch.setattr(_core, "others_reading", lambda region: False)
        monkeypatch.setattr(_core, "wait_for_room", lambda region, begun: self.diary.append("wait" if begun else "end"))
        monkeypatch.setattr(
            _core, "bytes_freed_soon", lambda region: self.coming.pop(0) if len(self.coming) > 1 else sum(self.coming))

    def statistics(self):
        return {"arena_bytes": 1000, "jobs": self.jobs}

    def store(self):
        self.diary.append("try")
        self.full -= 1
        if self.full >= 0:
            raise ObjectStoreFullError(self.reason.value, self.reason)
        return "stored"

    def spill(self, wanted):
        self.diary.append(f"spill {wanted}")
        return self.spills.pop(0) if self.spills else 0


@pytest.fixture
def core(monkeypatch):
    return lambda **how: Core(monkeypatch, **how)


def backpressure(core, others=False, **limits):
    return Backpressure(core, Config(**{"full_wait": 0.05, "spill_batch": 200} | limits), core, others)


def test_nothing_is_done_while_there_is_room(core):
    one = core(full=0)
    assert backpressure(one).make_room(one.store, 100) == "stored" and one.diary == ["try"]


def test_garbage_goes_before_it_is_an_error(core, monkeypatch):
    one = core(full=2)
    monkeypatch.setattr(gc, "collect", lambda: one.diary.append("collect"))
    assert backpressure(one).make_room(one.store, 100) == "stored"
    assert one.diary == ["try", "wait", "try", "spill 200", "collect", "wait", "try", "end"]


def test_a_full_disk_is_an_error_after_that(core, monkeypatch):
    one = core()

    def full_disk(wanted):
        one.diary.append("disk")
        raise ObjectStoreFullError("spilling failed", FullReason.SPILL_DISK)

    monkeypatch.setattr(gc, "collect", lambda: one.diary.append("collect"))
    monkeypatch.setattr(one, "spill", full_disk)
    with pytest.raises(ObjectStoreFullError, match="spilling failed") as raised:
        backpressure(one).make_room(one.store, 100)
    assert raised.value.reason is FullReason.SPILL_DISK
    assert one.diary == ["try", "wait", "try", "disk", "collect", "wait", "try", "disk", "end"]


def test_what_is_freed_soon_is_waited_for(core):
    one = core(full=5, soon=[100])
    assert backpressure(one, full_wait=60).make_room(one.store, 100) == "stored" and "spill 200" not in one.diary


def test_a_trim_is_waited_for_before_anything_is_spilled(core):
    one = core(full=3, trims=[100], spills=[200])
    assert backpressure(one, full_wait=60).make_room(one.store, 100) == "stored"
    assert one.diary == ["try", "wait", "try", "wait", "try", "spill 200", "wait", "try", "end"]


def test_a_trim_is_a_hope_though_it_is_not_enough(core):
    """What is free beside the run may be the rest; and a wait for another run, as large, may have been in vain."""
    one = core(full=4, trims=[99] * 5)
    assert backpressure(one, full_wait=60).make_room(one.store, 100) == "stored"
    one = core(full=4, trims=[100] * 5)
    one.fd, mine = -1, backpressure(one, full_wait=60)
    mine.vain = 100
    assert mine.make_room(one.store, 100) == "stored"


def test_too_little_is_not_waited_for_when_there_is_a_file(core):
    one = core(full=3, soon=[99], spills=[200, 200])
    assert backpressure(one, full_wait=60).make_room(one.store, 100) == "stored"
    assert one.diary == ["try", "wait", "try", "spill 200", "wait", "try", "spill 200", "wait", "try", "end"]


def test_a_large_wish_spills_as_much(core):
    one = core(full=2, spills=[900])
    assert backpressure(one).make_room(one.store, 900) == "stored" and "spill 900" in one.diary


def test_who_has_another_way_waits_for_nobody(core):
    for how in ({"spills": [200] * 9, "reason": FullReason.PROMISED}, {"reason": FullReason.TABLE, "spills": [200] * 9}, {}):
        one = core(**how)
        with pytest.raises(ObjectStoreFullError):
            backpressure(one).make_room_at_once(one.store, 100)
        assert one.diary == ["try"] + ([] if how else ["spill 200"])
    one = core(full=2, spills=[200, 200])
    assert backpressure(one).make_room_at_once(one.store, 100) == "stored"
    assert one.diary == ["try", "spill 200", "try", "spill 200", "try"]


def test_even_a_driver_lets_those_go_first_who_have_waited_longer(core):
    """Nothing is spilled for them meanwhile: else all would be, and then the store would still be full."""
    one = core(full=5, reason=FullReason.PROMISED, spills=[200])
    assert backpressure(one, full_wait=60).make_room(one.store, 100) == "stored" and "spill 200" not in one.diary


def test_but_not_for_ever(core):
    one = core(reason=FullReason.PROMISED)
    begun = time.monotonic()
    with pytest.raises(ObjectStoreFullError):
        backpressure(one).make_room(one.store, 100)
    assert 0.05 <= time.monotonic() - begun < 10


def test_a_vain_wait_is_not_repeated(core):
    one = core(full=10_000, soon=[100], spills=[1])
    mine = backpressure(one)
    begun = time.monotonic()
    with pytest.raises(ObjectStoreFullError):
        mine.make_room(one.store, 100)
    assert time.monotonic() - begun >= 0.05
    one.diary.clear()
    with pytest.raises(ObjectStoreFullError):
        mine.make_room(one.store, 100)
    assert one.diary == ["try", *["wait", "try", "spill 200"] * 2, "end"]
    one.coming = [200]
    one.full = 3
    assert mine.make_room(one.store, 100) == "stored", "more is about to be freed now"


def test_the_only_driver_gives_up_at_once_and_others_wait(core):
    """A worker, and one of several drivers of a session."""
    for others, jobs, least in ((False, 1, 0), (True, 1, 0.05), (False, 2, 0.05)):
        one = core()
        one.fd, one.jobs = -1, jobs
        begun = time.monotonic()
        with pytest.raises(ObjectStoreFullError):
            backpressure(one, others).make_room(one.store, 100)
        assert least <= time.monotonic() - begun < 10
        assert one.diary[-1] == "end"


@pytest.mark.parametrize("how, size", [({"reason": FullReason.TABLE}, 100), ({}, 1001)])
def test_what_no_room_helps_against(core, how, size):
    one = core(**how)
    with pytest.raises(ObjectStoreFullError):
        backpressure(one).make_room(one.store, size)
    assert one.diary == ["try"]
