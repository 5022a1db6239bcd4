"""ray_lite: Python functions in parallel on one machine, through shared memory, with the Ray API of spring 2018.

    import ray_lite as ray

    ray.init()

    @ray.remote
    def f(x):
        return x + 1

    print(ray.get(f.remote(1)))  # 2
"""

from typing import TYPE_CHECKING

from ray_lite import exceptions, names_2018
from ray_lite._core import ObjectID
from ray_lite.actors import current_actor, exit_actor, get_actor, kill, method
from ray_lite.api import (
    cancel,
    error_info,
    get,
    get_attempt_number,
    get_gpu_ids,
    get_webui_url,
    init,
    is_initialized,
    memory,
    put,
    register_custom_serializer,
    shutdown,
    wait,
)
from ray_lite.config import PYTHON_MODE, SCRIPT_MODE, SILENT_MODE, WORKER_MODE, __version__
from ray_lite.decorator import remote
from ray_lite.global_state import global_state
from ray_lite.names_2018 import local_scheduler as local_scheduler
from ray_lite.names_2018 import worker as worker
from ray_lite.profiling import flush_log, log_event, log_span, timeline

__all__ = [
    "PYTHON_MODE", "SCRIPT_MODE", "SILENT_MODE", "WORKER_MODE", "ObjectID", "__version__", "cancel", "current_actor",
    "error_info", "exceptions", "exit_actor", "flush_log", "get", "get_actor", "get_attempt_number", "get_gpu_ids",
    "get_webui_url", "global_state", "init", "is_initialized", "kill", "log_event", "log_span", "memory", "method", "put",
    "register_custom_serializer", "remote", "shutdown", "timeline", "wait",
]


def __dir__() -> list[str]:
    """The public names, without the modules that Python sets as attributes when they are imported."""
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])


if not TYPE_CHECKING:  # a type checker would take it that each name is there

    def __getattr__(name):
        raise names_2018.missing("ray_lite", name)
