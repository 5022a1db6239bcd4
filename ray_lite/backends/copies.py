"""Copies of values for PYTHON_MODE, where a call must not change what its caller has.

Neighbours: serial.py and serial_actors.py pass arguments; values/custom_serializers.py has what users registered.
"""

from __future__ import annotations

import copy
import copyreg
import threading
from typing import Any

from ray_lite.values.custom_serializers import registered
from ray_lite.values.serialization import dumps, flat, loads

_copying = threading.RLock()  # held while copies find registered serializers where Python looks for them


def _deep_copy(value: Any) -> Any:
    """A deep copy, in which instances go through the serializers that users have registered for their classes."""
    reducers = {kind: one.reduce for kind, one in registered.items() if one.serializer is not None}
    if not reducers:
        return copy.deepcopy(value)
    table: dict[type, Any] = copyreg.dispatch_table
    with _copying:
        others = {kind: table[kind] for kind in reducers if kind in table}
        table.update(reducers)
        try:
            return copy.deepcopy(value)
        finally:
            for kind in reducers:
                del table[kind]
            table.update(others)


def copied(value: Any) -> Any:
    """A deep copy of a value; a pickled copy if it can't be deep-copied, such as a module."""
    try:
        return _deep_copy(value)
    except TypeError:
        pickled = dumps(value)
        return loads(bytes(pickled.stream), flat(pickled))


def arguments_copied(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments copied in one deepcopy, so that shared references stay shared; where that fails, one by one."""
    try:
        copies: tuple[tuple[Any, ...], dict[str, Any]] = _deep_copy((args, kwargs))
        return copies
    except TypeError:
        return tuple(map(copied, args)), {name: copied(value) for name, value in kwargs.items()}
