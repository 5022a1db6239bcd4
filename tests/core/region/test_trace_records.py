"""Records, taken apart and put together: from the rings of a region, and from the files of several parts of a session."""

import json
import os

import pytest

from ray_lite import _core
from ray_lite.tracing.records import parse
from ray_lite.tracing.source import Traces, read, together


def written(region):
    return b"".join(_core.read_traces(region, slot, 0)[0] for slot in _core.trace_slots(region))


def test_a_record_says_what_was_written(region):
    _core.trace(region, _core.TRACE_MOVE, b"\1" * 20, 7, 5, 1)
    (one,) = parse(written(region))
    assert (one.kind, one.pid, one.outcome, one.id, one.what, one.begin) == (
        _core.TRACE_MOVE, os.getpid(), 1, b"\1" * 20, 7, 5)
    assert one.ns == one.end - 5 > 0


def test_events_keep_their_text_and_one_that_is_not_whole_is_left_out(region):
    texts = [{"type": name, "contents": None, "span": False} for name in ("é" * 30, "", "x" * 200)]
    for text in texts:
        _core.trace_event(region, 1, json.dumps(text).encode())
    assert [one.event for one in parse(written(region))] == texts
    assert list(parse(written(region)[: -_core.TRACE_BYTES])) == list(parse(written(region)))[:2]
    assert [one.event for one in parse(written(region)[_core.TRACE_BYTES :])] == texts[1:]


@pytest.mark.parametrize("text", [b"{", b"[1]", b"7", b"[" * 3000, b'{"type": 1, "contents": null, "span": true}', b"\xff"])
def test_what_is_no_event_is_left_out(region, text):
    _core.trace_event(region, 1, text)
    _core.trace(region, _core.TRACE_RUN, b"", 1, 1, 200)  # no such outcome
    _core.trace(region, _core.TRACE_MOVE, b"", 1, 1)
    assert [one.kind for one in parse(written(region))] == [_core.TRACE_MOVE]


def facts(**changes):
    return dict(names={"1": "f"}, actors={}, epoch=3, lost=2, unfinished=[["00", "READY", 1, 0, 0]]) | changes


def test_files_are_read_in_the_order_of_time_and_closed(region, tmp_path):
    for begin in (9, 4):
        _core.trace(region, _core.TRACE_MOVE, b"", begin, begin)
    (tmp_path / "a").write_bytes(written(region))
    file = os.open(tmp_path / "a", os.O_RDONLY)
    found = read([file], facts())
    assert [one.what for one in found.records] == [4, 9]
    assert (found.names, found.epoch, found.lost, found.unfinished) == ({1: "f"}, 3, 2, [("00", "READY", 1, 0, 0)])
    assert (found.name(1), found.name(2)) == ("f", "(unknown)")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)


def test_parts_of_a_session_together():
    parts = [read([], facts()), read([], facts(names={"2": "g"}, lost=1, unfinished=[]))]
    found = together(parts)
    assert (found.names, found.lost, len(found.unfinished)) == ({1: "f", 2: "g"}, 3, 1)
    assert together([]) == Traces([], {}, {}, 0, 0, [])
