"""Where a task runs: sys.path and the working directory at the time of the call travel with it.

A process looks cheaply whether they changed since the last call (the core does on the fast path, audit.pyx); a change makes
a small object, whose index the task's record has, and the worker applies it before the task.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from ray_lite import _core
from ray_lite.store import Store


def snapshot() -> dict[str, Any]:
    """sys.path and working directory, now."""
    try:
        directory = os.getcwd()
    except FileNotFoundError:
        directory = ""  # it was removed: the task stays where its worker is
    return {"path": [entry for entry in sys.path if isinstance(entry, str)], "directory": directory}


class Settings:
    """The setting of calls made by this process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._first: dict[str, Any] = {}
        self._last: dict[str, Any] = {}

    def begin(self) -> None:
        """What holds now is what workers start with: setting 0."""
        _core.listen()
        self._first = self._mark(0)

    def _mark(self, index: int) -> dict[str, Any]:
        """Calls made from now on run here, which is what object `index` says, or where this process began; what is here."""
        _core.mark_surroundings()
        self._last = snapshot()
        _core.set_setting(index)
        return self._last

    def current(self) -> int:
        """The index of the object that says where calls run now, for a task's record."""
        _core.mark_surroundings()
        now = snapshot()
        if now != self._last:
            index = self._store.keep(now)
            self._last = now
            _core.set_setting(index)
        return _core.get_setting()

    def now(self) -> tuple[dict[str, Any], int]:
        """What calls made from now on say of where they run, for `back`."""
        return self._last, _core.get_setting()

    def back(self, before: tuple[dict[str, Any], int]) -> None:
        """A task in between said otherwise: calls say again what they did, and the next one looks whether that is so."""
        self._last, setting = before
        _core.set_setting(setting)
        _core.unmark_surroundings()

    def apply(self, index: int) -> None:
        """The next task runs as object `index` says, or for 0 as this process began."""
        value = self._first
        if index:
            value, _ = self._store.load(_core.function_handle(self._store.region, index))
        sys.path[:] = value["path"]
        if value["directory"]:
            os.chdir(value["directory"])
        self._mark(index)
