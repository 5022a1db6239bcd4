"""Functions, classes and modules that travel by value: cloudpickle's pickler, with reducers of our own.

They are those that another process doesn't find by their names.  A class is made again with its slots.  The process that
defined a class is its home: what comes back there leaves the class as it is.  Any other process has one copy, which only what
its home sends changes.  The functions of a module share its namespace where they come from one pickle.  Neighbours:
importable.py looks for modules; script.py keeps what is made in a worker; serialization.py imports this module when a value is
pickled first, since that imports cloudpickle (10 ms).  Must not decide about values of other kinds.
"""

from __future__ import annotations

import abc
import importlib
import pickle
import sys
import types
import weakref
from collections.abc import Callable, Iterator
from enum import Enum
from importlib.machinery import ExtensionFileLoader
from typing import Any, TypeVar

from cloudpickle import cloudpickle

from ray_lite.values import script
from ray_lite.values.exception_state import HEAP_TYPE
from ray_lite.values.importable import found_by_name, is_importable, where_from

OURS = "ray_lite."  # modules that every process has
NAMESPACE = 3  # place of the first attributes among the facts by which cloudpickle makes a class
MADE_BY_PYTHON = ("__dict__", "__weakref__", "__annotate_func__", "_abc_impl")  # with the class, so not part of its state
MADE_BY_IMPORT = ("__builtins__", "__cached__", "__loader__", "__spec__")  # with a module, so not part of its state
NEEDED_BY_IMPORTS = ("__package__", "__path__", "__file__")  # for relative ones

# The copies made in this process, and whether they are complete; any other class has its home here.
_copies: weakref.WeakKeyDictionary[type, bool] = weakref.WeakKeyDictionary()


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle's pickler, with the functions, classes and modules of this module."""

    def reducer_override(self, obj: Any) -> Any:
        """Reduces what travels by value; cloudpickle and pickle do the rest."""
        kind = type(obj)
        if issubclass(kind, type):
            found = _is_found(obj)
            if not obj.__flags__ & HEAP_TYPE:
                return super().reducer_override(obj)
            if found:
                return NotImplemented
            return (_plain_class, (obj.__module__, obj.__qualname__)) if _is_behind_name(obj) else _reduce_class(obj)
        if kind is types.FunctionType:
            return NotImplemented if _is_found(obj) else self._reduce_function(obj)
        if issubclass(kind, types.ModuleType):
            return cloudpickle._module_reduce(obj) if _is_module_found(obj) else self._reduce_module(obj)
        if kind is types.BuiltinFunctionType and isinstance(obj.__self__, types.ModuleType):
            _is_module_found(obj.__self__)
        elif kind is TypeVar and not is_importable(obj.__module__, sys.modules.get(obj.__module__)):
            return cloudpickle._make_typevar, cloudpickle._decompose_typevar(obj)
        return NotImplemented

    def _reduce_function(self, function: types.FunctionType) -> Any:
        module = sys.modules.get(function.__module__)
        if function.__module__ != "__main__" and module is not None and vars(module) is function.__globals__:
            self._namespace(module)
        make, facts, state, *_ = self._dynamic_function_reduce(function)
        return make, facts, state, None, None, _set_function

    def _reduce_module(self, module: types.ModuleType) -> Any:
        state = {name: value for name, value in vars(module).items() if name not in MADE_BY_IMPORT}
        return _itself, (self._namespace(module).skeleton,), state, None, None, _set_module

    def _namespace(self, module: types.ModuleType) -> _Namespace:
        """What stands for the module's namespace in this pickle; cloudpickle takes it as the globals of its functions."""
        known = self.globals_ref.get(id(vars(module)))
        if not isinstance(known, _Namespace):
            known = self.globals_ref[id(vars(module))] = _Namespace(_Skeleton(module))
        return known

    def modules(self) -> list[types.ModuleType]:
        """The modules whose functions were pickled by value until now."""
        return [known.skeleton.module for known in self.globals_ref.values() if isinstance(known, _Namespace)]


class _Skeleton:
    """Stands for a module in a pickle: comes back as a module that has only what its functions need for imports."""

    def __init__(self, module: types.ModuleType) -> None:
        self.module = module

    def __reduce__(self) -> Any:
        facts = {name: vars(self.module)[name] for name in NEEDED_BY_IMPORTS if name in vars(self.module)}
        return _make_module, (self.module.__name__, facts)


class _Namespace:
    """Stands for the namespace of a module in a pickle."""

    def __init__(self, skeleton: _Skeleton) -> None:
        self.skeleton = skeleton

    def __reduce__(self) -> Any:
        return vars, (self.skeleton,)


def _is_found(obj: Any) -> bool:
    """Whether other processes find a function or class by its name.

    Raises:
        PicklingError: they don't, and it is compiled, so that it can't travel by value.
    """
    name = getattr(obj, "__module__", None)
    if name is not None and name.startswith(OURS) and getattr(sys.modules[name], obj.__name__, None) is obj:
        return True  # what makes arrays and the like again: part of most pickles
    if not cloudpickle._should_pickle_by_reference(obj):
        return False
    return name is None or _is_module_found(sys.modules[name], name)


def _is_module_found(module: types.ModuleType, name: str = "") -> bool:
    """Whether other processes find a module by its name, or else by the given one.

    Raises:
        PicklingError: they don't, and it is compiled.
    """
    if not cloudpickle._should_pickle_by_reference(module):
        return False
    if is_importable(name or module.__name__, module):
        return True
    if isinstance(getattr(getattr(module, "__spec__", None), "loader", None), ExtensionFileLoader):
        raise pickle.PicklingError(f"the module is compiled: {where_from(module)}")
    return False


def _is_behind_name(cls: type) -> bool:
    """Whether other processes find a remote class by the name of this plain class, which it wraps."""
    return getattr(found_by_name(cls.__module__, cls.__qualname__), "__wrapped__", None) is cls


def _plain_class(module: str, qualname: str) -> type:
    found: Any = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    return found.__wrapped__  # type: ignore[no-any-return]


def _make_module(name: str, facts: dict[str, Any]) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(facts)
    return module


def _itself(module: types.ModuleType) -> types.ModuleType:
    return module


def _set_module(module: types.ModuleType, state: dict[str, Any]) -> None:
    vars(module).update(state)


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


def _set_function(function: types.FunctionType, state: Any) -> None:
    cloudpickle._function_setstate(function, state)
    script.enter(function)


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
        if not complete:
            script.enter(kind)
