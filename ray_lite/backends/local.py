"""LocalBackend: a session on this machine as a driver sees it; workers/backend.py adds inline tasks and blocking for workers.

    submit -> export the function once -> arguments into the record, or into one object -> _core.submit
    get    -> _core.get_ready | resolve, wait, load

The fast paths are in the core; this file sets them up and does everything slow.  Neighbours: driver/begin.py makes it; calls/
packs, store/ keeps values.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from ray_lite import _core
from ray_lite.backends.local_actors import LocalActors
from ray_lite.backends.session_view import LocalView
from ray_lite.calls.arguments import IN_OBJECT, pack
from ray_lite.calls.call_sites import CallSites
from ray_lite.calls.functions import Call, Function, FunctionTable, Token
from ray_lite.calls.identities import driver_id
from ray_lite.calls.runtime_env import RuntimeEnv
from ray_lite.calls.serializer_table import SerializerTable
from ray_lite.config import SCRIPT_MODE
from ray_lite.exceptions import GetTimeoutError
from ray_lite.options import Options, WorkerOptions
from ray_lite.policy.resources import gpu_numbers
from ray_lite.session_setting import SessionInfo
from ray_lite.store.backpressure import Backpressure
from ray_lite.store.object_store import Store
from ray_lite.store.spill import Spill
from ray_lite.values.failures import unpack

LOOKS = 5  # sleeps between two checks for a dead node and for signals


class LocalBackend:
    """A session as one process uses it. See abc.Backend for the methods' contracts."""

    is_worker = False
    mode = SCRIPT_MODE

    def __init__(self, region: _core.Region, info: SessionInfo) -> None:
        self.region, self.info, self.config, self.session_id = region, info, info.config, info.session_id
        self.worker_id = driver_id(info.session_id, region.job_key)
        spill = Spill(region, info.spill_fd)
        self.store = Store(region, info.config, Backpressure(region, info.config, spill, others=self.is_worker))
        self.store.set_copy_threads(region.cpus)
        self.functions = FunctionTable(self.store, info.session_id)
        self.runtime_env = RuntimeEnv(self.store)
        self.serializers = SerializerTable(self.store, info.session_dir)
        self.call_sites = CallSites(self.store, info.config.call_sites)
        self.view = LocalView(self.store, info)
        self.actors = LocalActors(self)
        self.asleep: Callable[[Callable[[], Any]], Any] = lambda sleep: sleep()  #: calls what sleeps for a given time
        self.address: dict[str, Any] = {}
        self.node_pidfd = -1
        self._queues: dict[tuple[Any, ...], int] = {}
        self._spin = int(info.config.spin * 1e9) if len(os.sched_getaffinity(0)) > 1 else 0
        self._park = int(info.config.park * 1e9)

    def submit(self, call: Call) -> Any:
        function, options = call.function, call.options
        bound = function.bind(call.args, call.kwargs)
        queue = self._queue(function, options)
        token = self.export(function)
        environment = self.runtime_env.current()
        flags = (0 if options.inline else _core.NO_INLINE) | (_core.WRITABLE_ARGS if options.writable_args else 0)
        facts = options.num_return_vals, options.max_retries, flags
        call.remote.arm(self.region, token[0], queue, (*facts, *function.positional_range()))
        pickled, refs = pack(call, bound)
        stream: Any = pickled.stream
        if pickled.buffers or pickled.contained or len(stream) > self.config.small_arguments:
            refs.insert(0, self.store.put_pickled(pickled))
            stream = IN_OBJECT
        stream = bytes(stream)
        record = token[0], queue, *facts, environment
        return self.store.with_room(lambda: _core.submit(self.region, record, stream, refs), len(stream))

    def _queue(self, function: Function, options: Options) -> int:
        """The ready queue of calls with these options; raises ValueError for a demand that can never be met."""
        key = (options.num_cpus, options.num_gpus, options.resources, options.for_worker)
        if key not in self._queues:
            demand = self.info.resources.demand(function.name, options)
            kept = self.store.keep(options.for_worker) if options.for_worker != WorkerOptions() else 0
            self._queues[key] = _core.demand_queue(self.region, *demand, kept)
        return self._queues[key]

    def export(self, function: Function) -> Token:
        return self.functions.export(function)

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
        if not self.wait_until(ids, 0, timeout, inline=timeout is None):
            late = len(_core.lacking(self.region, ids))
            raise GetTimeoutError(f"{late:,} of {len(ids):,} objects were not ready after {timeout} s")
        values = _core.get_many(self.region, ids, partial(self.load, writable=True) if writable else self.load)
        return values[0] if single else values

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
            done = self.wait_until(object_ids, len(object_ids) - wanted, seconds, inline=False)
            answer = _core.split_ready(self.region, object_ids, wanted, not done)
        return answer

    def wait_until(self, ids: list[_core.ObjectID], allowed: int, timeout: float | None, inline: bool) -> bool:
        """Waits until no more than `allowed` of the ids are lacking; False when `timeout` seconds ran out.

        `inline`: whether a worker may meanwhile run the tasks inline that the ids wait for.
        """
        deadline = -1 if timeout is None else time.monotonic_ns() + int(timeout * 1e9)
        spin = self._spin
        while not _core.wait_for_ids(self.region, ids, allowed, (deadline, spin, self._park), LOOKS):
            if deadline >= 0 and time.monotonic_ns() >= deadline:
                return False
            spin = 0
            self.look_around(ids if timeout is None else None, all_of_them=allowed == 0)
        return True

    def look_around(self, awaited: list[_core.ObjectID] | None = None, all_of_them: bool = False) -> None:
        """Raises an error that must end a waiting call; a waiting call does this between sleeps.

        `awaited`: the ids that the call waits for without a timeout; `all_of_them`: one that is lacking is enough to wait.
        """

    def cancel(self, x: _core.ObjectID, force: bool, recursive: bool) -> bool:
        if type(x) is not _core.ObjectID:
            raise TypeError(f"cancel takes an ObjectID, not {type(x).__name__}")
        task, serial = _core.task_of(self.region, x)
        if not task:
            return False
        if force and _core.actor_of_task(self.region, task):
            raise ValueError("a call of an actor can't be cancelled by force: ray_lite.kill(handle) ends the actor")
        found = _core.cancel(self.region, task, serial, force, recursive)
        if recursive:
            _cancel_descendants(self.region, (task, serial), force)
        return found != 0

    def gpu_ids(self) -> list[int | str]:
        return gpu_numbers([self.info.resources.gpu_ids[number] for number in _core.held_gpus(self.region)])

    def attempt(self) -> int:
        return _core.current_attempt()

    @property
    def inherited(self) -> bool:
        return self.region.inherited

    def close(self) -> None:
        self.region.close()


def _cancel_descendants(region: _core.Region, task: tuple[int, int], force: bool) -> None:
    """Cancels what descends from a task, (record, serial), that was cancelled recursively.

    What a marked task submits is cancelled at once, but it may have submitted more between the search and its mark.
    """
    marked = {task}
    while new := {one for one in {*_core.descendants(region, [*marked])} - marked if _core.cancel(region, *one, force, True)}:
        marked |= new


os.register_at_fork(before=_core.keep_views_for_child)
