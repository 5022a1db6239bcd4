"""State machines: one setter each, and a forbidden move is told from all others."""

import re

import pytest
from sources import CORE, ROOT, blanked

from ray_lite import _core
from ray_lite.exceptions import RaySystemError

STATES = "|".join("""PENDING CREATING SEALED GARBAGE BUILDING WAITING READY RUNNING CANCELLED_QUEUED ALIVE SWEEPING BUSY IDLE
STARTING RUNG MAILED LANED ACTOR_\\w+ LANE_\\w+ JOB_ALIVE JOB_DROPPING""".split())


def machines():
    """{machine: {state: the states that it may become}} of states.h."""
    text = (CORE / "region/states.h").read_text()
    found = {}
    for name, body in re.findall(r"rl_(\w+)_rules\[\] = \{\n(.*?)\n\};", text, re.S):
        rows = re.findall(r"\[RL_(\w+)\] = \{(.*?),\s[^,]*\}", body)
        found[name] = {state: re.findall(r"RL_TO\((\w+)\)", moves) for state, moves in rows}
    return found


def full(machine, state):
    return state if state == "FREE" else f"{machine.upper()}_{state}"


def test_the_tables_are_read_whole():
    assert {name: len(rows) for name, rows in machines().items()} == {
        "object": 5, "task": 9, "process": 3, "actor": 6, "lane": 3, "worker": 4, "job": 3,
    }
    for rows in machines().values():
        assert {state for moves in rows.values() for state in moves} <= set(rows)


def test_docs_show_the_tables():
    page = (ROOT / "docs/internals.md").read_text()
    shown = {}
    kinds = "Object|Task|Process|Actor|Lane|Worker|Job"
    for name, rows in re.findall(rf"^({kinds}) {{2,}}(\w+ -> (?:.|\n)*?)(?=\n\n|```)", page, re.M):
        shown[name.lower()] = {state: moves.split(", ") for state, moves in re.findall(r"(\w+) -> ([\w, ]+)", rows)}
    for name in ("actor", "lane", "job"):  # their states have the name of the machine before them, since the words are in use
        shown[name] = {full(name, state): {full(name, move) for move in moves} for state, moves in shown[name].items()}
    assert {name: {state: set(moves) for state, moves in rows.items()} for name, rows in shown.items()} == {
        name: {state: set(moves) for state, moves in rows.items()} for name, rows in machines().items()
    }


def test_states_are_stored_by_their_setters_alone():
    setter = r"(?:rl_set\w*|rl_fresh\w*|rl_store|rl_stage_up)"
    store = re.compile(rf"{setter}\(.*\bRL_(?:{STATES})\b|{setter}\([^)]*\.availability\b")
    for path in [*CORE.rglob("*.pyx"), *CORE.rglob("*.h")]:
        if path.name != "states.h":
            found = [line.strip() for line in blanked(path).splitlines() if store.search(line) and "memset" not in line]
            assert not found, f"{path.name}: {found}"


def test_a_forbidden_move_poisons_the_region(make_region, words):
    """A process that is being swept can't begin to be: that is a bug of the caller, and no data can be trusted afterwards."""
    region = make_region()
    control = words(make_region.files_of(region))
    slot = _core.open_worker(region)
    _core.begin_sweep(region, slot)
    assert control.get(control.header("poison")) == 0
    _core.begin_sweep(region, slot)
    with pytest.raises(RaySystemError, match="cannot be trusted"):
        _core.put_plain(region, 1)
    with pytest.raises(AssertionError, match="poison"):
        region.check()
    control.put(control.header("poison"), 0)
    _core.end_sweep(region, slot)
