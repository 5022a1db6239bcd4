"""PYTHON_MODE: everything runs inline in the driver, values stand for ids, no process is started. For debugging."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

from ray_lite.serialization import dumps, flat, loads


def _copied(value: Any) -> Any:
    """A deep copy, or what pickling makes of it: modules, for one, can't be copied."""
    try:
        return copy.deepcopy(value)
    except TypeError:
        parts = dumps(value)
        return loads(parts.stream, flat(parts), writable=True)


def _arguments_copied(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """All together, so that what is one stays one; else one by one."""
    try:
        return copy.deepcopy((args, kwargs))
    except TypeError:
        return tuple(map(_copied, args)), {name: _copied(value) for name, value in kwargs.items()}


class Statistics(NamedTuple):
    """Nothing is shared, so there is nothing to count."""

    objects: int = 0
    tasks: int = 0
    workers: int = 0
    bytes_used: int = 0
    region_bytes: int = 0


class SerialBackend:
    """See abc.Backend for the methods' contracts."""

    is_worker = False
    inherited = False
    nonce = 0

    def __init__(self, node_ip_address: str) -> None:
        names = ("redis_address", "object_store_address", "webui_url", "session_dir", "node_pid")
        self.address: dict[str, Any] = {"node_ip_address": node_ip_address, **dict.fromkeys(names)}

    def submit(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs the call now. Arguments are copied, so that the task can't change the caller's; errors are raised here."""
        bound = function._bound(args, kwargs)
        if bound is not None:
            bound.apply_defaults()
            args, kwargs = bound.args, bound.kwargs
        args, kwargs = _arguments_copied(args, kwargs)
        result = function._function(*args, **kwargs)
        count = function._options.num_return_vals
        if count == 0:
            return None
        if count > 1 and (not isinstance(result, (tuple, list)) or len(result) != count):
            raise ValueError(f"{function._name} has num_return_vals={count} and must return so many values")
        return result if count == 1 else list(result)

    def get(self, object_ids: Any, timeout: float | None, writable: bool = False) -> Any:
        return object_ids

    def put(self, value: Any, timeout: float | None = None) -> Any:
        return _copied(value)

    def wait(self, object_ids: list[Any], num_returns: int, timeout: float | None) -> tuple[list[Any], list[Any]]:
        return object_ids[:num_returns], object_ids[num_returns:]

    def export(self, function: Any) -> Any:
        raise TypeError("remote functions can't be pickled in PYTHON_MODE")

    def function(self, token: Any) -> Callable[..., Any]:
        raise TypeError("there are no exported functions in PYTHON_MODE")

    def cancel(self, x: Any, force: bool, recursive: bool) -> bool:
        """A call has ended when it returns."""
        return False

    def gpu_ids(self) -> list[int | str]:
        """Nothing is counted, so nothing is held."""
        return []

    def amounts(self) -> dict[str, tuple[float, float]]:
        return {}

    def attempt(self) -> int:
        return 0

    def check(self) -> None:
        """Nothing can be inconsistent."""

    def statistics(self) -> Statistics:
        return Statistics()

    def objects(self) -> list[Any]:
        """Values stand for ids: there are no objects."""
        return []

    def memory(self, most: int) -> Any:
        """There is no store."""
        raise RuntimeError("in PYTHON_MODE there is no object store whose memory could be shown")

    def worker_pids(self) -> list[int]:
        """There are no workers."""
        return []

    def close(self) -> None:
        """Nothing to end."""
