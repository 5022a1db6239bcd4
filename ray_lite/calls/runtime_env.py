"""The runtime environment of a call: sys.path and the working directory of the caller, which the task gets.

Each call checks cheaply whether they have changed since the last call; on the fast path the core does that (cwd_watch.pyx).  A
change makes a small object, whose index is in the record of each task; the worker applies it before it runs the task.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from ray_lite import _core
from ray_lite.store.object_store import Store


class Environment(NamedTuple):
    """sys.path and the working directory; "" if that was removed: then a task runs in the directory of its worker."""

    path: list[str]
    directory: str


def observed() -> Environment:
    """The present runtime environment of this process."""
    try:
        directory = os.getcwd()
    except FileNotFoundError:
        directory = ""
    return Environment([entry for entry in sys.path if isinstance(entry, str)], directory)


class RuntimeEnv:
    """The runtime environment of the calls that this process makes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._first = self._last = Environment([], "")

    def begin(self) -> None:
        """Takes the present environment as the one that workers start with; it has no object (index 0)."""
        _core.watch_cwd()
        self._first = self._mark(0)

    def _mark(self, index: int) -> Environment:
        """Makes the present environment, that of object `index`, the one of all calls from now on; returns it."""
        _core.mark_env()
        self._last = observed()
        _core.set_runtime_env(index)
        return self._last

    def current(self) -> int:
        """Index of the object with the present environment, for the record of a task; makes the object for a new one."""
        _core.mark_env()
        now = observed()
        if now != self._last:
            index = self._store.keep(tuple(now))
            self._last = now
            _core.set_runtime_env(index)
        return _core.get_runtime_env()

    def state(self) -> tuple[Environment, int]:
        """The environment of calls made from now on, for `restore`."""
        return self._last, _core.get_runtime_env()

    def restore(self, state: tuple[Environment, int]) -> None:
        """Returns to the environment of calls before another task ran here; the next call checks whether it is still right."""
        self._last, index = state
        _core.set_runtime_env(index)
        _core.unmark_env()

    def apply(self, index: int) -> None:
        """Changes sys.path and the directory to those of object `index`, or for 0 to those that this process began with."""
        environment = self._first
        if index:
            value, _ = self._store.load(_core.function_handle(self._store.region, index))
            environment = Environment(*value)
        sys.path[:] = environment.path
        if environment.directory:
            os.chdir(environment.directory)
        self._mark(index)
