"""global_state: what a session holds and has, under the names of Ray of 2018.

Neighbours: store/listing.py lists the objects, backends/session_view.py answers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ray_lite import session
from ray_lite._core import ObjectID

_LATER = (
    "function_table", "client_table", "workers",
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

    def task_table(self, task_id: str | None = None) -> dict[str, Any]:
        """Facts about tasks and calls by id, or about one: of those that have not ended, and of the newest that have.

        Args:
            task_id: id of a task as 40 hexadecimal digits. Default: all tasks.

        Returns:
            {id: facts}, or the facts of one task: a dict with `State` (1 waiting for arguments, 4 queued, 8 running, 16 done,
            64 to be run again), `TaskSpec` (a dict with `TaskID`, `FunctionName`, `ActorID` (40 f's of a task, None of an actor
            that has ended), and `Args` and `ReturnObjectIDs`, lists of ObjectIDs if the submission was recorded in detail, else
            None), `Pid`, `Begin` and `End` of the latest attempt (seconds since 1970, or None), `Failed`, and `Attempts`. As
            many ended tasks are kept as `timeline` says.

        Raises:
            KeyError: there is no such task, or no longer.
        """
        from ray_lite.tracing.tables import task_table  # few programs ask

        table = task_table(session.current().view.traces())
        return table if task_id is None else table[task_id]

    def task_profiles(
        self, num_tasks: int | None = None, start: float | None = None, end: float | None = None, fwd: bool = True
    ) -> dict[str, dict[str, Any]]:
        """Times of tasks and calls that have run, by id.

        Args:
            num_tasks: at most so many. Default: all.
            start, end: seconds since 1970 between which they began. Default: any time.
            fwd: whether to take the earliest ones, or else the latest. Default True.

        Returns:
            {id: dict with `get_arguments_start`, `get_arguments_end`, `execute_start`, `execute_end`, `store_outputs_start`,
            `store_outputs_end` (seconds since 1970; the phases are told apart where details were recorded), `get_task_start`,
            `get_task_end`, `acquire_lock_start`, `acquire_lock_end` and `score` (when it began), `worker_id` (pid) and
            `function_name`}
        """
        from ray_lite.tracing.tables import task_profiles

        return task_profiles(session.current().view.traces(), num_tasks, start, end, fwd)

    def dump_catapult_trace(
        self, path: str, task_info: Iterable[str], breakdowns: bool = True, task_dep: bool = True, obj_dep: bool = True
    ) -> None:
        """Writes a trace file as `ray_lite.timeline` does, of some tasks.

        Args:
            path: of the file.
            task_info: ids of the tasks, such as `task_profiles` returns.
            breakdowns: whether to show the phases of each task.
            task_dep: whether to show arrows from submissions to runs.
            obj_dep: whether to show arrows from results to the tasks that use them.
        """
        from ray_lite.tracing.chrome import Parts, write

        write(path, session.current().view.traces(), Parts(task_info, breakdowns, task_dep, obj_dep))

    def events(self) -> list[dict[str, Any]]:
        """What `log_event` and `log_span` recorded, in the order of the begin: dicts with `type`, `contents` (dict of texts, or
        None), `start`, `end` (seconds since 1970) and `pid`."""
        from ray_lite.tracing.tables import events

        return events(session.current().view.traces())

    def __getattr__(self, name: str) -> Any:
        if name in _LATER:
            raise NotImplementedError(f"global_state.{name} is not implemented yet")
        raise AttributeError(f"global_state has no {name}")


global_state = GlobalState()
