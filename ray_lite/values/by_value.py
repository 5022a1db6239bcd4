"""Functions and classes that travel by value: cloudpickle's pickler, with reducers of our own for classes.

A class is made again with its slots.  The process that defined a class is its home: what comes back there leaves the class as
it is.  Any other process has one copy, which only what its home sends changes.  Neighbours: serialization.py imports this
module when a value is pickled first, since that imports cloudpickle (10 ms).  Must not decide about anything but functions
and classes.
"""

from __future__ import annotations

import abc
import types
import weakref
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

from cloudpickle import cloudpickle

HEAP_TYPE = 1 << 9  # flag of the types that are made at run time; C code defines the others
NAMESPACE = 3  # place of the first attributes among the facts by which cloudpickle makes a class
MADE_BY_PYTHON = ("__dict__", "__weakref__", "__annotate_func__", "_abc_impl")  # with the class, so not part of its state

# The copies made in this process, and whether they are complete; any other class has its home here.
_copies: weakref.WeakKeyDictionary[type, bool] = weakref.WeakKeyDictionary()


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle's pickler with the classes of this module."""

    def reducer_override(self, obj: Any) -> Any:
        """Reduces a class by value, unless it is found by its name; cloudpickle does the rest."""
        if issubclass(type(obj), type) and obj.__flags__ & HEAP_TYPE:
            return NotImplemented if cloudpickle._should_pickle_by_reference(obj) else _reduce_class(obj)
        return super().reducer_override(obj)


def _reduce_class(kind: type) -> Any:
    """Reduces a class to the call that makes a copy, and the copy's state."""
    make: Callable[..., type]
    if issubclass(kind, Enum):
        make, facts = cloudpickle._make_skeleton_enum, cloudpickle._enum_getnewargs(kind)
        state, _ = cloudpickle._enum_getstate(kind)
    else:
        make, facts = cloudpickle._make_skeleton_class, cloudpickle._class_getnewargs(kind)
        state = _state(kind)
        if "__slots__" in vars(kind):
            facts[NAMESPACE]["__slots__"] = tuple(_slots(kind))
    return _make_class, (make, facts), (state, kind not in _copies), None, None, _set_class


def _state(kind: type) -> dict[str, Any]:
    """The attributes of a class that `_make_class` does not give to the copy."""
    state = {name: value for name, value in cloudpickle._extract_class_dict(kind).items()
             if name not in MADE_BY_PYTHON and not _is_slot(kind, name)}
    if isinstance(state.get("__slots__"), Iterator):
        del state["__slots__"]  # it was used up when the class was made
    if isinstance(kind, abc.ABCMeta):
        registered, *_ = abc._get_dump(kind)  # type: ignore[attr-defined]
        state["_abc_impl"] = [reference() for reference in registered]
    return state


def _is_slot(kind: type, name: str) -> bool:
    value = vars(kind).get(name)
    return isinstance(value, types.MemberDescriptorType) and value.__objclass__ is kind and value.__name__ == name


def _slots(kind: type) -> Iterator[str]:
    """Yields the slots that a class adds to those of its bases, private names as Python mangles them."""
    yield from (name for name in vars(kind) if _is_slot(kind, name))
    for name in "__dict__", "__weakref__":
        if isinstance(vars(kind).get(name), types.GetSetDescriptorType):
            yield name


def _make_class(make: Callable[..., type], facts: tuple[Any, ...]) -> type:
    """The class with the tracker id among its facts: the one that is here, or a new copy."""
    *others, tracker_id, extra = facts
    known: type | None = cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID.get(tracker_id)
    if known is not None:
        return known
    made = make(*others, None, extra)
    _copies[made] = False  # before another thread can find it
    return cloudpickle._lookup_class_or_track(tracker_id, made)  # type: ignore[no-any-return]


def _set_class(kind: type, state: tuple[dict[str, Any], bool]) -> None:
    """Gives a copy its state, unless it is complete and the state comes from another copy."""
    attributes, from_home = state
    complete = _copies.get(kind)
    if complete is False or (complete and from_home):
        cloudpickle._class_setstate(kind, (attributes, {}))
        _copies[kind] = True
