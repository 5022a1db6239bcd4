"""Which modules another process of the session finds by their names; the functions and classes of others travel by value.

A module that was loaded by its path, made at run time, or found through an entry that sys.path has no more is in sys.modules
like any other, but no worker can import it.  Neighbour: by_value.py asks.  Must not import the modules it looks for.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys
from collections.abc import Iterable
from typing import Any

INTERPRETER = ("frozen", "built-in")  # origins of modules that are a part of each interpreter
EVERYWHERE = ("__main__", "ray_lite", "cloudpickle")  # every process has its own __main__, and loads pickles with the others


class _Decisions:
    """What was decided for one sys.path, and one working directory if that is on it."""

    def __init__(self) -> None:
        self.path, self.directory = sys.path.copy(), _directory()
        self.known: dict[str, tuple[Any, bool]] = {}  # by name of the module: (the module, whether it is importable)

    def hold(self) -> bool:
        """Whether modules are looked for where they were then."""
        return self.path == sys.path and self.directory == _directory()


def _directory() -> str:
    try:
        return os.getcwd() if "" in sys.path else ""
    except FileNotFoundError:
        return ""


_decisions = _Decisions()


def is_importable(name: str, module: Any) -> bool:
    """Whether another process that imports this name gets the module that is here."""
    global _decisions
    if not _decisions.hold():
        _decisions = _Decisions()
    known = _decisions.known.get(name)
    if known is None or known[0] is not module:
        known = _decisions.known[name] = module, _decide(name, module)
    return known[1]


def found_by_name(module: str, qualname: str) -> Any:
    """What another process finds by this name, or None: it can't import the module, or there is nothing."""
    found: Any = sys.modules.get(module)
    if found is None or module == "__main__" or not is_importable(module, found):
        return None
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def _decide(name: str, module: Any) -> bool:
    if name.partition(".")[0] in EVERYWHERE:
        return True
    own = origin(module)
    if own in INTERPRETER:  # perhaps under another name than its file's, as collections.abc of Python 3.15
        return True
    parent, _, _ = name.rpartition(".")
    if parent:
        path = _search_path(parent)
        if path is None:
            return False
        found = _find(name, path)
        if found is None:  # then the import of the parent makes it, unless it has a file somewhere else
            return own is None or getattr(module, "__name__", name) != name
    else:
        found = _find(name, None)
        if found is None:
            return False
    return own is None or found.origin is None or own == found.origin or _is_same_file(own, found.origin)


def origin(module: Any) -> str | None:
    """The file of a module, "built-in", "frozen", or None for a module without any."""
    spec = getattr(module, "__spec__", None)
    return getattr(spec, "origin", None) or getattr(module, "__file__", None)


def where_from(module: Any) -> str:
    """A sentence for users: where a module comes from that other processes don't find, and what to do."""
    return (f"module {module.__name__} comes from {origin(module) or 'no file'}, and other processes don't find it by its "
            "name: put its directory on sys.path, or install it")


def _is_same_file(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _search_path(package: str) -> Iterable[str] | None:
    """Where another process looks for the modules of a package; None if it has no such package."""
    module = sys.modules.get(package)
    if module is not None:
        return getattr(module, "__path__", ()) if is_importable(package, module) else None
    parent, _, _ = package.rpartition(".")
    path = _search_path(parent) if parent else None
    if parent and path is None:
        return None
    found = _find(package, path)
    return found.submodule_search_locations if found is not None else None


def _find(name: str, path: Iterable[str] | None) -> importlib.machinery.ModuleSpec | None:
    """The spec by which another process would import the name."""
    for finder in sys.meta_path:
        if not _is_everywhere(finder):
            continue
        try:
            found = finder.find_spec(name, path)  # type: ignore[arg-type]
        except Exception:  # from a finder of the user's
            continue
        if found is not None:
            return found
    return None


def _is_everywhere(finder: Any) -> bool:
    """Whether other processes have a finder too: Python's own, and those of installed modules, as for editable installs."""
    kind = finder if isinstance(finder, type) else type(finder)
    home = kind.__module__.partition(".")[0]
    if home in ("importlib", "_frozen_importlib", "_frozen_importlib_external"):
        return True
    return home != "__main__" and importlib.machinery.PathFinder.find_spec(home) is not None
