"""Tables of tasks, as `global_state` shows them.  Pure logic.

Neighbours: source.py has the records.
"""

from __future__ import annotations

from typing import Any

from ray_lite import _core
from ray_lite.tracing.records import AGAIN, FAILED, Record
from ray_lite.tracing.source import Traces

WAITING, SCHEDULED, QUEUED, RUNNING, DONE, LOST, RECONSTRUCTING = (1 << k for k in range(7))  #: as Ray of 2018 numbers them
STATES = {"WAITING": WAITING, "READY": QUEUED, "MAILED": QUEUED, "LANED": WAITING, "RUNNING": RUNNING, "CANCELLED": QUEUED}
NONE = "f" * 40  # an id that is no id
SECOND = 1e9


def task_table(traces: Traces) -> dict[str, dict[str, Any]]:
    """Facts about each task by its id: of those that have not ended, and of the latest that have."""
    found: dict[str, dict[str, Any]] = {}
    submitted = {one.id: one for one in traces.of(_core.TRACE_SUBMIT)}
    arguments: dict[bytes, list[str]] = {}
    for one in traces.of(_core.TRACE_ARGUMENT):
        arguments.setdefault(one.id, []).append(one.other.hex())
    for one in traces.of(_core.TRACE_RUN):
        row = _row(traces, one.id, one.what, one.actor, DONE)
        row |= {"Pid": one.pid, "Begin": _time(traces, one.begin), "End": _time(traces, one.end),
                "Failed": one.outcome == FAILED, "Attempts": found.get(one.id.hex(), row)["Attempts"] + 1}
        if one.outcome == AGAIN:
            row |= {"State": RECONSTRUCTING, "End": None}
        found[one.id.hex()] = row
    for id, state, what, actor, pid in traces.unfinished:
        row = _row(traces, bytes.fromhex(id), what, actor, STATES.get(state, WAITING))
        found[id] = found.get(id, row) | {"State": row["State"], "End": None, "Pid": pid or None}
    for binary, one in submitted.items():
        if binary.hex() in found:
            spec = found[binary.hex()]["TaskSpec"]
            spec["ReturnObjectIDs"] = [_core.ObjectID(_core.return_id(binary, k)) for k in range(one.before)]
            spec["Args"] = [_core.ObjectID(bytes.fromhex(x)) for x in arguments.get(binary, [])]
    return found


def _row(traces: Traces, binary: bytes, what: int, actor: int, state: int) -> dict[str, Any]:
    spec = {"TaskID": binary.hex(), "FunctionName": traces.name(what), "ActorID": traces.actors.get(actor) if actor else NONE,
            "Args": None, "ReturnObjectIDs": None}
    return {"State": state, "TaskSpec": spec, "Pid": None, "Begin": None, "End": None, "Failed": False, "Attempts": 0}


def _time(traces: Traces, at: int) -> float:
    return (at + traces.epoch) / SECOND


def task_profiles(
    traces: Traces, num_tasks: int | None, start: float | None, end: float | None, fwd: bool
) -> dict[str, dict[str, Any]]:
    """Times of tasks that have run, by id, as `global_state.task_profiles` returns them."""
    runs = [one for one in traces.of(_core.TRACE_RUN) if (start is None or _time(traces, one.begin) >= start)
            and (end is None or _time(traces, one.begin) <= end)]
    if num_tasks is not None:
        runs = runs[:num_tasks] if fwd else runs[max(0, len(runs) - num_tasks) :]
    return {one.id.hex(): _profile(traces, one) for one in runs}


def _profile(traces: Traces, one: Record) -> dict[str, Any]:
    begin, finish = _time(traces, one.begin), _time(traces, one.end)
    called, returned = begin + one.before / 1e6, finish - one.after / 1e6
    return {
        "score": begin, "get_task_start": begin, "get_task_end": begin, "acquire_lock_start": begin, "acquire_lock_end": begin,
        "get_arguments_start": begin, "get_arguments_end": called, "execute_start": called, "execute_end": returned,
        "store_outputs_start": returned, "store_outputs_end": finish, "worker_id": one.pid,
        "function_name": traces.name(one.what),
    }


def events(traces: Traces) -> list[dict[str, Any]]:
    """What programs recorded of themselves, in the order of the begin."""
    return [{"type": one.event["type"], "contents": one.event["contents"], "pid": one.pid, "start": _time(traces, one.begin),
             "end": _time(traces, one.end)} for one in traces.of(_core.TRACE_EVENT)]
