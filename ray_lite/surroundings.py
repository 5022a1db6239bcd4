"""What a task run in place must not change for the task around it: cwd, environment, umask, random states."""

from __future__ import annotations

import os
import random
import sys
from typing import Any


class Surroundings:
    """A snapshot, taken before a task is helped and put back after it."""

    def __init__(self) -> None:
        self.directory = _directory()
        self.environ = _environ().copy()
        self.umask = os.umask(0)
        os.umask(self.umask)
        self.random = random.getstate()
        self.numpy = _numpy_state()

    def restore(self) -> None:
        """Puts back what changed."""
        if self.directory and _directory() != self.directory:
            os.chdir(self.directory)
        if _environ() != self.environ:
            os.environb.clear()
            os.environb.update(self.environ)
        os.umask(self.umask)
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
