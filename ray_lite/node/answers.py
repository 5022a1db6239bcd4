"""Answers to what the command line asks of a session: what it has, what it does, and who waits for what.

They are given in the control process, which has the session's memory, and are racy: each fact was true at some moment.
Neighbours: control/questions.py calls them; cli/ shows them.  Must not hold an object, nor wait for the lock for long.
"""

from __future__ import annotations

import os
import time
from typing import Any

from ray_lite import _core
from ray_lite.calls.actor_rows import actor_rows
from ray_lite.config import __version__
from ray_lite.control.questions import Answer
from ray_lite.control.stack_dumps import StackDumps
from ray_lite.policy.long_waits import HeldWait, needed_text, waiter_text
from ray_lite.session_setting import SessionSetting
from ray_lite.store.kept_labels import kept_label, kept_text
from ray_lite.store.listing import ROLES
from ray_lite.store.memory_report import measure
from ray_lite.store.session_statistics import statistics
from ray_lite.system.process import command_line
from ray_lite.values.failures import titled

LISTED = 1_000  # most functions, actors and processes in one answer
WORKER_LOOP = os.path.join("ray_lite", "workers", "main.py")  # the frames from here on are in each stack
UNFINISHED = ("WAITING", "READY", "RUNNING", "MAILED", "LANED")
SHOWN_AS = {"MAILED": "queued", "LANED": "queued", "READY": "ready", "WAITING": "waiting", "RUNNING": "running"}


def answers(region: _core.Region, setting: SessionSetting, dumps: StackDumps) -> dict[str, Answer]:
    """All answers by name of the question."""
    looker = Looker(region, setting, dumps)
    return {"session": looker.session, "status": looker.status, "memory": looker.memory, "ps": looker.processes,
            "stack": looker.stack, "tables": looker.tables, "pids": looker.pids}


