"""Serializers that users register for a class: what its instances become in a pickle, instead of what pickle makes of them.

The pickle has all that makes the value again, so whoever loads it needs to know nothing.  Neighbours: serialization.py asks;
calls/serializer_table.py tells the other processes of the job; backends/copies.py does the same to copies.  Must not know
sessions.
"""

from __future__ import annotations

import pickle
import types
from collections.abc import Callable
from typing import Any, NamedTuple

from ray_lite import _core
from ray_lite.values.exception_state import HEAP_TYPE

# Classes about whose instances pickle asks nobody.
FIXED = (type(None), bool, int, float, bytes, str, tuple, list, dict, set, frozenset, bytearray, pickle.PickleBuffer, type,
         _core.ObjectID)


class Registration(NamedTuple):
    """What happens to the instances of exactly one class."""

    kind: type
    as_dict: bool = False  #: they travel as their `__dict__`
    serializer: Callable[[Any], Any] | None = None  #: makes another value of an instance
    deserializer: Callable[[Any], Any] | None = None  #: makes the value that is loaded from that one

    @property
    def is_plain(self) -> bool:
        """Whether pickle does what it does without a registration."""
        return not self.as_dict and self.serializer is None

    def reduce(self, instance: Any) -> Any:
        """Reduces an instance for pickle."""
        if self.serializer is not None:
            return _deserialized, (self.deserializer, self.serializer(instance))
        return object.__new__, (self.kind,), vars(instance), None, None, _set_attributes


registered: dict[type, Registration] = {}  #: by class; those that are plain are not here
shared: dict[type, Registration] = {}  #: by class; those that other processes of a job are to know
_look: Callable[[], None] | None = None


def set_look(look: Callable[[], None] | None) -> None:
    """Sets what is called before a value is pickled that may have such instances: it enters what others have registered."""
    global _look
    _look = look


def refresh() -> None:
    """Enters what other processes have registered since the last call."""
    if _look is not None:
        _look()


def enter(registration: Registration, is_shared: bool = True) -> None:
    """Makes a registration the one of its class in this process."""
    if registration.is_plain:
        registered.pop(registration.kind, None)
    else:
        registered[registration.kind] = registration
    if is_shared:
        shared[registration.kind] = registration
    else:
        shared.pop(registration.kind, None)


def check_class(cls: Any, as_dict: bool) -> None:
    """Raises TypeError or ValueError unless instances of a class can be treated as is asked."""
    if not isinstance(cls, type):
        raise TypeError(f"cls must be a class, got {cls!r}")
    if cls in FIXED:
        raise ValueError(f"values of {cls.__qualname__} are stored as they are: register a class of your own")
    if as_dict and not _is_all_in_dict(cls):
        raise TypeError("use_dict=True needs a class whose instances have all their state in __dict__, and no __new__ of their "
                        f"own; {cls.__qualname__} is none: give use_pickle=True, or a serializer and a deserializer")


def _is_all_in_dict(cls: type) -> bool:
    plain = all(base is object or base.__flags__ & HEAP_TYPE for base in cls.__mro__)
    slots = any(isinstance(value, types.MemberDescriptorType) for base in cls.__mro__ for value in vars(base).values())
    makes = [base for base in cls.__mro__ if "__new__" in vars(base)]
    return plain and not slots and makes == [object] and cls.__dictoffset__ != 0


def _deserialized(deserializer: Callable[[Any], Any], value: Any) -> Any:
    return deserializer(value)


def _set_attributes(instance: Any, attributes: dict[str, Any]) -> None:
    vars(instance).update(attributes)
