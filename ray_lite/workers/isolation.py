"""Isolation of inline tasks: the process state that they must not change for the task around them.

That is the working directory, sys.path, environment variables, umask, the event loop that runs, and the global random
generators.  Neighbour: inline_tasks.py saves and restores it.
"""

from __future__ import annotations

import os
import random
import sys
from typing import Any

from ray_lite import _core
from ray_lite.calls.unfinished import hide_loop


class ProcessState:
    """A snapshot of the process's state, taken before a task runs inline and restored after it; it hides a running loop."""

    def __init__(self) -> None:
        self.path, self.entries = sys.path, sys.path.copy()
        self.directory = _directory()
        self.environ = _environ().copy()
        self.umask = _core.get_umask()
        self.event_loop = hide_loop()

    def restore(self) -> None:
        """Restores what changed, each part separately, since signal handlers may raise in between."""
        try:
            if self.event_loop is not None:
                self.event_loop.show()
            self._go_back()
        finally:
            try:
                if _environ() != self.environ:
                    os.environb.clear()
                    os.environb.update(self.environ)
            finally:
                os.umask(self.umask)
                if sys.path is not self.path or sys.path != self.entries:
                    sys.path = self.path
                    sys.path[:] = self.entries

    def _go_back(self) -> None:
        try:
            if self.directory and _directory() != self.directory:
                os.chdir(self.directory)
        except OSError:
            pass  # the directory was removed, or this user may not enter it any more


class RandomStates:
    """The states of the global random generators during one wait.

    All inline tasks of the wait share freshly seeded generators, so that they draw neither the same numbers as each other nor
    the numbers that the waiting task draws afterwards; then the waiting task gets its own states again.
    """

    def __init__(self) -> None:
        self.random: Any = None
        self.numpy: Any = None

    def replace(self) -> None:
        """Saves the states and seeds the generators, at the first call only; lazy, since saving is expensive."""
        if self.random is not None:
            return
        self.random = random.getstate()
        fresh = int.from_bytes(os.urandom(8), "little")
        random.seed(fresh)
        self.numpy = _numpy_state()
        if self.numpy is not None:
            sys.modules["numpy.random"].seed(fresh & 0xFFFFFFFF)

    def restore(self) -> None:
        """Restores the waiting task's states, if they were replaced."""
        if self.random is not None:
            random.setstate(self.random)
        if self.numpy is not None:
            sys.modules["numpy.random"].set_state(self.numpy)


def _directory() -> str:
    """The working directory, or "" if it was removed and can't be entered again."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def _environ() -> dict[bytes, bytes]:
    """The environment as bytes; the dict inside the mapping, since the mapping itself decodes at each step (30 us)."""
    data = getattr(os.environb, "_data", None)
    return data if type(data) is dict else dict(os.environb)


def _numpy_state() -> Any:
    module = sys.modules.get("numpy.random")
    return module.get_state() if module is not None else None


def reseed() -> None:
    """Seeds `random`, and numpy's and torch's global generators if loaded, since a fork copies their states."""
    random.seed()
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.seed()
