"""The modules of Ray of 2018 that programs reach by name, `ray.worker` and `ray.local_scheduler`, and what is left out of them.

    from ray_lite.worker import RayTaskError

They hold nothing of their own: each name stands for one of ours.  A name that is left out raises an AttributeError that says
what takes its place; docs/migrating_from_ray_2018.md lists all.  Neighbour: __init__.py makes them attributes of the package.
Must not add behaviour.
"""

from __future__ import annotations

import os
import sys
import types
from typing import Any

from ray_lite import api, profiling, session
from ray_lite._core import ObjectID
from ray_lite.calls.identities import process_id
from ray_lite.decorator import remote
from ray_lite.exceptions import RayError, RaySystemError, RayTaskError
from ray_lite.global_state import global_state

_INSIDE = "it was a part of Ray's inside"
_FUNCTIONS = "call init(preload=...), or do it in the task: a function can't be run on all workers"

# What takes the place of a name, by the module in which that was.
_LEFT_OUT = {
    "ray_lite": {
        "_config": "limits are environment variables, which ray_lite/config.py lists",
        "_init": "use init()",
        "actor": "Class.remote() makes actors; get_actor, kill, method and current_actor are in ray_lite itself",
        "cloudpickle": "import cloudpickle",
        "connect": "use init(redis_address=...)",
        "disconnect": "use shutdown()",
        "experimental": "use global_state; there is no interface of an experimental kind",
        "plasma": "use memory() or global_state.object_table()",
        "serialization": "use register_custom_serializer and exceptions.SerializationError",
        "services": "init() and `ray-lite start` start all processes; `ray-lite ps` and global_state.workers() show them",
        "signature": _INSIDE,
        "test": "it was for Ray's own tests",
        "utils": _INSIDE,
    },
    "ray_lite.worker": {
        "_init": "use ray_lite.init()",
        "check_connected": "use ray_lite.is_initialized()",
        "check_main_thread": "any thread may call ray_lite",
        "connect": "use ray_lite.init(redis_address=...)",
        "disconnect": "use ray_lite.shutdown()",
        "log": "use ray_lite.log_event() or ray_lite.log_span()",
        **dict.fromkeys(("LOG_POINT", "LOG_SPAN_START", "LOG_SPAN_END"), _INSIDE),
        **dict.fromkeys((f"NIL_{kind}ID" for kind in (
            "", "LOCAL_SCHEDULER_", "FUNCTION_", "ACTOR_", "ACTOR_HANDLE_")), "None stands for what is not there"),
    },
    "ray_lite.worker.global_worker": {
        **dict.fromkeys(("actor_id", "actors"), "use ray_lite.current_actor() or ray_lite.global_state.actors()"),
        **dict.fromkeys(("current_task_id", "put_index", "task_driver_id", "task_index"), _INSIDE),
        **dict.fromkeys(("node_ip_address", "redis_address"), "init() returns it"),
        **dict.fromkeys(("local_scheduler_client", "plasma_client", "redis_client"), _INSIDE),
        "run_function_on_all_workers": _FUNCTIONS,
    },
    "ray_lite.local_scheduler": {"common_error": "ids may be pickled; SerializationError names what may not"},
}


def missing(where: str, name: str) -> AttributeError:
    """The error for a name that a module does not have."""
    instead = _LEFT_OUT[where].get(name)
    if instead is None:
        return AttributeError(f"module {where!r} has no attribute {name!r}")
    return AttributeError(f"{where} has no {name}: {instead}")


class GlobalWorker:
    """This process as programs of 2018 see it: `ray.worker.global_worker`."""

    @property
    def connected(self) -> bool:
        """Whether this process has a session."""
        return api.is_initialized()

    @property
    def mode(self) -> int | None:
        """The driver_mode of `init`, WORKER_MODE in a worker, None without a session."""
        backend = session.peek()
        return None if backend is None or backend.inherited else backend.mode

    @property
    def worker_id(self) -> bytes:
        """20 bytes that no other process has."""
        backend = session.peek()
        return process_id(0, os.getpid()) if backend is None or backend.inherited else backend.worker_id

    def __getattr__(self, name: str) -> Any:
        raise missing("ray_lite.worker.global_worker", name)


def _module(name: str, doc: str, names: dict[str, Any]) -> types.ModuleType:
    """A module of the package that has no file."""
    full = f"ray_lite.{name}"
    made = types.ModuleType(full, doc)

    def other(name: str) -> Any:
        raise missing(full, name)

    vars(made).update(names, __all__=sorted(names), __getattr__=other)
    sys.modules[full] = made
    return made


worker = _module("worker", "Names of Ray of 2018; those in ray_lite itself are the same.", {
    **{name: getattr(api, name) for name in (
        "error_info", "get", "get_gpu_ids", "get_webui_url", "init", "put", "register_custom_serializer", "wait")},
    **{name: getattr(profiling, name) for name in ("flush_log", "log_event", "log_span")},
    "cleanup": api.shutdown,
    "global_state": global_state,
    "global_worker": GlobalWorker(),
    "remote": remote,
    "RayConnectionError": RaySystemError,
    "RayGetArgumentError": RayTaskError,
    "RayGetError": RayError,
    "RayTaskError": RayTaskError,
})
local_scheduler = _module("local_scheduler", "The name under which Ray of 2018 had ObjectID.", {"ObjectID": ObjectID})
