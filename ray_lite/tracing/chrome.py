"""Trace files for chrome://tracing and Perfetto: JSON, written as a stream.  Pure logic but for `write`.

What importers ask for: slices of one track nest, else they are asynchronous ones; ids have at most 64 bits; an arrow begins and
ends inside a slice.  Neighbours: source.py has the records.
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import IO, Any

from ray_lite import _core
from ray_lite.tracing.records import AGAIN, FAILED, Record
from ray_lite.tracing.source import Traces

Event = dict[str, Any]

OUTCOMES = ("done", "failed", "runs again")
QUEUES = 0  # the process whose tracks show tasks that wait
US = 1_000  # ns
INSIDE = 1_000  # ns at most between the edge of a slice and an arrow
SLICES = (_core.TRACE_RUN, _core.TRACE_SUBMIT, _core.TRACE_PUT, _core.TRACE_MOVE, _core.TRACE_EVENT)


class Parts:
    """Which parts of the traces are shown.

    Args:
        only: ids of tasks as hexadecimal digits; None: all.
        phases: whether a task's slice has one for its arguments, its execution and its results, where they are known.
        submissions, arguments: whether there are arrows from a submission to the run, and from a result to who uses it.
    """

    def __init__(
        self, only: Iterable[str] | None = None, phases: bool = True, submissions: bool = True, arguments: bool = True
    ) -> None:
        self.only = None if only is None else {bytes.fromhex(one) for one in only}
        self.phases, self.submissions, self.arguments = phases, submissions, arguments

    def has(self, record: Record) -> bool:
        """Whether a record is shown."""
        return self.only is None or record.id in self.only


class Chrome:
    """The events of traces."""

    def __init__(self, traces: Traces, parts: Parts | None = None) -> None:
        self.traces, self.parts = traces, parts or Parts()
        self.records = [one for one in traces.records if self.parts.has(one)]
        self.start = min((one.begin for one in traces.records), default=0)
        self.runs: dict[bytes, list[Record]] = defaultdict(list)
        self.makers: dict[bytes, Record] = {}  # by object: the run that returned it, or its put
        for one in self.records:
            if one.kind == _core.TRACE_RUN:
                self.runs[one.id].append(one)
        for one in self.records:
            if one.kind == _core.TRACE_PUT:
                self.makers[one.id] = one
            elif one.kind == _core.TRACE_SUBMIT and one.id in self.runs:
                for k in range(one.before):
                    self.makers[_core.return_id(one.id, k)] = self.runs[one.id][-1]
        self.arrows = itertools.count(1)

    def events(self) -> Iterator[Event]:
        """All events."""
        yield from self._processes()
        slices = [one for one in self.records if one.kind in SLICES]
        crossing = crossings(slices)
        for number, one in enumerate(slices):
            yield from self._asynchronous(one, number) if number in crossing else self._slice(one)
        for one in self.records:
            if one.kind == _core.TRACE_SUBMIT and self.parts.submissions:
                yield from self._arrow("submit_task", one, self.runs[one.id], (one.begin + one.end) // 2)
            elif one.kind == _core.TRACE_ARGUMENT and self.parts.arguments and one.other in self.makers:
                maker = self.makers[one.other]
                yield from self._arrow("obj_dependency", maker, self.runs[one.id], maker.end - min(INSIDE, maker.ns // 2))
            elif one.kind == _core.TRACE_QUEUED:
                yield from self._queued(one)
            elif one.kind == _core.TRACE_DEATH:
                yield self._event("i", one.what, one.begin, "process died", cat="death", s="p")

    def _event(self, ph: str, pid: int, ts: int, name: str, **more: Any) -> Event:
        return {"ph": ph, "pid": pid, "tid": pid, "ts": (ts - self.start) / 1000, "name": name, **more}

    def _processes(self) -> Iterator[Event]:
        """Names of the tracks."""
        kinds: dict[int, str] = {}
        for one in self.traces.records:
            if one.kind == _core.TRACE_RUN:
                kinds[one.pid] = "actor" if one.actor else "worker"
            else:
                kinds.setdefault(one.pid, "driver")
        for pid, kind in {QUEUES: "waiting for a worker", **kinds}.items():
            yield {"ph": "M", "pid": pid, "tid": pid, "name": "process_name", "args": {"name": f"{kind} {pid or ''}".strip()}}

    def _described(self, one: Record) -> tuple[str, str, Event]:
        """(name, category, further facts) of a slice."""
        if one.kind == _core.TRACE_EVENT:
            return one.event["type"], "event", one.event["contents"] or {}
        if one.kind in (_core.TRACE_PUT, _core.TRACE_MOVE):
            name = "put" if one.kind == _core.TRACE_PUT else "load" if one.outcome else "spill"
            return name, name, {"object": one.id.hex()}
        name = self.traces.name(one.what)
        if one.kind == _core.TRACE_SUBMIT:
            return f"submit {name}", "submit", {"task": one.id.hex()}
        facts = {"task": one.id.hex(), "outcome": OUTCOMES[one.outcome]}
        return name, "call" if one.actor else "task", facts

    def _slice(self, one: Record) -> Iterator[Event]:
        name, cat, facts = self._described(one)
        if one.kind == _core.TRACE_EVENT and not one.event["span"]:
            yield self._event("i", one.pid, one.begin, name, cat=cat, s="t", args=facts)
            return
        colour = {"cname": "terrible"} if one.kind == _core.TRACE_RUN and one.outcome in (FAILED, AGAIN) else {}
        yield self._event("X", one.pid, one.begin, name, cat=cat, dur=one.ns / 1000, args=facts, **colour)
        if one.kind == _core.TRACE_RUN and self.parts.phases and (one.before or one.after):
            called, returned = min(one.begin + one.before * US, one.end), max(one.end - one.after * US, one.begin)
            phases = ("get_arguments", one.begin, called), ("execute", called, returned), ("store_outputs", returned, one.end)
            for phase, begin, end in phases:
                if begin < end:
                    yield self._event("X", one.pid, begin, f"{name}:{phase}", cat=phase, dur=(end - begin) / 1000)

    def _asynchronous(self, one: Record, number: int) -> Iterator[Event]:
        """A slice that crosses another one of its track, such as of an actor that runs several calls at a time."""
        name, cat, facts = self._described(one)
        yield self._event("b", one.pid, one.begin, name, cat=cat, id=f"0x{number:x}", args=facts)
        yield self._event("e", one.pid, one.end, name, cat=cat, id=f"0x{number:x}")

    def _arrow(self, cat: str, source: Record, targets: list[Record], at: int) -> Iterator[Event]:
        if targets:
            number = next(self.arrows)
            yield self._event("s", source.pid, at, cat, cat=cat, id=number)
            for one in targets:
                yield self._event("f", one.pid, one.begin + min(INSIDE, one.ns // 2), cat, cat=cat, id=number, bp="e")

    def _queued(self, one: Record) -> Iterator[Event]:
        """How long a task was ready to run. A worker that ends a task and takes one which that made ready begins at the end."""
        taken = next((run for run in self.runs[one.id] if run.end >= one.begin), None)
        if taken is not None:
            name, id = self.traces.name(taken.what), f"0x{next(self.arrows):x}"
            yield self._event("b", QUEUES, one.begin, name, cat="queued", id=id, args={"task": one.id.hex()})
            yield self._event("e", QUEUES, max(taken.begin, one.begin), name, cat="queued", id=id)


def crossings(slices: list[Record]) -> set[int]:
    """Places in a list of slices, sorted by their begin, of those that neither nest in an earlier one of their process nor
    follow it."""
    found: set[int] = set()
    open_ones: dict[int, list[int]] = defaultdict(list)  # by pid: ends of the slices around this moment
    order = sorted(range(len(slices)), key=lambda k: (slices[k].begin, -slices[k].end))
    for k in order:
        ends = open_ones[slices[k].pid]
        while ends and ends[-1] <= slices[k].begin:
            ends.pop()
        if ends and slices[k].end > ends[-1]:
            found.add(k)
        else:
            ends.append(slices[k].end)
    return found


def write(path: str | os.PathLike[str], traces: Traces, parts: Parts | None = None) -> None:
    """Writes a trace file; compressed if its name ends with ".gz".

    Raises:
        OSError: the file can't be written; what was there before is still there.
    """
    draft = f"{os.fspath(path)}.{os.getpid()}.part"
    try:
        compressed = os.fspath(path).endswith(".gz")
        with gzip.open(draft, "wt") if compressed else open(draft, "w") as file:
            _write(file, traces, parts)
        os.replace(draft, path)
    except BaseException:
        if os.path.exists(draft):
            os.unlink(draft)
        raise


def _write(file: IO[str], traces: Traces, parts: Parts | None) -> None:
    file.write('{"displayTimeUnit":"ms","otherData":' + json.dumps({"lost": traces.lost}) + ',"traceEvents":[')
    for number, event in enumerate(Chrome(traces, parts).events()):
        file.write(("," if number else "") + "\n" + json.dumps(event))
    file.write("\n]}\n")
