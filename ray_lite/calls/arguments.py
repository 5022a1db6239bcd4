"""The arguments of a call as bytes, both ways: the caller packs them, the worker unpacks them.

Ids among the arguments become references of the task and leave their place empty; the worker puts the values there.
Arguments that are plain values never come here (the core's codec.pyx encodes them).  Neighbours: backends/local.py packs,
workers/task_runner.py unpacks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray_lite import _core
from ray_lite.exceptions import SerializationError
from ray_lite.values import load_errors
from ray_lite.values.serialization import Pickled, dumps

if TYPE_CHECKING:
    import inspect

    from ray_lite.calls.functions import Call

IN_OBJECT = b"P"  # data of a record whose arguments are an object of their own, the task's first reference


def pack(call: Call, bound: inspect.BoundArguments | None) -> tuple[Pickled, list[_core.ObjectID]]:
    """The pickled arguments of a call, and the ids at their top level, which become references.

    Args:
        bound: the arguments by name, if the function has a signature.

    Raises:
        SerializationError: an argument can't be pickled; the message names it.
    """
    refs: list[_core.ObjectID] = []
    places: list[int | str] = []

    def without_id(place: int | str, value: Any) -> Any:
        if type(value) is not _core.ObjectID:
            return value
        refs.append(value)
        places.append(place)
        return None

    values = [without_id(index, value) for index, value in enumerate(call.args)]
    named = {name: without_id(name, value) for name, value in call.kwargs.items()}
    try:
        return dumps((values, named, places), "arguments"), refs
    except SerializationError as error:
        arguments = bound.arguments if bound is not None else {}
        raise _named(call.function.name, arguments, error) from error.__cause__


def _named(function: str, arguments: dict[str, Any], error: SerializationError) -> SerializationError:
    """The error that names the first argument that can't be pickled."""
    for argument, value in arguments.items():
        try:
            dumps(value, f"{function}.remote -> argument {argument!r}")
        except SerializationError as named:
            return named
    return error


def unpack(
    data: bytes, refs: list[_core.ObjectID], load: Callable[[_core.ObjectID], Any], name: Callable[[], str]
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments that a record holds, with the values of the task's references in their places.

    Args:
        data: the record's data: a pickle, or IN_OBJECT.
        refs: the task's references, in order.
        load: returns the value of a reference.
        name: returns the name of the function.
    """
    if data == IN_OBJECT:
        values, named, places = load(refs.pop(0))
    else:
        values, named, places = load_errors.load(data, (), lambda: f"an argument of {name()}")
    for place, x in zip(places, refs, strict=True):
        (values if isinstance(place, int) else named)[place] = load(x)
    return values, named
