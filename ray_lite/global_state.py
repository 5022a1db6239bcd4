"""global_state: tables of what a session holds, by the names of Ray of 2018."""

from __future__ import annotations

from typing import Any

from ray_lite import session
from ray_lite._core import ObjectID

_LATER = (
    "task_table", "function_table", "client_table", "workers", "actors", "task_profiles", "dump_catapult_trace",
)


class GlobalState:
    """The tables of this process's session."""

    def object_table(self, object_id: ObjectID | str | None = None) -> dict[Any, Any]:
        """Facts of all objects, by id; or of the one whose id, or id in hex, is given.

        Returns:
            {ObjectID: facts}, or facts: a dict with `DataSize` (bytes), `State` ("pending", "creating" or "sealed"),
            `Holders` (list of (pid, "driver" | "node" | "worker")), `Pins` (tasks and objects that need it), `Kept` (whether
            the session keeps it until it ends: functions and the like) and `CallSite` (where its put or task was called, ""
            where nobody knows; of a kept one, what it is). The ids in it hold nothing. Without a lock: each fact was true at
            some moment.

        Raises:
            KeyError: there is no such object.
        """
        table: dict[ObjectID, dict[str, Any]] = {row.id: row.facts() for row in session.current().view.objects()}
        if object_id is None:
            return table
        return table[ObjectID.from_hex(object_id) if isinstance(object_id, str) else object_id]

    def cluster_resources(self) -> dict[str, float]:
        """What the session has, by name: CPU, GPU if there are any, and custom resources."""
        return {name: there for name, (there, _) in session.current().view.amounts().items()}

    def available_resources(self) -> dict[str, float]:
        """What nobody holds of it now. CPUs may be below zero for a moment, when tasks that waited go on."""
        return {name: free for name, (_, free) in session.current().view.amounts().items()}

    def __getattr__(self, name: str) -> Any:
        if name in _LATER:
            raise NotImplementedError(f"global_state.{name} is not implemented yet")
        raise AttributeError(f"global_state has no {name}")


global_state = GlobalState()
