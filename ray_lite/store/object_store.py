"""The object store as one process uses it: stores values into the region and loads them.

Neighbours: values/serialization.py (values as bytes), backpressure.py (a full store), listing.py (rows of objects).  Must not
wait for objects.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

from ray_lite import _core
from ray_lite.config import CPU_UNIT, Config
from ray_lite.exceptions import FullReason, ObjectStoreFullError
from ray_lite.store.backpressure import Backpressure
from ray_lite.store.kept_labels import kept_text
from ray_lite.store.listing import Listing, ObjectFacts
from ray_lite.values import load_errors
from ray_lite.values.failures import Failure, SystemFailure, bare, from_bare, shorten, stored
from ray_lite.values.serialization import Pickled, dumps, loads

LARGEST_SHOWN = 10
SHORT = 500  # most characters of a failure's text when the store has no room for more
T = TypeVar("T")


class Store:
    """Stores and loads values of any type in a region."""

    def __init__(self, region: _core.Region, config: Config, backpressure: Backpressure | None = None) -> None:
        self.region, self.config, self.backpressure = region, config, backpressure
        self.listing = Listing(region)

    def set_copy_threads(self, cpus: int) -> None:
        """Sets the number of threads that copy large buffers, from CPUs in ten-thousandths and this process's affinity."""
        threads = min(self.config.copy_threads, cpus // CPU_UNIT, len(os.sched_getaffinity(0)))
        config = self.config
        _core.set_copy_policy(max(1, threads), config.copy_large, config.copy_uncached, config.private_pages)

    def put(self, value: Any, timeout: float | None = None) -> _core.ObjectID:
        """Makes a sealed object with a copy of the value; `timeout`: seconds to wait for room, None: Config.full_wait."""
        return self.put_pickled(dumps(value, "value"), timeout)

    def put_pickled(self, pickled: Pickled, timeout: float | None = None) -> _core.ObjectID:
        """Makes a sealed object with a pickled value; `timeout`: seconds to wait for room, None: Config.full_wait."""
        began = time.monotonic_ns()
        binary = _core.next_put_id()
        x = self.create(binary, for_job=False)
        self.fill(_core.object_index(x), pickled, timeout=timeout)
        _core.seal_object(self.region, x)
        if _core.traces_detail(self.region):
            _core.trace(self.region, _core.TRACE_PUT, binary, 0, began)
        return x

    def create(self, binary: bytes, for_job: bool) -> _core.ObjectID:
        """Makes an empty, unsealed object; `for_job`: whether the session keeps it until the session ends."""
        return _core.create_object(self.region, binary, 0, for_job)

    def keep(self, value: Any) -> int:
        """Keeps a value in an object until the job ends and returns the object's index; processes of the job that keep equal
        values share the object.
        """
        return self.keep_pickled(dumps(value))

    def keep_pickled(self, pickled: Pickled) -> int:
        """As `keep`, for a value that is pickled already."""
        job = self.region.job_key.to_bytes(8, "little")  # another job's object would go with that job
        binary = _core.digest_id(b"".join(map(bytes, [job, pickled.stream, *pickled.buffers])))
        x = _core.find_object(self.region, binary)
        if x is None:
            x = self.create(binary, for_job=True)
            try:
                self.fill(_core.object_index(x), pickled)
            except ObjectStoreFullError:
                _core.abandon_object(self.region, x)
                raise
            _core.seal_object(self.region, x)
            x.binary()  # enters the id index, so that other processes find it
        return _core.object_index(x)

    def fill(self, index: int, pickled: Pickled, flag: int = 0, timeout: float | None = None) -> None:
        """Puts a value into an unsealed object of this process.

        Args:
            flag: _core.ERROR for a failure, which does not wait for room; else 0.
            timeout: seconds to wait for room. Default: Config.full_wait.

        Raises:
            ObjectStoreFullError: no room; the message names sizes and the largest objects.
        """

        def fill() -> None:
            _core.fill_object(self.region, index, flag, pickled)

        self.with_room(fill, pickled.size, timeout, patient=not flag)

    def with_room(self, store: Callable[[], T], size: int, timeout: float | None = None, patient: bool = True) -> T:
        """Calls `store`, which needs `size` bytes of the arena, and returns its result.

        Args:
            timeout: seconds to wait for room. Default: Config.full_wait.
            patient: whether to make room in a full store.

        Raises:
            ObjectStoreFullError: no room; the message names sizes and the largest objects.
        """
        try:
            if patient and self.backpressure is not None:
                return self.backpressure.make_room(store, size, timeout)
            return store()
        except ObjectStoreFullError as error:
            raise self._full(size, error) from error

    def load(self, x: _core.ObjectID, writable: bool = False) -> tuple[Any, Failure | SystemFailure | None]:
        """(value, None) of a sealed object, or (None, failure); `writable`: its arrays and buffers are this process's own."""
        is_error, stream, views = _core.payload(self.region, x)
        while views is _core.MISS:
            is_error, stream, views = self._unspilled(x)
        if stream is None:
            return (None, from_bare(*views)) if is_error else (views, None)
        if not is_error:
            if writable:
                views = [_core.writable(view) for view in views]
            return load_errors.load(stream, views, lambda: self._origin(x, bytes(stream))), None
        origin, *fields = loads(stream, views)
        return None, (Failure if origin == "task" else SystemFailure)(*fields)

    def _origin(self, x: _core.ObjectID, stream: bytes) -> str:
        """Words that say which value an object holds: where it comes from, and of a result the task."""
        site = self.text(ObjectFacts(*_core.object_facts(self.region, _core.object_index(x))).site)
        name = stream[load_errors.end_of_pickle(stream):].decode()
        return f"the result of {name}, called at {site or '?'}," if name else f"the value stored at {site or '?'}"

    def _unspilled(self, x: _core.ObjectID) -> tuple[bool, Any, Any]:
        """The payload of a spilled object: its bytes move back into the store or, without room for them, into a private copy.
        MISS if they were spilled again meanwhile.
        """
        backpressure = self.backpressure
        assert backpressure is not None  # a process without backpressure reads no object that can be spilled

        def create(size: int) -> _core.ObjectID:
            return backpressure.make_room_at_once(lambda: _core.create_nameless(self.region, size, False), size)

        try:
            backpressure.spill.restore(x, create)
        except ObjectStoreFullError:
            private = backpressure.spill.copy(x)
            if private is not None:
                return _core.private_payload(self.region, x, private)
        return _core.payload(self.region, x)

    def fail(self, index: int, failure: Failure | SystemFailure) -> None:
        """Puts a failure into an unsealed object of this process; a full store has a reserve for it, then room for a short
        text, then only for what `bare` keeps."""
        try:
            return self.fill(index, stored(failure), _core.ERROR)
        except ObjectStoreFullError:
            short = failure._replace(text=shorten(failure.text, SHORT))
        if isinstance(short, Failure):
            short = short._replace(cause=None)
        try:
            self.fill(index, stored(short), _core.ERROR)
        except ObjectStoreFullError:
            _core.fill_bare_error(self.region, index, bare(failure))

    def text(self, index: int) -> str:
        """The text in the kept object of this index, such as a call site; "" for index 0."""
        return kept_text(self.region, index)

    def _full(self, wanted: int, error: ObjectStoreFullError) -> ObjectStoreFullError:
        """Makes the error that says how much was wanted, how much is in use, and which objects are the largest."""
        facts = self.region.statistics()
        no_memory = error.reason is FullReason.MEMORY
        advice = "another plasma_directory, or none" if no_memory else "a larger object_store_memory"
        if self.backpressure is not None and self.backpressure.spill.fd < 0:
            advice += " or a spill_directory"
        rows = self.listing.largest(1, LARGEST_SHOWN, in_memory=True)
        lines = [f"  {row.bytes:>15,} bytes  {row.id.hex()}  held by {row.holders_text()}, "
                 f"{'as' if row.kept else 'created at'} {row.call_site or '?'}" for row in rows]
        return ObjectStoreFullError(
            f"{error}: {wanted:,} bytes wanted, {facts['bytes_used']:,} of {facts['arena_bytes']:,} "
            f"in use by {facts['objects']:,} objects. Drop ids and arrays you are done with, or give init() {advice}. "
            f"The largest objects:\n" + "\n".join(lines), error.reason)
