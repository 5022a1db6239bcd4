"""The listing of a store: a row for each object, with its holders and the line of the program that made it.

Rows are read without a lock: each fact was true at some moment.  Neighbours: memory_report.py and
backends/session_tables.py show them.
"""

from typing import Any, NamedTuple

from ray_lite import _core
from ray_lite.store.kept_labels import kept_text, purpose

ALL = (1 << 31) - 1001  # more than any number of objects
STATES = {_core.PENDING: "pending", _core.CREATING: "creating", _core.SEALED: "sealed"}
ROLES = {_core.DRIVER: "driver", _core.NODE: "node", _core.WORKER: "worker", _core.ACTOR: "actor"}


class ObjectFacts(NamedTuple):
    """Facts about an object from the object table, as `_core.object_facts` gives them."""

    id: _core.ObjectID  #: does not keep the object alive
    size: int
    state: int
    pins: int
    holders: list[tuple[int, int]]  #: (pid, role)
    site: int  #: index of the object with the text of its call site, or 0
    kept: bool
    spilled: bool
    put: bool  #: whether no task returns it


class Row(NamedTuple):
    """An object as reports show it."""

    id: _core.ObjectID  #: does not keep the object alive
    bytes: int
    state: str
    pins: int  #: number of queued and running tasks, and of objects, that need it
    holders: list[tuple[int, str]]  #: (pid, role) of each process with a handle or a view
    call_site: str  #: where its put or task was called, or ""; for a kept object, what it is
    kept: bool  #: whether the session keeps it until the session ends
    put: bool  #: whether it was put, and no task returns it

    def holders_text(self) -> str:
        """The holders as one line of text."""
        names = [f"{role} {pid}" for pid, role in self.holders] or ["the session" if self.kept else "tasks or objects"]
        return ", ".join(names)

    def facts(self) -> dict[str, Any]:
        """The row as a dict with names in the manner of Ray of 2018."""
        return {"DataSize": self.bytes, "State": self.state, "Holders": self.holders, "Pins": self.pins,
                "CallSite": self.call_site, "Kept": self.kept}


class Listing:
    """Lists the objects of a store."""

    def __init__(self, region: _core.Region) -> None:
        self._region = region

    def largest(self, least: int = 0, most: int = ALL, in_memory: bool = False) -> list[Row]:
        """Rows of the largest objects, the largest first; objects that end meanwhile are left out.

        Args:
            least: smallest size in bytes.
            most: most rows.
            in_memory: whether to leave out spilled objects.
        """
        rows = []
        for index in _core.largest(self._region, least, most, in_memory):
            one = ObjectFacts(*_core.object_facts(self._region, index))
            if one.state in STATES:
                holders = [(pid, ROLES.get(role, "?")) for pid, role in one.holders]
                sealed = one.state == _core.SEALED
                where = purpose(self._region, index) if one.kept and sealed else kept_text(self._region, one.site)
                state = "spilled" if one.spilled else STATES[one.state]
                rows.append(Row(one.id, one.size, state, one.pins, holders, where, one.kept, one.put))
        return rows
