"""The store of one process: values in and out of the region.

Neighbours: _core (region), serialization.py (parts), failures.py.  Must not wait for objects.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from ray_lite import _core
from ray_lite.config import CPU_UNIT, Config
from ray_lite.exceptions import ObjectStoreFullError
from ray_lite.failures import Failure, SystemFailure, shorten
from ray_lite.room import Room
from ray_lite.serialization import Parts, dumps, loads
from ray_lite.spill import NOBODY

LARGEST_SHOWN = 10
ALL = (1 << 31) - 1001  # more than there can be
T = TypeVar("T")
SHORT = 500  # characters of a failure's text where a full store has no room for more


class Row(NamedTuple):
    """What is known of an object."""

    id: _core.ObjectID  #: it holds nothing
    bytes: int
    state: str
    pins: int  #: queued and running tasks, and objects, that need it
    holders: list[tuple[int, str]]  #: (pid, kind) of processes with a handle or a view
    call_site: str  #: where its put or task was called, or ""; of a kept one, what it is
    kept: bool  #: by the session, until it ends

    def holders_text(self) -> str:
        """The holders in a line."""
        names = [f"{kind} {pid}" for pid, kind in self.holders] or ["the session" if self.kept else "tasks or objects"]
        return ", ".join(names)

    def facts(self) -> dict[str, Any]:
        """As global_state.object_table() shows them."""
        return {"DataSize": self.bytes, "State": self.state, "Holders": self.holders, "Pins": self.pins,
                "CallSite": self.call_site, "Kept": self.kept}


class Store:
    """General values in and out of a region."""

    STATES = {_core.PENDING: "pending", _core.CREATING: "creating", _core.SEALED: "sealed"}
    KINDS = {_core.DRIVER: "driver", _core.NODE: "node", _core.WORKER: "worker"}

    def __init__(self, region: _core.Region, config: Config, room: Room | None = None) -> None:
        self.region, self.config, self.room = region, config, room

    def copy_by(self, cpus: int) -> None:
        """Large buffers are copied by as many threads as these CPUs, in ten-thousandths, and this process's affinity allow."""
        threads = min(self.config.copy_threads, cpus // CPU_UNIT, len(os.sched_getaffinity(0)))
        _core.copy_by(max(1, threads), self.config.copy_large, self.config.copy_uncached)

    def put(self, value: Any, timeout: float | None = None) -> _core.ObjectID:
        """A sealed object with the value, which is taken now; `timeout`: for room, None: as configured."""
        return self.put_parts(dumps(value, "value"), timeout)

    def put_parts(self, parts: Parts, timeout: float | None = None) -> _core.ObjectID:
        """A sealed object with a pickled value."""
        x = self.create(_core.next_put_id(), for_job=False)
        self.fill(_core.object_index(x), parts, timeout=timeout)
        _core.seal_object(self.region, x)
        return x

    def create(self, binary: bytes, for_job: bool) -> _core.ObjectID:
        """An empty, unsealed object; `for_job`: kept until the session ends."""
        return _core.create_object(self.region, binary, 0, for_job)

    def keep(self, value: Any) -> int:
        """The index of an object with this value that is kept until the session ends; processes that keep equal values
        share it.
        """
        parts = dumps(value)
        binary = _core.digest_id(bytes(parts.stream))
        x = _core.find_object(self.region, binary)
        if x is None:
            x = self.create(binary, for_job=True)
            try:
                self.fill(_core.object_index(x), parts)
            except ObjectStoreFullError:
                _core.abandon_object(self.region, x)
                raise
            _core.seal_object(self.region, x)
            x.binary()  # shown: from now on it is found
        return _core.object_index(x)

    def fill(self, index: int, parts: Parts, kind: int = 0, timeout: float | None = None) -> None:
        """A value for an unsealed object of this process.

        Raises:
            ObjectStoreFullError: naming sizes and the largest holders.
        """

        def fill() -> None:
            _core.fill_object(self.region, index, kind, parts)

        self.with_room(fill, parts.size, timeout, patient=not kind)

    def with_room(self, store: Callable[[], T], size: int, timeout: float | None = None, patient: bool = True) -> T:
        """Calls `store`, which needs `size` bytes of the arena; `patient`: making room for it if need be.

        Raises:
            ObjectStoreFullError: naming sizes and the largest holders.
        """
        try:
            return self.room.make(store, size, timeout) if patient and self.room is not None else store()
        except ObjectStoreFullError as error:
            raise self.full(size, str(error)) from error

    def load(self, x: _core.ObjectID, writable: bool = False) -> tuple[Any, Failure | SystemFailure | None]:
        """(value, None) of a sealed object, or (None, failure). `writable`: its arrays and buffers are this process's own."""
        is_error, stream, views = _core.payload(self.region, x)
        while views is _core.MISS:
            is_error, stream, views = self._back(x)
        if stream is None:
            return views, None
        if not is_error:
            if writable:
                views = [self._writable(view) for view in views]
            return loads(stream, views, writable), None
        kind, *fields = loads(stream, views)
        return None, (Failure if kind == "task" else SystemFailure)(*fields)

    def _writable(self, view: Any) -> Any:
        """A buffer that this process may write to."""
        if isinstance(view, _core.View):
            return _core.writable(view, self.config.private_pages)
        return bytearray(view)

    def _back(self, x: _core.ObjectID) -> tuple[bool, Any, Any]:
        """What a spilled object holds: its bytes come back into the store, or, if there is no room for them, as a copy of this
        process's own. It may be spilled again meanwhile.
        """
        room = self.room
        assert room is not None  # whoever has none looks at nothing that can be spilled

        def create(size: int) -> _core.ObjectID:
            return room.make_at_once(lambda: _core.create_object(self.region, NOBODY, size, False), size)

        try:
            room.spill.restore(x, create)
        except ObjectStoreFullError:
            private = room.spill.copy(x)
            if private is not None:
                return _core.private_payload(self.region, x, private)
        return _core.payload(self.region, x)

    def fail(self, index: int, failure: Failure | SystemFailure) -> None:
        """A failure for an unsealed object of this process; a full store has a reserve for them, and room for short ones."""
        kind = "task" if isinstance(failure, Failure) else "system"
        short = failure._replace(text=shorten(failure.text, SHORT))
        if isinstance(short, Failure):
            short = short._replace(cause=None)
        for one in (failure, short):
            try:
                return self.fill(index, dumps((kind, *one)), _core.ERROR)
            except ObjectStoreFullError:
                continue
        _core.fill_inline_error(self.region, index)

    def largest(self, least: int = 0, most: int = ALL, here: bool = False) -> list[Row]:
        """The `most` largest objects of at least `least` bytes, largest first, without those that end meanwhile; `here`: nor
        those that are spilled.
        """
        rows = []
        for index in _core.largest(self.region, least, most, here):
            x, size, state, pins, holders, site, kept, spilled = _core.object_facts(self.region, index)
            if state in self.STATES:
                processes = [(pid, self.KINDS.get(kind, "?")) for pid, kind in holders]
                where = self._purpose(index) if kept and state == _core.SEALED else self.site(site)
                rows.append(Row(x, size, "spilled" if spilled else self.STATES[state], pins, processes, where, kept))
        return rows

    def _purpose(self, index: int) -> str:
        """What an object is for that the session keeps."""
        _, stream, views = _core.payload(self.region, _core.function_handle(self.region, index))
        what = loads(stream)
        if views:
            return f"function {what}"
        return "a call site" if isinstance(what, str) else "a path and a directory"

    def site(self, index: int) -> str:
        """The text of a call site; empty for none."""
        if not index:
            return ""
        value, _ = self.load(_core.function_handle(self.region, index))
        return str(value)

    def full(self, wanted: int, reason: str) -> ObjectStoreFullError:
        """The error that says what was wanted, what there is, and who holds it."""
        facts = self.region.statistics()
        advice = "another plasma_directory, or none" if reason == _core.NO_MEMORY else "a larger object_store_memory"
        if self.room is not None and self.room.spill.fd < 0:
            advice += " or a spill_directory"
        rows = self.largest(1, LARGEST_SHOWN, here=True)
        lines = [f"  {row.bytes:>15,} bytes  {row.id.hex()}  held by {row.holders_text()}, "
                 f"{'as' if row.kept else 'created at'} {row.call_site or '?'}" for row in rows]
        return ObjectStoreFullError(
            f"{reason}: {wanted:,} bytes wanted, {facts['bytes_used']:,} of {facts['arena_bytes']:,} "
            f"in use by {facts['objects']:,} objects. Drop ids and arrays you are done with, or give init() {advice}. "
            f"The largest objects:\n" + "\n".join(lines))
