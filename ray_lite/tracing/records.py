"""Records of traces, taken apart.

Neighbours: _core.src/region/traces.h says what a record means; spool.py collects them.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from ray_lite import _core

RECORD = struct.Struct("<QIBBH20sIqqII")  # as rl_trace
OTHER = slice(36, 56)  # of a record of kind ARGUMENT: the id of the argument
TEXT = slice(16, 64)  # of a record of kind TEXT

DONE, FAILED, AGAIN = range(3)  #: outcomes of an attempt; AGAIN: it is followed by another


class Record(NamedTuple):
    """Something that a process did."""

    kind: int  #: _core.TRACE_RUN and so on
    pid: int
    outcome: int
    actor: int  #: number of the actor whose call it is; 0: a task
    id: bytes
    what: int
    begin: int  #: CLOCK_MONOTONIC, ns
    end: int
    before: int  #: us from the begin to the call of the function; 0: not known. Of a submission: number of returns
    after: int  #: us from the return of the function to the end; 0: not known
    other: bytes = b""  #: of an argument: its id
    event: Any = None  #: of an event: what the program said

    @property
    def ns(self) -> int:
        """How long it took."""
        return self.end - self.begin


def parse(data: bytes) -> Iterator[Record]:
    """The records in the bytes of rings; those of one ring must be in order. What is not whole, or no record, is left out:
    anybody may have written anything."""
    submitted = 0
    events: dict[int, tuple[Record, bytes]] = {}  # by pid: one whose text comes behind it, and what came of that so far
    for at in range(0, len(data), _core.TRACE_BYTES):
        _, pid, kind, outcome, actor, binary, what, begin, end, before, after = RECORD.unpack_from(data, at)
        if kind == _core.TRACE_TEXT:
            if pid in events:
                event, text = events.pop(pid)
                text += data[at : at + _core.TRACE_BYTES][TEXT]
                if len(text) < event.what:
                    events[pid] = event, text
                elif (said := _event(text[: event.what])) is not None:
                    yield event._replace(event=said, what=0)
            continue
        if outcome > AGAIN:
            continue
        record = Record(kind, pid, outcome, actor, binary, what, begin, end, before, after)
        if kind == _core.TRACE_EVENT:
            events[pid] = record, b""
        elif kind == _core.TRACE_ARGUMENT:
            other = data[at : at + _core.TRACE_BYTES][OTHER]
            yield Record(kind, pid, outcome, actor, binary, 0, submitted, submitted, 0, 0, other)
        else:
            yield record
            if kind == _core.TRACE_SUBMIT:
                submitted = begin


def _event(text: bytes) -> Any:
    """What profiling.py made a text of, or None."""
    try:
        event = json.loads(text)
        parts = event["type"], event["contents"], event["span"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    kinds: tuple[Any, ...] = (str, dict | None, bool)
    return event if all(map(isinstance, parts, kinds)) else None
