"""What the commands print: each function makes the text of one answer.

Neighbours: main.py asks; node/answers.py has the answers' shapes.  Must not ask or read anything itself, but for the memory of
processes in `ps`, which /proc has.
"""

from __future__ import annotations

import datetime
from typing import Any

from ray_lite.cli.text import BOLD, DIM, RED, colour, counted, duration, number, printable, size, table
from ray_lite.values.failures import titled

DRIVERS_SHOWN, FUNCTIONS_SHOWN, ACTORS_SHOWN, WAITS_SHOWN = 20, 20, 20, 10  # rows of a status


def session(facts: dict[str, Any], now: float) -> str:
    """One session as one line."""
    script = " ".join(facts["script"]) or "an interpreter"
    whose = "shared" if facts["is_shared"] else f"{script}, driver {facts['driver_pid']}"
    return f"{facts['session_dir']}  {whose}, node {facts['node_pid']}, up {duration(now - facts['started'])}"


def status(answer: dict[str, Any]) -> str:
    """What a session has, does, and waits for."""
    store, processes = answer["store"], answer["processes"]
    resources = ", ".join(f"{number(one['free'])} of {number(one['total'])} {name} free"
                          for name, one in answer["resources"].items())
    lines = [
        colour("session    ", BOLD) + session(answer["session"], answer["time"]),
        *_drivers(answer),
        colour("resources  ", BOLD) + resources,
        colour("processes  ", BOLD) + (
            f"{counted(processes['workers'], 'worker')} ({processes['busy']:,} busy, "
            f"{processes['blocked']:,} waiting in a task, {processes['idle']:,} idle, "
            f"{processes['starting']:,} starting), {processes['actors']:,} of actors"),
        colour("store      ", BOLD) + (
            f"{size(store['bytes_used'])} used, {size(store['bytes_committed'])} committed of {size(store['arena_bytes'])}, "
            f"{size(store['bytes_spilled'])} spilled; {counted(store['objects'], 'object')}"),
        colour("errors     ", BOLD) + (f"{answer['errors']:,}" + ("  (ray-lite errors)" if answer["errors"] else "")),
    ]
    return "\n".join([*lines, *_tasks(answer["tasks"]), *_actors(answer["actors"]), *_waits(answer["waits"])])


def _drivers(answer: dict[str, Any]) -> list[str]:
    """The drivers, where there are others than the session's own."""
    rows = answer["drivers"]
    if len(rows) == 1 and not answer["session"]["is_shared"]:
        return []
    texts = [f"{row['pid']} {' '.join(row['script'])}".strip() for row in rows[:DRIVERS_SHOWN]] or ["none"]
    lines = [colour("drivers    ", BOLD) + texts[0], *(" " * 11 + text for text in texts[1:])]
    return [*lines, *_more(len(rows) - DRIVERS_SHOWN)]


def _tasks(rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        return ["", "no task is queued or runs"]
    head = ["task or method", "running", "ready", "queued", "waiting for arguments"]
    cells = [[row["function"], row["running"], row["ready"], row["queued"], f"{row['waiting']:,}"]
             for row in rows[:FUNCTIONS_SHOWN]]
    return ["", table(head, cells), *_more(len(rows) - FUNCTIONS_SHOWN)]


def _actors(rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        return []
    head = ["actor", "pid", "calls", "queued", "restarts", "state"]
    cells = [[titled(row["ClassName"], row["Name"]), str(row["Pid"] or "-"), row["CallsFinished"], row["CallsQueued"],
              row["Restarts"], row["State"].lower()] for row in rows[:ACTORS_SHOWN]]
    return ["", table(head, cells), *_more(len(rows) - ACTORS_SHOWN)]


def _waits(texts: list[str]) -> list[str]:
    if not texts:
        return []
    return ["", colour("waits", BOLD), *texts[:WAITS_SHOWN], *_more(len(texts) - WAITS_SHOWN)]


def _more(count: int) -> list[str]:
    return [colour(f"... and {count:,} more", DIM)] if count > 0 else []


def errors(entries: list[dict[str, Any]], dropped: int) -> str:
    """The entries of the table of errors, oldest first; `dropped`: how many older ones are gone."""
    texts = [colour(f"({dropped:,} older ones are gone)", DIM)] if dropped else []
    for entry in entries:
        when = datetime.datetime.fromtimestamp(entry["timestamp"]).strftime("%H:%M:%S.%f")[:-3]
        name = entry["data"].get("function_name")
        head = colour(f"{when}  {printable(entry['type'])}", RED) + (f"  {printable(str(name))}" if name else "")
        texts.append(f"{head}\n{printable(entry['message'].rstrip())}")
    return "\n\n".join(texts) if texts else "no errors"


def processes(rows: list[dict[str, Any]], private: dict[int, int | None]) -> str:
    """The processes of a session; `private`: bytes of memory that only one has, by pid."""
    head = ["pid", "kind", "does", "private", "finished", "task or method"]
    cells = []
    for row in rows:
        kind = row["kind"] if row["class"] is None else titled(row["class"], row["name"])
        memory = private.get(row["pid"])
        cells.append([str(row["pid"]), kind, row["does"], "?" if memory is None else size(memory), row["finished"],
                      row["task"] or ""])
    return table(head, cells, left=3)


def stacks(rows: list[dict[str, Any]]) -> str:
    """The stacks of processes."""
    heads = [colour(f"{row['kind']} {row['pid']}", BOLD) for row in rows]
    return "\n\n".join(f"{head}\n{row['stack'].rstrip()}" for head, row in zip(heads, rows, strict=True)) or "no workers"


def output(pieces: list[list[Any]], several: bool) -> str:
    """What processes have written, as it came; `several`: each line says who wrote it."""
    texts = []
    for pid, label, _, text in pieces:
        name = f"({label} pid={pid}) " if label else f"(pid={pid}) " if pid else "(node) "
        texts.append("".join(f"{name if several or label else ''}{line}\n" for line in text.splitlines()))
    return "".join(texts)
