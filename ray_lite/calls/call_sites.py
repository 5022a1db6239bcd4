"""Call sites: the place in the user's program where a task was called, as a text that every process of the session finds.

The core asks once for each place and keeps the answer (callsite.pyx); equal texts of several processes are one object.
"""

from __future__ import annotations

import os

from ray_lite import _core
from ray_lite.exceptions import ObjectStoreFullError
from ray_lite.store.object_store import Store

PACKAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")


class CallSites:
    """The call sites of this process.

    Args:
        store: the store that keeps the texts.
        most: most places to record. Calls from further places have no site: a program that generates code without end would
            otherwise fill the object table.
    """

    def __init__(self, store: Store, most: int) -> None:
        self._store, self._most = store, most
        self._known: dict[tuple[str, int, str], int] = {}

    def begin(self) -> None:
        """Records the sites of calls made from now on."""
        _core.set_call_sites(self.index_of, PACKAGE)

    def end(self) -> None:
        """Stops recording: the session is over."""
        _core.set_call_sites(None, PACKAGE)

    def index_of(self, file: str, line: int, function: str) -> int:
        """Index of the object with a place's text, or 0 if there is none."""
        place = file, line, function
        index = self._known.get(place, 0)
        if not index and len(self._known) < self._most:
            try:
                index = self._known[place] = self._store.keep(f"{file}:{line} in {function}")
            except ObjectStoreFullError:
                return 0  # the call matters more, and may still find room
        return index
