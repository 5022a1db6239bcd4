"""Copies of values for PYTHON_MODE, where a call must not change what its caller has.

Neighbours: serial.py and serial_actors.py pass arguments.
"""

from __future__ import annotations

import copy
from typing import Any

from ray_lite.values.serialization import dumps, flat, loads


def copied(value: Any) -> Any:
    """A deep copy of a value; a pickled copy if it can't be deep-copied, such as a module."""
    try:
        return copy.deepcopy(value)
    except TypeError:
        pickled = dumps(value)
        return loads(bytes(pickled.stream), flat(pickled))


def arguments_copied(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments copied in one deepcopy, so that shared references stay shared; where that fails, one by one."""
    try:
        return copy.deepcopy((args, kwargs))
    except TypeError:
        return tuple(map(copied, args)), {name: copied(value) for name, value in kwargs.items()}
