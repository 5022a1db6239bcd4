"""LocalBackend: a session on this machine as a driver sees it; a worker's (worker.py) adds helping and blocking.

    submit -> export the function once -> arguments into the record, or packed into one object -> _core.submit
    get    -> _core.get_ready | resolve, wait, load
The fast paths are in the core; here is their set-up and everything slow.  Neighbours: launch.py makes it, store.py keeps
values, failures.py makes exceptions.
"""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ray_lite import _core
from ray_lite.config import Config
from ray_lite.demands import Resources, gpu_numbers
from ray_lite.exceptions import GetTimeoutError, ObjectLostError, SerializationError
from ray_lite.failures import unpack
from ray_lite.options import Extra
from ray_lite.room import Room
from ray_lite.serialization import Name, Parts, dumps, name_of
from ray_lite.settings import Settings
from ray_lite.sites import Sites
from ray_lite.spill import Spill
from ray_lite.store import Row, Store
from ray_lite.usage import Memory, measure

if TYPE_CHECKING:
    import inspect

    from ray_lite.options import Options

PACKED = b"P"  # arguments that are one object instead of bytes in the record
LOOKS = 5  # sleeps between two looks at the node's life and at signals


class Part(NamedTuple):
    """What a process has to know of its session."""

    config: Config
    resources: Resources
    job: int  #: slot of the driver
    nonce: int  #: names the session
    spill: int = -1  #: descriptor of the file to spill into, -1: none


class Statistics(NamedTuple):
    """Counts of a session; bytes where the name says so. `objects` and `bytes_used` are the program's; `kept` and `bytes_kept`
    the session's own, until it ends: functions, call sites, settings.
    """

    objects: int
    kept: int
    tasks: int
    workers: int
    bytes_used: int
    bytes_kept: int
    bytes_committed: int
    bytes_spilled: int
    region_bytes: int
    arena_bytes: int
    page_bytes: int
    ready: int
    idle: int
    cpus: float
    cpus_free: float
    recoveries: int
    longest_section: int


def _name_argument(name: str, bound: inspect.BoundArguments | None, error: SerializationError) -> SerializationError:
    """The error for the first argument that can't be pickled, by its name."""
    for argument, value in (bound.arguments if bound is not None else {}).items():
        try:
            dumps(value, f"{name}.remote -> argument {argument!r}")
        except SerializationError as named:
            return named
    return error


