"""Why a value can't be loaded: which value it is, at which class or function loading ends, and what would help.

The search loads the value once more, and only after a failure.  Neighbours: store/object_store.py and calls/arguments.py load;
pickle_errors.py says why a value can't be pickled.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

from ray_lite.exceptions import RayError, SerializationError
from ray_lite.values.exception_state import both
from ray_lite.values.serialization import loads


def load(stream: Any, buffers: Any, what: Callable[[], str]) -> Any:
    """Loads the value of a stream and its buffers, as `serialization.loads` does.

    Args:
        what: returns the words that say which value this is.

    Raises:
        SerializationError: the value can't be loaded here; an instance of the class of pickle's own error, too.
    """
    try:
        return loads(stream, buffers)
    except (RayError, MemoryError):
        raise  # a cancellation, or an id without a session: the value itself can be loaded
    except Exception as error:
        raise _explained(bytes(stream), buffers, what(), error) from error


def end_of_pickle(stream: bytes) -> int:
    """Position behind the end of the pickle with which the bytes begin."""
    import pickletools  # when a load has failed: nothing else needs it

    last = 0
    for _, _, position in pickletools.genops(stream):
        last = position or 0
    return last + 1


def _explained(stream: bytes, buffers: Any, what: str, error: Exception) -> BaseException:
    """The error to raise when loading failed with `error`."""
    culprit, missing = _culprit(stream, buffers)
    where = f" at {culprit}" if culprit else ""
    advice = _advice(error, culprit, missing)
    text = f"{what} can't be loaded in this process: {type(error).__name__}{where}: {error}.\n{advice}"
    if isinstance(error, TypeError):
        return SerializationError(text)
    made = both(SerializationError, error, {"__str__": _text_of})
    if made is None:
        return SerializationError(text)
    vars(made)["_text"] = text
    return made


def _text_of(error: Any) -> str:
    return str(error._text)


def _culprit(stream: bytes, buffers: Any) -> tuple[str, bool]:
    """(name of the class or function that ended the loading, "" if unknown; whether it was looked for in vain)."""
    tracing = _Tracing(io.BytesIO(stream), buffers=buffers)
    try:
        tracing.load()
    except Exception:  # the same as before, at the same place
        return tracing.last, tracing.finding
    return "", False


Unpickler: Any = pickle._Unpickler  # the one in Python: each step is a method


class _Tracing(Unpickler):  # type: ignore[misc]
    """An unpickler that notes what it calls."""

    last = ""
    finding = False  # whether it looks for a name in a module now
    dispatch = dict(Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:
        self.last, self.finding = f"{module}.{name}", True
        found = super().find_class(module, name)
        self.finding = False
        return found

    def _note(self, called: Any) -> None:
        self.last = f"{getattr(called, '__module__', '?')}.{getattr(called, '__qualname__', type(called).__qualname__)}"

    def _load_reduce(self) -> None:
        self._note(self.stack[-2])
        super().load_reduce()

    def _load_newobj(self) -> None:
        self._note(self.stack[-2])
        super().load_newobj()

    def _load_build(self) -> None:
        self._note(type(self.stack[-2]))
        super().load_build()

    dispatch[pickle.REDUCE[0]] = _load_reduce
    dispatch[pickle.NEWOBJ[0]] = _load_newobj
    dispatch[pickle.BUILD[0]] = _load_build


def _advice(error: Exception, culprit: str, missing: bool) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"Module {error.name!r} must be importable here: install it, or put its directory on sys.path before init()."
    if isinstance(error, ImportError) or (missing and isinstance(error, AttributeError)):
        return "The module that is imported here lacks that name: it is another file or version than where it was stored."
    name = culprit or "its class"
    return (f"What was stored can't be made again from its pickle: let {name} define __reduce__ (or __getstate__ and "
            "__setstate__), and check that pickle.loads(pickle.dumps(value)) works.")
