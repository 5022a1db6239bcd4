"""An exception as a class, args and attributes, and back: without its traceback, and without calling its `__init__`.

`__init__` may take other arguments than the exception's `args`: then plain pickle fails, or makes another exception.
Neighbours: failures.py uses it for exceptions that tasks raise, serialization.py for those that are parts of values.
"""

from __future__ import annotations

import copyreg
import types
from collections.abc import Iterable, Iterator
from typing import Any

HEAP_TYPE = 1 << 9  # flag of the types that are made at run time; C code defines the others
OWN_PICKLING = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__")
LEFT_OUT = ("obj",)  # of AttributeError and NameError, which pickle leaves out, too: where the name was missing


def make(kind: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    """An exception of a class with these `args`, its attributes not set yet."""
    try:
        error: BaseException = kind.__new__(kind, *args)
    except Exception:  # its own __new__ takes other arguments
        error = make_plainly(kind, args)
    BaseException.__setattr__(error, "args", args)
    return error


def make_plainly(kind: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    """An exception of exactly this class: passes over a `__new__` of its own."""
    builtin = next(base for base in kind.__mro__ if not base.__flags__ & HEAP_TYPE)
    return builtin.__new__(kind, *args)


def attributes(error: BaseException) -> Iterator[tuple[str, Any]]:
    """Yields (name, value) of instance attributes and of those in C or in slots (OSError.errno, SystemExit.code)."""
    for kind in type(error).__mro__:
        if kind in (BaseException, object):
            continue  # args are kept separately; traceback and context are not kept
        for key, slot in vars(kind).items():
            if isinstance(slot, (types.MemberDescriptorType, types.GetSetDescriptorType)) and not key.startswith("__"):
                value = getattr(error, key, None)
                if value is not None:
                    yield key, value
    yield from vars(error).items()


def give(error: BaseException, attributes: Iterable[tuple[str, Any]]) -> None:
    """Sets attributes, except those that only a constructor can set, and has set."""
    for key, item in attributes:
        try:
            BaseException.__setattr__(error, key, item)  # the class's own __setattr__ may refuse
        except (AttributeError, TypeError):
            continue


def reduce_exception(error: BaseException) -> Any:
    """Reduces an exception for pickle; None if its class defines how it is pickled."""
    kind = type(error)
    if kind in copyreg.dispatch_table or any(
        name in vars(base) for base in kind.__mro__ if base.__flags__ & HEAP_TYPE for name in OWN_PICKLING
    ):
        return None
    state = [(name, item) for name, item in attributes(error) if name not in LEFT_OUT]
    return make, (kind, error.args), state or None, None, None, give


def both(ours: type[BaseException], cause: BaseException, methods: dict[str, Any]) -> BaseException | None:
    """An instance of `ours` and of the cause's class, with the cause's args and attributes; None if there is no such class.

    Args:
        methods: methods of the class that is made.
    """
    kind = type(cause)
    for bases in (ours, kind), (kind, ours):  # the second order is for classes with an allocator of their own
        try:
            made = type(f"{ours.__name__}({kind.__name__})", bases, methods)
            error = make(made, cause.args)
            if type(error) is not made:  # the class's __new__ makes instances of another class
                error = make_plainly(made, cause.args)
            BaseException.__setattr__(error, "args", cause.args)
            give(error, attributes(cause))
        except Exception:  # the class can't be subclassed, or made from its args
            continue
        return error
    return None
