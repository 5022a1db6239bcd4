"""The current backend of this process: the only global state above the core.

api.py, remote_function.py, global_state.py and workers/main.py read or set it.
"""

from __future__ import annotations

from ray_lite.abc import Backend
from ray_lite.exceptions import RaySystemError

_backend: Backend | None = None
is_preloading = False  #: whether this is a node that imports packages for its workers (node/preload.py)


def current() -> Backend:
    """The live backend.

    Raises:
        RaySystemError: there is no backend.
    """
    if _backend is None:
        raise RaySystemError("ray_lite is not initialised; call ray_lite.init() first")
    return _backend


def peek() -> Backend | None:
    """The live backend, or None."""
    return _backend


def install(backend: Backend) -> None:
    """Makes a backend the current one."""
    global _backend
    _backend = backend


def clear() -> None:
    """Forgets the current backend."""
    global _backend
    _backend = None
