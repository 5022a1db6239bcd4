"""The unlocked protocols as Spin models: each verifies in a full search, and each of its mutants, with one mistake, is found.

What a model leaves out, and why that is sound, stands at its head. Of each model one variant and one mistake are always
tried, the others with RAY_LITE_FULL=1.
"""

import os
import re
import shlex
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).parent
IF_FULL = pytest.mark.skipif(not os.environ.get("RAY_LITE_FULL"), reason="the other variants run in .ci/full: RAY_LITE_FULL=1")
MEGABYTES = 4096  # a search that needs more is not complete, and fails
DEPTH = 5000
TIMEOUT_S = 900

# Switches of the searches that must verify, of large ones that must, and of those that must fail. The first are always made.
VERIFIED = {
    "seal_wait": ["ALONE", "DEATHS=0", "TWO_PROCESSES DEATHS=0", "ALONE TWICE DISTINCT"],
    "slot_reuse": ["STANDS", "HOLDS", "WAITS"],
    "requeue_finish": ["", "RETURNS=0"],
    "edges": ["DEATHS=1"],
    "doorbell": ["ONE_IDLE ONE_TASK", ""],
    "actor_rest": ["DEATHS=0", ""],
    "turns": ["DEATHS=0", ""],
    "relay": ["", "DEATHS=0"],
}
LARGE = {
    "seal_wait": ["", "TWO_PROCESSES"],
    "slot_reuse": ["HOLDS LIVES=3 DEATHS=2", "STANDS LIVES=3 DEATHS=2"],
    "requeue_finish": ["DEATHS=3"],
    "edges": [""],
    "doorbell": ["ONE_IDLE"],
    "actor_rest": ["DEATHS=2"],
    "turns": [],
    "relay": [],
}
WRONG = {
    "seal_wait": [
        "NO_WAKE_AFTER_SWEEP ALONE", "NO_REDO ALONE", "CHECK_FIRST DEATHS=0", "LOOK_LATE DEATHS=0", "WAKE_AT_NEXT DEATHS=0",
        "NO_CORRECTION DEATHS=0", "MARK_TAKEN_BACK TWO_PROCESSES DEATHS=0", "NO_MANY TWO_PROCESSES DEATHS=0", "TWICE ALONE",
    ],
    "slot_reuse": [
        "FORGET_IDLE STANDS", "FREE_FIRST HOLDS", "ON_OWNERDEAD HOLDS", "BITS_STAY HOLDS", "STARTING_STAYS HOLDS",
        "MARKS_SWEPT WAITS",
    ],
    "requeue_finish": [
        "ON_OWNERDEAD", "ALWAYS_REQUEUE", "NOT_BEGUN RETURNS=0", "SEAL_AGAIN", "CPUS_TWICE", "NO_CPUS",
    ],
    "edges": [f"{name} DEATHS=1" for name in (
        "RECOMPUTE", "OLD_LOOK", "DRAIN_FIRST", "NO_DRAIN", "KEEP_EDGES", "COUNT_LATER", "NO_REDO",
    )],
    "doorbell": [
        "BELL_LATE ONE_IDLE", "PARKED_LATE ONE_IDLE", "COMING_STAYS ONE_IDLE", "NO_WAKE_AFTER_SWEEP ONE_IDLE", "ANSWER_LATE",
        "CLEAR_FIRST", "NO_ANSWER_ON_DEATH", "STARTING_STAYS", "STOPPED",
    ],
    "actor_rest": [
        "BELL_LATE DEATHS=0", "PARKED_LATE DEATHS=0", "REST_LATE DEATHS=0", "LEAVING_LATE DEATHS=0", "NO_WAKE_AFTER_SWEEP",
        "NO_RETEST DEATHS=0", "NAME_STAYS DEATHS=0", "DUE_LATE", "ONLY_DROPS DEATHS=0",
    ],
    "turns": [
        "KEEPS_TURN", "STAYS_MEMBER", "NO_RECHECK", "NO_WAKE_AFTER_SWEEP", "NOT_GIVEN DEATHS=0", "GIVEN_LATE",
        "RESTS_ON DEATHS=0",
    ],
    "relay": ["BIT_LATE DEATHS=0", "TAKE_FIRST DEATHS=0", "CLEAR_FIRST DEATHS=0", "NO_RING_ALL", "GUEST_LATE DEATHS=0"],
}


class Search(NamedTuple):
    """What the verifier said, and which lines of the model it reached."""

    output: str
    errors: int
    states: int
    lines: set[int]
    reached: set[int]


