"""Functions and classes of the script on their way between a worker and its children, such as pools of processes in a task.

`multiprocessing` pickles them by name, but a task's are objects of their worker alone.  Forked children have them too, and find
them by their numbers (script.py).  Spawned ones get what they can make them from, once, with the same numbers.  Neighbour:
workers/main.py installs.  Must not be used between processes of the session.
"""

from __future__ import annotations

import io
import pickle
import types
import weakref
from typing import Any

from ray_lite.values import by_value, script

_streams: weakref.WeakKeyDictionary[Any, bytes | None] = weakref.WeakKeyDictionary()  # what spawned children make things from
_shared: dict[int, tuple[script.Number, dict[str, Any]]] = {}  # globals of the script's functions by their id, numbered
_namespaces: dict[script.Number, dict[str, Any]] = {}  # these globals in a spawned child


def install() -> None:
    """Makes multiprocessing's pickler, which concurrent.futures uses too, send what has a number."""
    from multiprocessing.reduction import ForkingPickler

    ForkingPickler.reducer_override = _reduce  # type: ignore[method-assign]


def _reduce(_: Any, obj: Any) -> Any:
    number = script.number_of(obj)
    if number is None:
        return NotImplemented
    return _find, (number, obj.__qualname__, _stream(obj) if _may_be_for_spawned() else None)


def _may_be_for_spawned() -> bool:
    """Whether the receiver may be a child that wasn't forked: such a child is being started, or there is one."""
    from multiprocessing import active_children, context

    if context.get_spawning_popen() is not None:
        return True
    return any(getattr(child, "_start_method", "") != "fork" for child in active_children())


def _stream(thing: Any) -> bytes | None:
    if thing not in _streams:
        file = io.BytesIO()
        try:
            _Pickler(file, protocol=pickle.HIGHEST_PROTOCOL).dump(thing)
        except Exception:  # it captures what can't be pickled: the child says that it can't make it
            _streams[thing] = None
        else:
            _streams[thing] = file.getvalue()
    return _streams[thing]


class _Pickler(by_value.Pickler):
    """Pickles things with their numbers, so that what a spawned child sends back is what the worker has."""

    def reducer_override(self, obj: Any) -> Any:
        reduced = super().reducer_override(obj)
        number = script.number_of(obj)
        if number is None or reduced is NotImplemented:
            return reduced
        make, facts, state, _, _, set_state = reduced
        return make, facts, (number, set_state, state), None, None, _set_numbered

    def _function_getnewargs(self, function: types.FunctionType) -> Any:
        names = function.__globals__
        if function.__module__ == "__main__" and id(names) not in self.globals_ref:
            number, _ = _shared.setdefault(id(names), (script.next_number(), names))
            self.globals_ref[id(names)] = _Globals(number)
        return super()._function_getnewargs(function)


class _Globals:
    """Stands for globals in a pickle: functions that share them here share them in a spawned child, also if sent one by one."""

    def __init__(self, number: script.Number) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        return _globals, (self.number,)


def _globals(number: script.Number) -> dict[str, Any]:
    return _namespaces.setdefault(number, {"__name__": "__main__"})


def _set_numbered(thing: Any, state: Any) -> None:
    number, set_state, rest = state
    set_state(thing, rest)
    script.keep(thing, number)


def _find(number: script.Number, name: str, stream: bytes | None) -> Any:
    """What has this number: the worker's own in the worker and in what it forked, a copy in a spawned child."""
    found = script.find(number)
    if found is not None:
        return found
    if stream is None:
        raise pickle.UnpicklingError(f"{name} of the script can't be made in this process, since the worker did not fork it: "
                                     "use multiprocessing.get_context('fork')")
    from multiprocessing import parent_process

    if parent_process() is not None:
        install()
    return pickle.loads(stream)
