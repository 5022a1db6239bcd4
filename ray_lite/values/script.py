"""What a worker has from the script: the functions and classes that came by value; its `__main__` holds them.

Each has a number, by which children of the worker find it.  Neighbours: by_value.py tells of what it makes; workers/main.py
begins; children.py sends to children.  Must not do anything in the driver, whose `__main__` is the script itself.
"""

from __future__ import annotations

import os
import sys
import types
import weakref
from typing import Any

Number = tuple[int, int]  # (process that made it first, serial number there)

_numbers: weakref.WeakKeyDictionary[Any, Number] = weakref.WeakKeyDictionary()
_things: weakref.WeakValueDictionary[Number, Any] = weakref.WeakValueDictionary()
_serial = 0
_latest: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()  # what came last under each name
_is_worker = False


class _Main(types.ModuleType):
    """A worker's `__main__`; what is in it lives only as long as a task or another function uses it.

    Each pickle brings objects of its own: a name means the one that the running task uses, or else the latest.
    """

    def __getattr__(self, name: str) -> Any:
        latest = _latest.get(name)
        if latest is None:
            raise AttributeError(f"__main__ of this worker has no {name!r}: it holds the functions and classes of the script "
                                 "that its tasks use")
        frame: types.FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame.f_globals.get("__name__") == "__main__" and name in frame.f_globals:
                return frame.f_globals[name]
            frame = frame.f_back
        return latest

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *_latest]


def begin() -> None:
    """Gives this process, a worker, a `__main__` of its own."""
    global _is_worker
    sys.modules["__main__"] = _Main("__main__")
    _is_worker = True


def enter(thing: Any) -> None:
    """Numbers a function or class that was made in a worker; `__main__` gets it if it was at the top level of the script."""
    if not _is_worker:
        return
    keep(thing, next_number())
    if thing.__module__ == "__main__" and thing.__qualname__.isidentifier():
        _latest[thing.__qualname__] = thing


def next_number() -> Number:
    """A number that no process has used."""
    global _serial
    _serial += 1
    return os.getpid(), _serial


def keep(thing: Any, number: Number) -> None:
    """Keeps a function or class under a number, as long as it lives."""
    _numbers[thing], _things[number] = number, thing


def number_of(thing: Any) -> Number | None:
    """The number of a function or class, or None for another one or anything else."""
    return _numbers.get(thing) if isinstance(thing, (types.FunctionType, type)) else None


def find(number: Number) -> Any:
    """What has this number here, or None."""
    return _things.get(number)