def pairs(table: dict[str, list[str]], always: int) -> list:
    """(model, switches) of a table; all but the first `always` of each model only when everything is asked for."""
    return [pytest.param(model, switches, marks=[] if number < always else IF_FULL)
            for model, every in table.items() for number, switches in enumerate(every)]


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    """`search(model, switches)`: the finished search of a variant; each is made once."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    for tool in ("spin", compiler[0]):
        if not shutil.which(tool):
            pytest.skip(f"model checking needs {tool}, which is not on PATH")
    done = {}

    def run(model, switches):
        if (model, switches) not in done:
            place = tmp_path_factory.mktemp(model)
            done[model, switches] = searched(place, compiler, model, [f"-D{switch}" for switch in switches.split()])
        return done[model, switches]

    return run


def searched(place: Path, compiler: list[str], model: str, switches: list[str]) -> Search:
    def tool(*command: str) -> str:
        run = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=TIMEOUT_S)
        assert run.returncode == 0, f"{command}\n{run.stdout}{run.stderr}"
        return run.stdout

    tool("spin", *switches, "-a", str(HERE / f"{model}.pml"))
    smaller = ["-DCOLLAPSE"] if " ".join(switches).replace("-D", "") in LARGE[model] else []
    tool(*compiler, "-O1", "-w", "-DSAFETY", *smaller, f"-DMEMLIM={MEGABYTES}", "-o", "pan", "pan.c")
    output = tool("./pan", "-E", f"-m{DEPTH}")  # -E: servers never end; what may not hang is asserted
    errors = re.search(r"errors: (\d+)", output)
    states = re.search(r"(\d+) states, stored", output)
    assert errors and states, output
    every, missed = set(steps(tool("./pan", "-d"))), set(misses(output))
    lines = {line for _, _, line, text in every if text != "-end-"}
    return Search(output, int(errors[1]), int(states[1]), lines, {line for _, _, line, _ in every - missed})


def steps(listing: str) -> Iterator[tuple[str, int, int, str]]:
    """(process, state, line, text) of each transition of the verifier."""
    process = ""
    for line in listing.splitlines():
        if found := re.match(r"(?:proctype|init|claim)\s+(\S+)", line):
            process = found[1]
        elif found := re.search(r"state\s+(\d+) -\(tr.*\.pml:(\d+) => (.*)", line):
            yield process, int(found[1]), int(found[2]), found[3]


def misses(output: str) -> Iterator[tuple[str, int, int, str]]:
    """The same of those that the search never took."""
    process = ""
    for line in output.splitlines():
        if found := re.match(r"unreached in (?:proctype )?(\S+)", line):
            process = found[1]
        elif found := re.search(r'\.pml:(\d+), state (\d+), "(.*)"', line):
            yield process, int(found[2]), int(found[1]), found[3]


def assert_complete(run: Search) -> None:
    """Every state was visited, and assertions were looked at."""
    assert re.search(r"assertion violations\s+\+", run.output)
    for complaint in ("max search depth too small", "out of memory", "Search not completed", "interrupted", "bit-state"):
        assert complaint not in run.output, run.output
    assert run.states > 1000, "too few states to mean anything"


@pytest.mark.watchdog(TIMEOUT_S)
@pytest.mark.parametrize("model, switches", pairs(VERIFIED, always=1))
def test_the_protocol_holds(search, model, switches):
    run = search(model, switches)
    print(f"{model} {switches}: {run.states:,} states")
    assert run.errors == 0, run.output
    assert_complete(run)


@pytest.mark.watchdog(TIMEOUT_S)
@pytest.mark.parametrize("model, switches", pairs(LARGE, always=0))
def test_the_protocol_holds_with_more_of_everything(search, model, switches):
    test_the_protocol_holds(search, model, switches)


@pytest.mark.watchdog(TIMEOUT_S)
@pytest.mark.parametrize("model, switches", pairs(WRONG, always=1))
def test_a_mistake_is_found(search, model, switches):
    run = search(model, switches)
    assert run.errors > 0, run.output
    assert re.search(r"^pan:1: assertion violated\s+[!(]", run.output, re.M), run.output  # not a bad index, say


@IF_FULL
@pytest.mark.watchdog(TIMEOUT_S)
@pytest.mark.parametrize("model", VERIFIED)
def test_every_line_is_reached(search, model):
    """What no search runs is not verified. Lines of the negatives are not compiled here."""
    runs = [search(model, switches) for switches in VERIFIED[model] + LARGE[model]]
    unreached = set.union(*(run.lines for run in runs)) - set.union(*(run.reached for run in runs))
    text = (HERE / f"{model}.pml").read_text().splitlines()
    assert not unreached, "\n".join(f"{line}: {text[line - 1]}" for line in sorted(unreached))


@pytest.mark.parametrize("model", VERIFIED)
def test_the_head_names_every_negative(model):
    """And every switch that the head names as one is tried."""
    head = (HERE / f"{model}.pml").read_text().partition("*/")[0]
    tried = {switches.split()[0] for switches in WRONG[model]}
    named = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b|\bTWICE\b|\bRECOMPUTE\b|\bSTOPPED\b", head.partition("Negatives:")[2]))
    assert tried == named - {"READY", "WAITING", "PENDING"}
