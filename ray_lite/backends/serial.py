"""SerialBackend: PYTHON_MODE, for debugging: each call runs at once in the driver, values stand for ids, no process starts."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from ray_lite.backends.copies import arguments_copied, copied
from ray_lite.backends.serial_actor import current
from ray_lite.backends.serial_actors import SerialActors
from ray_lite.calls.functions import Call, Function, Token
from ray_lite.calls.identities import process_id
from ray_lite.calls.returns import several
from ray_lite.calls.unfinished import check_finished, hide_loop
from ray_lite.config import PYTHON_MODE
from ray_lite.tracing.source import Traces
from ray_lite.values.custom_serializers import Registration


class Statistics(NamedTuple):
    """Counts of a session that shares nothing: all zero."""

    objects: int = 0
    tasks: int = 0
    workers: int = 0
    bytes_used: int = 0
    region_bytes: int = 0


class NoTables:
    """The tables of a session that shares nothing: all empty. See abc.Tables for the contracts."""

    def objects(self) -> dict[Any, dict[str, Any]]:
        return {}

    def functions(self) -> dict[str, dict[str, str]]:
        return {}

    def clients(self) -> dict[str, list[dict[str, Any]]]:
        return {}

    def workers(self) -> dict[str, dict[str, Any]]:
        return {}

    def log_files(self) -> dict[str, dict[str, list[str]]]:
        return {}


class SerialView:
    """The view of a session without processes or store. See abc.SessionView for the contracts."""

    tables = NoTables()

    def check(self) -> None:
        """Does nothing: there is nothing that could be inconsistent."""

    def statistics(self) -> Statistics:
        return Statistics()

    def amounts(self) -> dict[str, tuple[float, float]]:
        """An empty dict: resources are not counted."""
        return {}

    def objects(self) -> list[Any]:
        """An empty list: values stand for ids, so there are no objects."""
        return []

    def memory(self, most: int) -> Any:
        """Raises RuntimeError: there is no object store."""
        raise RuntimeError("in PYTHON_MODE there is no object store whose memory could be shown")

    def errors(self) -> list[dict[str, Any]]:
        """An empty list: errors are raised at the call."""
        return []

    def traces(self) -> Traces:
        return Traces()

    def record_details(self, on: bool) -> None:
        pass  # nothing runs beside the driver

    def record_event(self, begin: int, event: Any) -> None:
        pass

    def worker_pids(self) -> list[int]:
        return []


class NoSharing:
    """Stands for a calls.serializer_table.SerializerTable: there are no other processes."""

    def share(self, registration: Registration) -> None:
        """Does nothing."""

    def share_all(self) -> None:
        """Does nothing."""


class SerialBackend:
    """See abc.Backend for the methods' contracts."""

    is_worker = False
    inherited = False
    mode = PYTHON_MODE
    session_id = 0
    serializers = NoSharing()

    def __init__(self, node_ip_address: str) -> None:
        names = ("redis_address", "object_store_address", "webui_url", "session_dir", "node_pid")
        self.address: dict[str, Any] = {"node_ip_address": node_ip_address, **dict.fromkeys(names)}
        self.worker_id = process_id(self.session_id, os.getpid())
        self.actors = SerialActors()
        self.view = SerialView()

    def submit(self, call: Call) -> Any:
        """Runs the call at once and raises its errors; arguments are copied, so that the task can't change the caller's."""
        function, args, kwargs = call.function, call.args, call.kwargs
        bound = function.bind(args, kwargs)
        if bound is not None:
            bound.apply_defaults()
            args, kwargs = bound.args, bound.kwargs
        args, kwargs = arguments_copied(args, kwargs)
        assert function.body is not None  # it was decorated in this process: functions can't be pickled here
        count = call.options.num_return_vals
        around = hide_loop()
        try:
            token = current.set(None)  # a task that a method calls is none of the actor's
            try:
                result = function.body(*args, **kwargs)
            finally:
                current.reset(token)
            if count == 0:
                return None
            check_finished(function.name, result, count > 1)
            return result if count == 1 else several(result, count)  # a generator runs here
        finally:
            if around is not None:
                around.show()

    def get(self, object_ids: Any, timeout: float | None, writable: bool = False) -> Any:
        return object_ids

    def put(self, value: Any, timeout: float | None = None) -> Any:
        return copied(value)

    def wait(self, object_ids: list[Any], num_returns: int, timeout: float | None) -> tuple[list[Any], list[Any]]:
        return object_ids[:num_returns], object_ids[num_returns:]

    def export(self, function: Function) -> Token:
        raise TypeError("remote functions can't be pickled in PYTHON_MODE")

    def cancel(self, x: Any, force: bool, recursive: bool) -> bool:
        """False: a call has ended when it returns."""
        return False

    def gpu_ids(self) -> list[int | str]:
        """An empty list: resources are not counted."""
        return []

    def attempt(self) -> int:
        return 0

    def close(self) -> None:
        """Ends all actors."""
        self.actors.close()
