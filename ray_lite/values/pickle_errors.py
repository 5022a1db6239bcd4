"""Why a value can't be pickled: the path to the first part that can't, such as `f -> closure 'model' -> .lock`.

The search runs only after a failure.  Neighbour: serialization.py asks.  Must not pickle through ray_lite's own reducers.
"""

from __future__ import annotations

import collections
import functools
import types
from collections.abc import Iterator, Sequence
from typing import Any

from ray_lite.exceptions import SerializationError
from ray_lite.values.custom_serializers import registered
from ray_lite.values.importable import where_from

DEPTH_MOST = 12
PARTS_MOST = 1_000  # most parts to try, so that a failure in a huge value is reported soon


def explain(value: Any, name: str, error: Exception, modules: Sequence[types.ModuleType] = ()) -> SerializationError:
    """Makes the error to raise when pickling `value`, called `name`, failed with `error`.

    Args:
        modules: those that travelled by value.
    """
    if isinstance(error, RecursionError) or isinstance(error.__cause__ or error.__context__, RecursionError):
        return SerializationError(f"can't pickle {name}: it is nested deeper than the recursion limit")
    budget = [PARTS_MOST]
    path, culprit = _walk(value, [name], set(), budget)
    kind = type(culprit)
    where = _where(value)
    by_value = "".join(f"; it had to travel by value, since {where_from(module)}" for module in modules)
    return SerializationError(
        f"can't pickle {' -> '.join(path)} ({kind.__module__}.{kind.__qualname__}){where}: {error}{by_value}"
    )


def _where(value: Any) -> str:
    code = getattr(value, "__code__", None)
    return f", captured at {code.co_filename}:{code.co_firstlineno}" if code else ""


def _walk(value: Any, path: list[str], seen: set[int], budget: list[int]) -> tuple[list[str], Any]:
    """(path, part) of the deepest part that can't be pickled on its own."""
    seen.add(id(value))
    if len(path) > DEPTH_MOST:
        return path, value
    for step, part in _parts(value):
        if id(part) in seen or budget[0] <= 0:
            continue
        budget[0] -= 1
        if not _fits(part):
            return _walk(part, [*path, step], seen, budget)
    return path, value


def _fits(part: Any) -> bool:
    if part is None or type(part) in (bool, int, float, str, bytes) or type(part) in registered:
        return True
    import cloudpickle

    try:
        cloudpickle.dumps(part)
    except Exception:  # any failure means that this part or one inside it can't be pickled
        return False
    return True


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, types.FunctionType):
        yield from _function_parts(value)
    elif isinstance(value, types.MethodType):
        yield ".__self__", value.__self__
        yield ".__func__", value.__func__
    elif isinstance(value, dict):
        for key, item in value.items():
            yield f"key {key!r:.80}", key
            yield f"[{key!r:.80}]", item
    elif isinstance(value, functools.partial):
        yield ".func", value.func
        yield from ((f".args[{index}]", item) for index, item in enumerate(value.args))
        yield from ((f".keywords[{key!r}]", item) for key, item in value.keywords.items())
    elif type(value).__name__ == "ndarray" and type(value).__module__ == "numpy":
        yield from ((f".flat[{index}]", item) for index, item in enumerate(value.flat) if value.dtype.hasobject)
    elif isinstance(value, (list, tuple, collections.deque)):
        yield from ((f"[{index}]", item) for index, item in enumerate(value))
    elif isinstance(value, (set, frozenset)):
        yield from (("element", item) for item in value)
    else:
        yield from ((f".{name}", item) for name, item in _attributes(value))


def _function_parts(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    cells = function.__closure__ or ()
    for name, cell in zip(function.__code__.co_freevars, cells, strict=True):
        try:
            yield f"closure {name!r}", cell.cell_contents
        except ValueError:
            continue  # an empty cell
    for name in function.__code__.co_names:
        if name in function.__globals__:
            yield f"global {name!r}", function.__globals__[name]
    for index, default in enumerate(function.__defaults__ or ()):
        yield f"default {index}", default
    for name, default in (function.__kwdefaults__ or {}).items():
        yield f"default of {name!r}", default


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(value, "__dict__", {}).items()
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                yield name, getattr(value, name)
