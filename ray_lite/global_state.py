"""global_state: what a session holds and has, under the names of Ray of 2018.

Neighbours: store/listing.py lists the objects, backends/session_view.py answers.
"""

from __future__ import annotations

from typing import Any

from ray_lite import session
from ray_lite._core import ObjectID

_LATER = (
    "task_table", "function_table", "client_table", "workers", "task_profiles", "dump_catapult_trace",
)


class GlobalState:
    """Tables of the session of this process."""

    def object_table(self, object_id: ObjectID | str | None = None) -> dict[Any, Any]:
        """Facts about all objects by id, or about one object.

        Args:
            object_id: an ObjectID, or an id as hex text. Default: all objects.

        Returns:
            {ObjectID: facts}, or the facts of the one object: a dict with `DataSize` (bytes), `State` ("pending", "creating",
            "sealed" or "spilled"), `Holders` (list of (pid, "driver" | "node" | "worker" | "actor")), `Pins` (number of tasks
            and objects that need it), `Kept` (whether the session keeps it until the session ends, such as a function) and
            `CallSite` (where its put or task was called, or "" if unknown; for a kept object, what it is). The ids in the
            table keep no object alive. The facts are read without a lock: each was true at some moment.

        Raises:
            KeyError: there is no such object.
        """
        table: dict[ObjectID, dict[str, Any]] = {row.id: row.facts() for row in session.current().view.objects()}
        if object_id is None:
            return table
        return table[ObjectID.from_hex(object_id) if isinstance(object_id, str) else object_id]

    def actors(self) -> list[dict[str, Any]]:
        """Facts about each live actor: a dict with `ActorID` (40 hexadecimal digits), `ClassName`, `Name` (or None), `State`
        ("PENDING", "STARTING", "ALIVE", "RESTARTING"), `Pid` (or None), `CallsFinished` (by the present process) and
        `CallsQueued` (numbers of calls), and `Restarts` (processes that it has lost)."""
        return session.current().actors.rows()

    def cluster_resources(self) -> dict[str, float]:
        """Amounts of the session's resources by name: CPU, GPU if there is any, and custom resources."""
        return {name: there for name, (there, _) in session.current().view.amounts().items()}

    def available_resources(self) -> dict[str, float]:
        """Free amounts of the session's resources by name. CPUs may be below zero for a moment, when blocked tasks continue."""
        return {name: free for name, (_, free) in session.current().view.amounts().items()}

    def __getattr__(self, name: str) -> Any:
        if name in _LATER:
            raise NotImplementedError(f"global_state.{name} is not implemented yet")
        raise AttributeError(f"global_state has no {name}")


global_state = GlobalState()