class LocalBackend:
    """One process's part in a session. See abc.Backend for the methods' contracts."""

    is_worker = False

    def __init__(self, region: _core.Region, part: Part) -> None:
        self.region, self.config, self.job, self.nonce = region, part.config, part.job, part.nonce
        self.resources, config = part.resources, part.config
        self.store = Store(region, config, Room(region, config, Spill(region, part.spill), others=self.is_worker))
        self.store.copy_by(region.cpus)
        self.settings = Settings(self.store)
        self.sites = Sites(self.store, config.call_sites)
        self.address: dict[str, Any] = {}
        self.node_pidfd = -1
        self._queues: dict[tuple[Any, ...], int] = {}
        self._kinds = self.resources.numbered()
        self._exporting: dict[bytes, tuple[Any, tuple[int, int]]] = {}  # function id -> its Export and token
        self._export_lock = threading.RLock()
        self._spin = int(config.spin * 1e9) if len(os.sched_getaffinity(0)) > 1 else 0
        self._park = int(config.park * 1e9)

    # --- submitting ---

    def submit(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        bound = function._bound(args, kwargs)
        record = self._record(function, function._options)
        token = self.export(function)
        setting = self.settings.current()
        least, most = function._positional_range()
        function.remote.arm(self.region, token[0], record[0], (record[1], record[2], record[3], least, most))
        refs: list[_core.ObjectID] = []
        try:
            parts = self._pack(args, kwargs, refs)
        except SerializationError as error:
            raise _name_argument(function._name, bound, error) from error.__cause__
        if parts.buffers or parts.contained or len(parts.stream) > self.config.inline_arguments:
            refs.insert(0, self.store.put_parts(parts))
            stream: Any = PACKED
        else:
            stream = parts.stream
        asked = token[0], *record, setting
        return self.store.with_room(lambda: _core.submit(self.region, asked, stream, refs), len(stream))

    def _record(self, function: Any, options: Options) -> tuple[int, int, int, int]:
        """(queue, returns, max_retries, flags); raises ValueError for a demand that can never be met."""
        key = (options.num_cpus, options.num_gpus, options.resources, options.extra)
        queue = self._queues.get(key)
        if queue is None:
            demand = self.resources.demand(function._name, options, self._kinds)
            extra = self.store.keep(options.extra) if options.extra != Extra() else 0
            queue = self._queues[key] = _core.shape(self.region, self.job, *demand, extra)
        flags = (0 if options.inline else _core.NO_INLINE) | (_core.WRITABLE_ARGS if options.writable_args else 0)
        return queue, options.num_return_vals, options.max_retries, flags

    def _pack(self, args: tuple[Any, ...], kwargs: dict[str, Any], refs: list[_core.ObjectID]) -> Parts:
        """Pickles arguments; ids at the top level become refs and leave their place empty."""
        places: list[int | str] = []

        def place(key: int | str, value: Any) -> Any:
            if type(value) is not _core.ObjectID:
                return value
            refs.append(value)
            places.append(key)
            return None

        values = [place(index, value) for index, value in enumerate(args)]
        named = {name: place(name, value) for name, value in kwargs.items()}
        return dumps((values, named, places), "arguments")

    def export(self, function: Any) -> tuple[int, int]:
        """(index, generation) of the object with the function's pickle; made at the first call of a session.

        A function may name itself, or one that names it: then its object is named before its bytes are there. Only the
        thread that exports sees such a token; all become known together, when the outermost export has succeeded.
        """
        export = function._export
        if export.nonce == self.nonce:
            return export.token  # type: ignore[no-any-return]
        if self.inherited:
            return self._export(function)  # which says so; the lock may be held by a thread that the fork left behind
        with self._export_lock:
            if function._id in self._exporting:
                return self._exporting[function._id][1]
            outermost = not self._exporting
            try:
                token = self._export(function) if export.nonce != self.nonce else export.token
                if outermost:
                    for known, its_token in self._exporting.values():
                        known.token = its_token
                        known.nonce = self.nonce
                return token
            finally:
                if outermost:
                    self._exporting.clear()

    def _body(self, function: Any) -> Parts:
        """The function by value, with what it captures; where that can't be (it is compiled, or uses a lock), by name."""
        if function._function is None:
            raise ObjectLostError(f"remote function {function._name} belongs to an earlier session, or to that of the process "
                                  "from which this one was forked")
        try:
            return dumps(function._function, function._name)
        except SerializationError:
            name = name_of(function._function)
            if name is None:
                raise
            return dumps(name, function._name)

    def _export(self, function: Any) -> tuple[int, int]:
        x = self.store.create(_core.derive_id(function._id, self.nonce, 0), for_job=True)
        token = _core.id_token(x)[:2]
        self._exporting[function._id] = function._export, token
        try:
            body = self._body(function)
            head = pickle.dumps(function._name)
            stream = Parts(head, [body.stream, *body.buffers], [len(body.stream), *body.lengths], body.contained)
            self.store.fill(token[0], stream)
            _core.seal_object(self.region, x)
        except BaseException:
            _core.abandon_object(self.region, x)
            self._exporting.pop(function._id, None)
            raise
        return token

    # --- values ---

    def put(self, value: Any, timeout: float | None = None) -> _core.ObjectID:
        x = _core.put_plain(self.region, value)
        if x is not _core.MISS:
            return x  # type: ignore[no-any-return]
        if type(value) is _core.ObjectID:
            raise TypeError("put takes a value, not an ObjectID")
        return self.store.put(value, timeout)

    def get(self, object_ids: Any, timeout: float | None, writable: bool = False) -> Any:
        value = _core.get_ready(self.region, object_ids)
        if value is not _core.MISS:
            return value
        single = type(object_ids) is _core.ObjectID
        if not single and not isinstance(object_ids, list):
            raise TypeError(f"get takes an ObjectID or a list of ObjectIDs, not {type(object_ids).__name__}")
        ids = [object_ids] if single else list(object_ids)
        _core.resolve_all(self.region, ids)
        if not self.wait_until(ids, 0, timeout, help=timeout is None):
            late = len(_core.lacking(self.region, ids))
            raise GetTimeoutError(f"{late:,} of {len(ids):,} objects were not ready after {timeout} s")
        values = _core.get_many(self.region, ids, self.load_writable if writable else self.load)
        return values[0] if single else values

    def load_writable(self, x: _core.ObjectID) -> Any:
        """The value of a sealed object, its arrays and buffers this process's own."""
        return self.load(x, writable=True)

    def load(self, x: _core.ObjectID, writable: bool = False) -> Any:
        """The value of a sealed object; raises the failure that it holds."""
        value, failure = self.store.load(x, writable)
        if failure is not None:
            if failure.report:
                _core.mark_raised(self.region, failure.report)
            raise unpack(failure)
        return value

    def wait(self, object_ids: list[Any], num_returns: int, timeout: float | None) -> tuple[list[Any], list[Any]]:
        wanted = min(num_returns, len(object_ids))
        answer = _core.split_ready(self.region, object_ids, wanted, timeout == 0)
        while answer is None:
            seconds = None if timeout is None else timeout / 1000
            done = self.wait_until(object_ids, len(object_ids) - wanted, seconds, help=False)
            answer = _core.split_ready(self.region, object_ids, wanted, not done)
        return answer

    def wait_until(self, ids: list[_core.ObjectID], allowed: int, timeout: float | None, help: bool) -> bool:
        """Waits until no more than `allowed` of the ids are lacking; False when `timeout` seconds ran out."""
        deadline = -1 if timeout is None else time.monotonic_ns() + int(timeout * 1e9)
        spin = self._spin
        while not _core.wait_for_ids(self.region, ids, allowed, (deadline, spin, self._park), LOOKS):
            if deadline >= 0 and time.monotonic_ns() >= deadline:
                return False
            spin = 0
            self.look_around()
        return True

    def look_around(self) -> None:
        """While waiting: raises what ends the call."""

    def cancel(self, x: _core.ObjectID, force: bool, recursive: bool) -> bool:
        if type(x) is not _core.ObjectID:
            raise TypeError(f"cancel takes an ObjectID, not {type(x).__name__}")
        task, serial = _core.task_of(self.region, x)
        if not task:
            return False
        before = _core.descendants(self.region, task, serial) if recursive else []
        found = _core.cancel(self.region, task, serial, force, recursive)
        after = _core.descendants(self.region, task, serial) if recursive else []  # what it submits from now on ends at once
        for child, its_serial in {*before, *after}:
            _core.cancel(self.region, child, its_serial, force, True)
        return found != 0

    # --- what the task at hand has ---

    def gpu_ids(self) -> list[int | str]:
        return gpu_numbers([self.resources.gpu_ids[number] for number in _core.held_gpus(self.region)])

    def amounts(self) -> dict[str, tuple[float, float]]:
        return self.resources.named(_core.resources(self.region))

    def attempt(self) -> int:
        return _core.current_attempt()

    # --- functions ---

    def function(self, token: tuple[int, int]) -> Callable[..., Any]:
        _, _, views = _core.payload(self.region, _core.function_handle(self.region, token[0]))
        function = pickle.loads(views[0], buffers=views[1:])
        return function.find() if isinstance(function, Name) else function  # type: ignore[no-any-return]

    # --- looking ---

    @property
    def inherited(self) -> bool:
        return self.region.inherited

    def check(self) -> None:
        self.region.check()

    def statistics(self) -> Statistics:
        facts = self.region.statistics()
        facts["objects"] -= facts["kept"]
        facts["bytes_used"] -= facts["bytes_kept"]
        known = {name: facts[name] for name in Statistics._fields if name in facts}
        return Statistics(workers=len(self.worker_pids()), **known)

    def objects(self) -> list[Row]:
        return self.store.largest()

    def memory(self, most: int) -> Memory:
        return measure(self.store, self.statistics(), most)

    def worker_pids(self) -> list[int]:
        """Pids of the live workers."""
        return [pid for pid, kind in self.region.processes() if kind == _core.WORKER]

    def close(self) -> None:
        self.region.close()


os.register_at_fork(before=_core.keep_views_for_child)