class Looker:
    """Looks at a session."""

    def __init__(self, region: _core.Region, setting: SessionSetting, dumps: StackDumps) -> None:
        self.region, self.setting, self.dumps = region, setting, dumps
        self._kept, self._is_settled = 0, True  # objects kept at the last look; whether all of them were sealed by then
        self._known: dict[str, str] = {}  # functions by id, as they were when so many objects were kept

    def session(self) -> dict[str, Any]:
        """What does not change."""
        setting = self.setting
        return {
            "session_dir": setting.session_dir, "version": __version__, "node_pid": setting.node_pid,
            "driver_pid": setting.driver_pid or None, "script": setting.argv, "started": setting.started,
            "redis_address": setting.redis_address, "is_shared": setting.sharing is not None,
            "attached_to": setting.attachment.session_dir if setting.attachment else None,
        }

    def status(self) -> dict[str, Any]:
        """What the session has, does, and waits for."""
        amounts = self.setting.info.resources.named(_core.resource_amounts(self.region))
        return {
            "session": self.session(), "drivers": self._drivers(), "time": time.time(),
            "store": statistics(self.region)._asdict(),
            "resources": {name: {"total": total, "free": free} for name, (total, free) in amounts.items()},
            "processes": self._counts(), "tasks": self._tasks(), "actors": actor_rows(self.region, every=True)[:LISTED],
            "waits": self._waits(),
        }

    def _drivers(self) -> list[dict[str, Any]]:
        """The drivers of all jobs, with their command lines."""
        pids = [pid for _, pid, role, *_ in _core.process_rows(self.region) if role == _core.DRIVER]
        return [{"pid": pid, "script": self.setting.argv if pid == self.setting.driver_pid else command_line(pid)}
                for pid in pids[:LISTED]]

    def _counts(self) -> dict[str, int]:
        """Numbers of workers and of actors' processes by what they do."""
        counts = {"workers": 0, "idle": 0, "starting": 0, "busy": 0, "blocked": 0, "actors": 0}
        for _, _, role, availability, blocked, *_ in _core.process_rows(self.region):
            if role == _core.ACTOR:
                counts["actors"] += 1
            elif role == _core.WORKER:
                counts["workers"] += 1
                counts["blocked" if blocked else "busy" if availability in ("BUSY", "RUNG") else availability.lower()] += 1
        return counts

    def _tasks(self) -> list[dict[str, Any]]:
        """Numbers of unfinished tasks and calls by function, the most frequent first."""
        rows: dict[int, dict[str, Any]] = {}
        for (function, state), number in _core.task_counts(self.region).items():
            if state in UNFINISHED:
                row = rows.setdefault(function, {"function": "", "waiting": 0, "ready": 0, "queued": 0, "running": 0})
                row[SHOWN_AS[state]] += number
        shown = sorted(rows, key=lambda function: -sum(n for n in rows[function].values() if isinstance(n, int)))[:LISTED]
        for function in shown:
            rows[function]["function"] = kept_text(self.region, function) or "(unknown)"
        return [rows[function] for function in shown]

    def _waits(self) -> list[str]:
        """Who waits for what."""
        found = []
        for pid, role, function, awaited, state in _core.wait_rows(self.region):
            name, other = kept_text(self.region, function), kept_text(self.region, awaited)
            found.append(f"{ROLES.get(role, '?')} {pid}: {name} waits for {other}, which is {SHOWN_AS.get(state, 'ending')}")
        scarce = [self.setting.info.resources.name_of(resource) for resource in _core.scarce_resources(self.region)]
        if scarce:
            found.append(f"ready tasks wait for {', '.join(scarce)}")
        return [*found, *map(self._held_wait, _core.held_waits(self.region))][:LISTED]

    def _held_wait(self, facts: tuple[Any, ...]) -> str:
        """A wait for what actors hold for life, or for a process."""
        wait = HeldWait(*facts)
        is_task = wait.kind == "task"
        name = kept_text(self.region, _core.task_facts(self.region, wait.waiter)[0]) if is_task else self._actor(wait.waiter)
        if not wait.resource:
            return f"{waiter_text(wait, name)} waits for a process"
        resource = self.setting.info.resources.name_of(wait.resource)
        return f"{waiter_text(wait, name)} waits for {needed_text(wait, resource, [self._actor(one) for one in wait.holders])}"

    def _actor(self, actor: int) -> str:
        label = kept_label(self.region, _core.facts_of_actor(self.region, actor))
        return titled(*label[:2]) if label else "?"

    def processes(self) -> list[dict[str, Any]]:
        """A row for each process."""
        rows = []
        for _, pid, role, availability, blocked, finished, actor, task, function in _core.process_rows(self.region)[:LISTED]:
            label = kept_label(self.region, _core.facts_of_actor(self.region, actor)) if actor else None
            doing = "waits" if blocked else "runs" if task else availability.lower() if role == _core.WORKER else ""
            rows.append({"pid": pid, "kind": ROLES.get(role, "?"), "class": label[0] if label else None,
                         "name": label[1] if label else None, "does": doing if doing != "busy" else "idle",
                         "task": kept_text(self.region, function) if task else None, "finished": finished})
        return [*rows, {"pid": os.getpid(), "kind": "control", "class": None, "name": None, "does": "", "task": None,
                        "finished": 0}]

    def pids(self) -> list[int]:
        """The workers and actors' processes of this node."""
        return [pid for pid, *_ in self.region.workers()]

    def tables(self) -> dict[str, dict[str, str]]:
        """What the control store has: by key, fields and their values."""
        import json  # in the control process alone

        actors = actor_rows(self.region)
        rows = self.processes()
        return {
            "session": {name: value if isinstance(value, str) else json.dumps(value) for name, value in self.session().items()},
            "drivers": {str(row["pid"]): json.dumps({"script": row["script"]}) for row in self._drivers()},
            "workers": {str(row["pid"]): json.dumps({"kind": row["kind"], "class": row["class"]}) for row in rows
                        if row["kind"] in ("worker", "actor")},
            "actors": {row["ActorID"]: json.dumps(row) for row in actors},
            "names": {row["Name"]: row["ActorID"] for row in actors if row["Name"] is not None},
            "functions": self._functions(),
        }

    def _functions(self) -> dict[str, str]:
        """The directory of functions, looked up anew while the session keeps more and more objects, and once more then: what is
        counted may not be sealed yet."""
        import json

        kept = self.region.statistics()["kept"]
        if kept != self._kept or not self._is_settled:
            found = {}
            for index in _core.kept_values(self.region):
                label = kept_label(self.region, index)
                if isinstance(label, str):
                    found[_core.object_facts(self.region, index)[0].hex()] = json.dumps({"name": label})
            self._known, self._is_settled, self._kept = found, kept == self._kept, kept
        return self._known

    def memory(self, most: int = 20) -> dict[str, Any]:
        """The memory report: as text, and its numbers."""
        report = measure(self.region, most)
        numbers = {name: number for name, number in report._asdict().items() if isinstance(number, int)}
        largest = [{"id": row.id.hex(), **row.facts()} for row in report.largest]
        return {"text": str(report), **numbers, "largest": largest, "processes": [one._asdict() for one in report.processes]}

    def stack(self, pid: int | None = None) -> list[dict[str, Any]]:
        """The Python stacks of the job's workers and actors' processes, or of one."""
        there = {one: role for one, _, role in self.region.workers()}
        if pid is not None and pid not in there:
            raise ValueError(f"{pid} is no worker, nor an actor's process; there are {sorted(there)}")
        chosen = [pid] if pid is not None else sorted(there)
        return [{"pid": one, "kind": ROLES[there[one]], "stack": _of_the_user(self.dumps.take(one))} for one in chosen]


def _of_the_user(stack: str) -> str:
    """Stacks without the frames from which each worker runs its tasks."""
    lines, is_ours = [], False
    for line in stack.splitlines():
        is_ours = (is_ours and line.startswith("  ")) or WORKER_LOOP in line
        if not is_ours:
            lines.append(line)
    return "\n".join(lines)
