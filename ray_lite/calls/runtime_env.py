"""The runtime environment of a call: sys.path and the working directory of the caller, which the task gets.

A process looks cheaply whether they changed since its last call (the core does on the fast path, cwd_watch.pyx).  A change makes
a small object, whose index stands in the record of each task; the worker applies it before it runs the task.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from ray_lite import _core
from ray_lite.store.object_store import Store


class Environment(NamedTuple):
    """sys.path, and the working directory, or "" where it was removed: then a task stays where its worker is."""

    path: list[str]
    directory: str


def observed() -> Environment:
    """This process's, now."""
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
        """Takes what is so now as the environment that workers start with, which has no object (index 0)."""
        _core.watch_cwd()
        self._first = self._mark(0)

    def _mark(self, index: int) -> Environment:
        """Calls made from now on run in the environment of object `index`, which is the present one."""
        _core.mark_env()
        self._last = observed()
        _core.set_runtime_env(index)
        return self._last

    def current(self) -> int:
        """The index of the object with the present environment, made if it is new; for the record of a task."""
        _core.mark_env()
        now = observed()
        if now != self._last:
            index = self._store.keep(tuple(now))
            self._last = now
            _core.set_runtime_env(index)
        return _core.get_runtime_env()

    def state(self) -> tuple[Environment, int]:
        """What calls made from now on say of their environment, for `restore`."""
        return self._last, _core.get_runtime_env()

    def restore(self, state: tuple[Environment, int]) -> None:
        """Calls say again what they said before another task ran here; the next one checks whether it is still so."""
        self._last, index = state
        _core.set_runtime_env(index)
        _core.unmark_env()

    def apply(self, index: int) -> None:
        """Changes this process's sys.path and directory to those of object `index`, or for 0 to those it began with."""
        environment = self._first
        if index:
            value, _ = self._store.load(_core.function_handle(self._store.region, index))
            environment = Environment(*value)
        sys.path[:] = environment.path
        if environment.directory:
            os.chdir(environment.directory)
        self._mark(index)
