"""Rings of traces: what was written last can be read, whole and in order, while others write and die."""

import json
import os
import random
import struct

import pytest
from damage import structs

from ray_lite import _core

RING = 64
KIND = _core.TRACE_MOVE


def numbers(data):
    """`what` of each record."""
    return [struct.unpack_from("<I", data, at + 36)[0] for at in range(0, len(data), _core.TRACE_BYTES)]


def test_random_writes_and_reads_agree_with_a_list(region):
    """The list holds all that was written; a reader sees its end, as far as the ring holds it."""
    chance = random.Random(7)
    (slot,) = _core.trace_slots(region)
    written, since, lost, seen = 0, 0, 0, []
    for _ in range(200):
        for _ in range(chance.randrange(2 * RING)):
            _core.trace(region, KIND, b"", written, 0)
            written += 1
        data, since, missing = _core.read_traces(region, slot, since)
        seen += numbers(data)
        lost += missing
        assert seen[-1:] == ([written - 1] if written else [])
        assert len(seen) + lost == since == written
    assert seen == sorted(set(seen))
    assert lost > 0


def test_records_are_whole_while_another_process_writes_until_it_is_killed(place, region, forked):
    (slot,) = _core.trace_slots(region)

    def write():
        own = place.attach()
        own.take_slot(slot)
        k = 0
        while True:
            _core.trace(own, KIND, struct.pack("<5I", *[k % 2**32] * 5), k % 2**32, 0)
            k += 1

    child = forked(write)
    since, seen, lost = 0, [], 0
    while len(seen) < 20_000:
        data, since, missing = _core.read_traces(region, slot, since)
        lost += missing
        for at in range(0, len(data), _core.TRACE_BYTES):
            ids = struct.unpack_from("<6I", data, at + 16)
            assert len(set(ids)) == 1, ids
        seen += numbers(data)
    child.kill()
    child.wait()
    data, since, missing = _core.read_traces(region, slot, since)
    seen += numbers(data)
    assert seen == sorted(set(seen))
    assert len(seen) + lost + missing == since
    _core.trace(region, KIND, b"", 5, 0)  # the next process of the slot goes on with the ring
    assert numbers(_core.read_traces(region, slot, since)[0]) == [5]


def test_an_event_lies_in_as_many_records_as_its_text_needs(region):
    text = json.dumps({"contents": "x" * 300}).encode()
    _core.trace_event(region, 0, text)
    data, since, lost = _core.read_traces(region, _core.trace_slots(region)[0], 0)
    assert (since, lost) == (1 + -(-len(text) // _core.TRACE_TEXT_BYTES), 0)
    assert data[12] == _core.TRACE_EVENT
    assert text in b"".join(data[at + 16 : at + 64] for at in range(64, len(data), 64))


def test_the_check_finds_a_record_in_the_wrong_place(place, region):
    (slot,) = _core.trace_slots(region)
    for k in range(3):
        _core.trace(region, KIND, b"", k, 0)
    region.check()
    control, header = place.files[0], structs()["rl_header"]
    begin, stride = (struct.unpack("<Q", os.pread(control, 8, header[name][0]))[0] for name in ("traces", "trace_bytes"))
    second = begin + stride * slot + 2 * _core.TRACE_BYTES  # the ring's own head is as large as a record
    for wrong in (1, RING + 2):
        os.pwrite(control, struct.pack("<Q", wrong), second)
        with pytest.raises(AssertionError, match="traces: a record in the wrong place"):
            region.check()
    os.pwrite(control, struct.pack("<Q", 2), second)
    region.check()


def test_without_rings_nothing_is_recorded(make_place):
    region = make_place(trace_records=0).create()
    region.join(_core.DRIVER, os.getpid(), 0)
    _core.trace(region, KIND, b"", 1, 0)
    assert _core.trace_slots(region) == []
    assert _core.read_traces(region, 1, 0) == (b"", 0, 0)
    assert _core.read_traces(region, 99, 3) == (b"", 3, 0)


def test_details_are_for_all_processes_of_the_session(place, region):
    assert not _core.traces_detail(region)
    _core.set_traces_detail(region, True)
    assert _core.traces_detail(place.attach())
