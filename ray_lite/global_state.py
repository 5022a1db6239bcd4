"""global_state: what a session holds and has, under the names of Ray of 2018.

Neighbours: backends/session_view.py answers, backends/session_tables.py makes the tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ray_lite import session
from ray_lite._core import ObjectID


class GlobalState:
    """Tables of the session of this process."""

    def object_table(self, object_id: ObjectID | str | None = None, *, kept: bool = False) -> dict[Any, Any]:
        """Facts about the program's objects by id, or about one object.

        Args:
            object_id: an ObjectID, or an id as hex text. Default: all objects.
            kept: whether to show also what the session keeps for itself until it ends, such as functions and call sites.

        Returns:
            {ObjectID: facts}, or the facts of the one object: a dict with `DataSize` (bytes, -1 as long as there is no value),
            `State` ("pending", "creating", "sealed" or "spilled"), `Holders` (list of (pid, "driver" | "node" | "worker" |
            "actor")), `Pins` (number of tasks and objects that need it), `Kept` (whether the session keeps it) and `CallSite`
            (where its put or task was called, or "" if unknown; for a kept object, what it is). Of Ray of 2018 are also
            `ManagerIDs` (list with the id of the session's store, or None as long as there is no value), `IsPut` (whether
            no task returns it), `TaskID` and `Hash` ("": not recorded). The ids in the table keep no object alive. The facts
            are read without a lock: each was true at some moment.

        Raises:
            KeyError: there is no such object.
        """
        table: dict[ObjectID, dict[str, Any]] = session.current().view.tables.objects()
        if object_id is None:
            return {x: facts for x, facts in table.items() if kept or not facts["Kept"]}
        return table[ObjectID.from_hex(object_id) if isinstance(object_id, str) else object_id]

    def function_table(self, function_id: str | None = None) -> dict[str, Any]:
        """Facts about the remote functions that were called in the session: {id as hex text: facts}, or those of one function:
        a dict with `DriverID` (hex text), `Module` and `Name` (with the module)."""
        table = session.current().view.tables.functions()
        return table if function_id is None else table[function_id]

    def client_table(self) -> dict[str, list[dict[str, Any]]]:
        """What the session has, under the names of processes of Ray of 2018: {node_ip_address: [facts, facts]}, dicts with
        `ClientType` ("plasma_manager", "local_scheduler"), `DBClientID` (hex text) and `Deleted` (False); that of the scheduler
        also with the amount of each resource."""
        return session.current().view.tables.clients()

    def local_schedulers(self) -> list[dict[str, Any]]:
        """The entries of `client_table` for schedulers: one."""
        rows = [row for rows in self.client_table().values() for row in rows]
        return [row for row in rows if row["ClientType"] == "local_scheduler"]

    def workers(self) -> dict[str, dict[str, Any]]:
        """Facts about the processes that run tasks and actors of this driver: {worker_id as hex text: facts}, dicts with
        `node_ip_address`, `Pid`, `Kind` ("worker", "actor") and, with redirect_worker_output, `stdout_file` and `stderr_file`:
        paths of files that are there once something was written."""
        return session.current().view.tables.workers()

    def log_files(self) -> dict[str, dict[str, list[str]]]:
        """The log files of the session: {node_ip_address: {name: lines}}."""
        return session.current().view.tables.log_files()

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


global_state = GlobalState()
