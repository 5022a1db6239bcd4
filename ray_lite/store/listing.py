"""What the store holds: a row for each object, with its holders and the line of the program that made it.

Read without a lock: each fact was true at some moment.  Neighbours: memory_report.py and global_state.py show the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ray_lite import _core
from ray_lite.values.serialization import loads

if TYPE_CHECKING:
    from ray_lite.store.object_store import Store

ALL = (1 << 31) - 1001  # more objects than there can be
STATES = {_core.PENDING: "pending", _core.CREATING: "creating", _core.SEALED: "sealed"}
ROLES = {_core.DRIVER: "driver", _core.NODE: "node", _core.WORKER: "worker"}


class ObjectFacts(NamedTuple):
    """What the object table says of an object (`_core.object_facts`)."""

    id: _core.ObjectID  #: it holds nothing
    size: int
    state: int
    pins: int
    holders: list[tuple[int, int]]  #: (pid, role)
    site: int  #: index of the object with its call site, or 0
    kept: bool
    spilled: bool


class Row(NamedTuple):
    """An object as it is shown."""

    id: _core.ObjectID  #: it holds nothing
    bytes: int
    state: str
    pins: int  #: queued and running tasks, and objects, that need it
    holders: list[tuple[int, str]]  #: (pid, role) of processes with a handle or a view
    call_site: str  #: where its put or task was called, or ""; of a kept one, what it is
    kept: bool  #: by the session, until it ends

    def holders_text(self) -> str:
        """The holders in a line."""
        names = [f"{role} {pid}" for pid, role in self.holders] or ["the session" if self.kept else "tasks or objects"]
        return ", ".join(names)

    def facts(self) -> dict[str, Any]:
        """As global_state.object_table() shows them."""
        return {"DataSize": self.bytes, "State": self.state, "Holders": self.holders, "Pins": self.pins,
                "CallSite": self.call_site, "Kept": self.kept}


class Listing:
    """The objects of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def largest(self, least: int = 0, most: int = ALL, in_memory: bool = False) -> list[Row]:
        """The `most` largest objects of at least `least` bytes, largest first, without those that end meanwhile;
        `in_memory`: nor those that are spilled.
        """
        rows = []
        for index in _core.largest(self._store.region, least, most, in_memory):
            one = ObjectFacts(*_core.object_facts(self._store.region, index))
            if one.state in STATES:
                holders = [(pid, ROLES.get(role, "?")) for pid, role in one.holders]
                sealed = one.state == _core.SEALED
                where = self._purpose(index) if one.kept and sealed else self._store.text(one.site)
                state = "spilled" if one.spilled else STATES[one.state]
                rows.append(Row(one.id, one.size, state, one.pins, holders, where, one.kept))
        return rows

    def _purpose(self, index: int) -> str:
        """What an object is for that the session keeps."""
        region = self._store.region
        _, stream, views = _core.payload(region, _core.function_handle(region, index))
        what = loads(stream)
        if views:
            return f"function {what}"
        return "a call site" if isinstance(what, str) else "a path and a directory"
