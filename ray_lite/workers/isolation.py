"""Isolation of tasks run inline: what they must not change for the task around them.

Working directory, sys.path, environment variables, umask, and the global random generators.
"""

from __future__ import annotations

import os
import random
import sys
from typing import Any

from ray_lite import _core


class ProcessState:
    """A snapshot, taken before a task is run inline and put back after it."""

    def __init__(self) -> None:
        self.path, self.entries = sys.path, sys.path.copy()
        self.directory = _directory()
        self.environ = _environ().copy()
        self.umask = _core.get_umask()

    def restore(self) -> None:
        """Puts back what changed, each by itself: signal handlers may raise here."""
        try:
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
            pass  # it was removed, or closed to this user: there is no way back into it


class RandomStates:
    """The global random generators during one wait.

    Tasks run inline share fresh ones, so that they draw neither each other's numbers nor those that the waiting task draws
    afterwards; the waiting task gets its own back.
    """

    def __init__(self) -> None:
        self.random: Any = None
        self.numpy: Any = None

    def replace(self) -> None:
        """Seeds the generators anew, the first time it is called. Taking their state is expensive, so this is lazy."""
        if self.random is not None:
            return
        self.random = random.getstate()
        fresh = int.from_bytes(os.urandom(8), "little")
        random.seed(fresh)
        self.numpy = _numpy_state()
        if self.numpy is not None:
            sys.modules["numpy.random"].seed(fresh & 0xFFFFFFFF)

    def restore(self) -> None:
        """Gives the waiting task its generators back, if they were replaced."""
        if self.random is not None:
            random.setstate(self.random)
        if self.numpy is not None:
            sys.modules["numpy.random"].set_state(self.numpy)


def _directory() -> str:
    """The working directory; empty when it was removed: there is no way back into it."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def _environ() -> dict[bytes, bytes]:
    """The environment as bytes. The public mapping decodes at each step, which takes 30 us; its dict takes none."""
    data = getattr(os.environb, "_data", None)
    return data if type(data) is dict else dict(os.environb)


def _numpy_state() -> Any:
    module = sys.modules.get("numpy.random")
    return module.get_state() if module is not None else None


def reseed() -> None:
    """Fresh seeds for `random`, and for numpy's and torch's global generators if they are loaded: a fork repeats them."""
    random.seed()
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.seed()
