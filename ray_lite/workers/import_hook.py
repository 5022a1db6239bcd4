"""Adds to a module what it needs in a worker, when a task imports it: not before, since few tasks do.

Neighbour: main.py.  Must not import the module itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any


def when_imported(name: str, function: Callable[[], None]) -> None:
    """Calls a function once, as soon as the module of this name has been imported; at once if it has been."""
    if name in sys.modules:
        function()
    else:
        sys.meta_path.insert(0, _Finder(name, function))


class _Finder:
    """Finds one module, as Python would without it, and is gone then."""

    def __init__(self, name: str, function: Callable[[], None]) -> None:
        self.name, self.function = name, function

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The spec of the module, whose execution ends with a call of the function; None for any other module."""
        if name != self.name or self not in sys.meta_path:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        sys.meta_path.remove(self)
        execute = spec.loader.exec_module

        def execute_and_call(module: Any) -> None:
            execute(module)
            self.function()

        spec.loader.exec_module = execute_and_call  # type: ignore[method-assign]
        return spec
