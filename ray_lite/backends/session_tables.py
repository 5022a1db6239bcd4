"""The tables of a session in the shapes of Ray of 2018: objects, functions, clients, worker processes, log files.

They are read without a lock: each fact was true at some moment.  Neighbours: session_view.py gives them to global_state.py;
store/listing.py and store/kept_labels.py look the facts up.  Must not load what users have pickled.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from ray_lite import _core
from ray_lite.calls.identities import client_id, process_id
from ray_lite.session_setting import SessionInfo
from ray_lite.store.kept_labels import function_label
from ray_lite.store.listing import ROLES, Listing, Row
from ray_lite.system.session_dir import LOGS

STORED = ("sealed", "spilled")
MANAGER, SCHEDULER = "plasma_manager", "local_scheduler"


class SessionTables:
    """The tables that one process shows."""

    def __init__(self, region: _core.Region, listing: Listing, info: SessionInfo) -> None:
        self._region, self._listing, self._info = region, listing, info

    def objects(self) -> dict[_core.ObjectID, dict[str, Any]]:
        """Facts about each object, those that the session keeps for itself, too."""
        return {row.id: self._object(row) for row in self._listing.largest()}

    def _object(self, row: Row) -> dict[str, Any]:
        stored = row.state in STORED
        of_2018 = {
            "ManagerIDs": [client_id(self._info.session_id, MANAGER).hex()] if stored else None,
            "TaskID": "", "IsPut": row.put, "DataSize": row.bytes if stored else -1, "Hash": "",
        }
        return {**row.facts(), **of_2018}

    def functions(self) -> dict[str, dict[str, str]]:
        """The remote functions that were called in the session."""
        table = {}
        for index in _core.kept_values(self._region):
            label = function_label(self._region, index)
            if label is not None:
                name, module, driver = label
                id = _core.object_facts(self._region, index)[0].hex()
                table[id] = {"DriverID": driver, "Module": module, "Name": f"{module}.{name}"}
        return table

    def clients(self) -> dict[str, list[dict[str, Any]]]:
        """What Ray of 2018 had a process for: here the session's one node is both."""
        totals = {name: total for name, (total, _) in self._info.resources.named(_core.resource_amounts(self._region)).items()}
        rows = [{"ClientType": kind, "Deleted": False, "DBClientID": client_id(self._info.session_id, kind).hex()}
                for kind in (MANAGER, SCHEDULER)]
        socket = {"AuxAddress": None, "LocalSchedulerSocketName": self._info.session_dir}
        return {self._info.node_ip_address: [rows[0], {**rows[1], **socket, **totals}]}

    def workers(self) -> dict[str, dict[str, Any]]:
        """The processes that run this driver's tasks and actors."""
        return {process_id(self._info.session_id, pid, started).hex(): self._worker(pid, role)
                for pid, started, role in self._region.workers()}

    def _worker(self, pid: int, role: int) -> dict[str, Any]:
        facts = {"node_ip_address": self._info.node_ip_address, "Pid": pid, "Kind": ROLES[role]}
        if self._info.has_worker_files:
            path = os.path.join(self._info.session_dir, LOGS, f"worker-{pid}")
            facts |= {"stdout_file": f"{path}.out", "stderr_file": f"{path}.err"}
        return facts

    def log_files(self) -> dict[str, dict[str, list[str]]]:
        """The lines of each file in the session's log directory."""
        directory, found = os.path.join(self._info.session_dir, LOGS), {}
        for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else ():
            with contextlib.suppress(OSError), open(os.path.join(directory, name), errors="replace") as file:
                found[name] = file.read().splitlines()
        return {self._info.node_ip_address: found}
