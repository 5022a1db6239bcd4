"""What the session's kept objects are, read without holding them: names of functions, facts of actors, call sites.

Neighbours: named_values.py and object_store.py keep them; listing.py and the command line's answers show them.  Must not load
what users have pickled.
"""

from __future__ import annotations

import io
import pickle
from typing import Any, NoReturn

from ray_lite import _core

DRIVER_DIGITS = 40  # of the driver's id, behind the name of a remote function; its module follows


class _Plain(pickle._Unpickler):
    """Loads texts, numbers, and containers of them only. The one in C would take gigabytes for a damaged index of its memo."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"{module}.{name} is no plain value")


def label_of(stream: bytes) -> Any:
    """What a pickle holds if that is plain, else None."""
    try:
        return _Plain(io.BytesIO(stream)).load()
    except Exception:  # whoever wrote it may have written anything
        return None


def kept_label(region: _core.Region, index: int) -> Any:
    """The name of what an object holds, or its plain facts, or None if there are none."""
    found = _core.kept_stream(region, index)
    return None if found is None else label_of(found[0])


def kept_text(region: _core.Region, index: int) -> str:
    """The text in an object, such as a call site or a function's name; "" if there is none."""
    label = kept_label(region, index) if index else None
    return label if isinstance(label, str) else ""


def function_label(region: _core.Region, index: int) -> tuple[str, str, str] | None:
    """(name, module, id of its driver as hex text) of the remote function in a kept object, or None: there is none."""
    stream, has_value = _core.kept_stream(region, index) or (b"", False)
    name = label_of(stream)
    if not has_value or not isinstance(name, str):
        return None
    origin = stream[len(pickle.dumps(name)):].decode(errors="replace")
    return (name, origin[DRIVER_DIGITS:], origin[:DRIVER_DIGITS]) if origin else None


def purpose(region: _core.Region, index: int) -> str:
    """What a kept object is for."""
    stream, has_value = _core.kept_stream(region, index) or (b"", False)
    label = label_of(stream)
    if isinstance(label, str):
        return f"function {label}" if has_value else "a call site"
    if isinstance(label, tuple):
        return f"actor class {label[0]}" if has_value else "a path and a directory"
    return "options, or a serializer"
