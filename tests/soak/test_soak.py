"""The kill soak within the test run: half a minute with a new seed, or RAY_LITE_SOAK_S seconds; and proof that it can fail.

It runs as a command of its own, since its drivers are forked from it and it must not hold a session.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")
SECONDS = float(os.environ.get("RAY_LITE_SOAK_S", 30))
LATE_S = 150.0  # beyond its time: the run's own patience with a lane that hangs, and some

# Kills that a minute must bring at least, by kind: a tenth to a third of what an idle machine of two CPUs does, since this one
# may be slow or busy; but never none, for a kind that is never killed is not tested. Kinds come from shuffled decks, all once
# before any comes again, so that the proportions hold at any speed. Drivers and nodes die once a session, of which there are
# 30 to 130 a minute. A "long stop" comes too rarely to be asked for, and "node in init" needs a node that is there already.
A_MINUTE = {
    "worker": 60, "two workers": 30, "newborn worker": 8, "worker in the core": 20, "stopped worker": 8, "control process": 8,
    "store server": 2,
    "worker in a move": 8, "worker in fork": 8, "worker in exec": 8, "stop and go of a worker": 8,
    "stop and go of the driver": 4, "stop and go of the node": 4, "stop and go of the control process": 2, "driver": 3,
    "stopped driver": 1, "node": 2, "driver by SIGTERM": 1, "driver in init": 1, "driver and node": 1, "stopped node": 1,
    "node amidst orders": 1,
    "actor": 8, "two actors": 1, "newborn actor": 8, "actor in the core": 5, "actor and worker": 5, "stopped actor": 3,
    "stop and go of an actor": 2, "actor that comes back": 8, "actor that saves": 2,
}
# What a second must bring at least, about a tenth of what it does on a busy machine: what never happens is not tested.
A_SECOND = {
    "bytes seen spilled": 1_000_000, "spilled values wanted back": 3, "spilled arguments wanted back": 0.1,
    "stores emptied": 0.1, "arrays written to by drivers": 0.1, "attempts of tasks that write": 0.1,
    "kept arrays checked": 0.5, "calls of actors": 3, "calls of actors by tasks": 0.5, "deaths of actors, explained": 0.5,
    "logs of actors compared": 0.5, "restarts of actors": 0.5, "logs of actors that had come back compared": 0.3,
    "calls that end their process": 0.02,
    "actors killed by ray.kill": 0.05, "handles of actors lost": 0.05, "names looked up": 0.5,
}
SABOTAGE = {
    "value": r"has another value: digest \d+, expected \d+",
    "spilled": r"nothing that was done to it explains that: ObjectLostError: .*came back damaged",
    "ink": r"a kept array changed",
    "leak": r"does not become quiet: .*'objects': \(\d+, \d+\)",
    "process": r"there are still: .*sleep 60",
    "file": r"there are still: \['ray_lite-0-0-0-0'\]",
    "attempt": r"ran again, though nobody killed its worker",
    "retry": r"ran 2 times, max_retries=0",
    "cancelled": r"began again after it was cancelled",
    "actor": r"call o\d+ has a value, though actor o\d+ had been killed before",
    "log": r"ran \[\d+\], which it must not have",
    "name": r"the name 'ann' is that of \w+; alive are \[\]",
    "terminal": r"on the terminal:",
    "driver": r"the driver ended by itself: -9",
}


@pytest.fixture
def soak(tmp_path):
    """`soak(*arguments)` runs it and gives (exit code, all that it printed, {row of the table: what it says})."""

    def run(*arguments, seconds):
        command = [sys.executable, str(RUN), "--seconds", str(seconds), "--keep", str(tmp_path / "kept"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + LATE_S, check=False)
        rows = dict(re.findall(r"^(\S.*?|  \S.*?) {2,}(\S.*)$", done.stdout.partition("FAILURE")[0], re.M))
        return done.returncode, done.stdout + done.stderr, {name.strip(): what for name, what in rows.items()}

    return run


@pytest.mark.watchdog(SECONDS + LATE_S)
def test_nothing_goes_wrong_however_it_is_killed(soak, capfd):
    code, text, rows = soak(seconds=SECONDS)
    with capfd.disabled():
        print(f"\n{text.partition('FAILURE')[0]}")
    assert code == 0 and rows["failures"] == "0", text
    wanted = {kind: max(1, int(number * SECONDS / 60)) for kind, number in A_MINUTE.items()}
    assert not {kind: (number, rows.get(kind)) for kind, number in wanted.items() if int(rows.get(kind, 0)) < number}, text
    assert int(rows.get("worker out of memory", 0)) or "no memory cgroup can be made" in text, text
    assert int(rows["fscks"]) > sum(wanted.values()) and int(rows["values checked"]) > 10 * SECONDS
    assert int(rows["counts compared"]) > SECONDS / 2
    assert not {what: rows.get(what) for what, number in A_SECOND.items() if int(rows.get(what, 0)) < number * SECONDS}, text
    assert int(rows.get("sessions on huge pages", 0)) or "no huge pages:" in text, text


@pytest.mark.parametrize("wrong", SABOTAGE if os.environ.get("RAY_LITE_FULL") else list(SABOTAGE)[::3])
def test_what_is_wrong_is_reported(soak, wrong):
    code, text, rows = soak("--sabotage", wrong, seconds=5)
    assert code == 1 and rows["failures"] == "1"
    assert re.search("FAILURE: lane 0, session 0.0: .*" + SABOTAGE[wrong], text), text
    assert re.search(r"to repeat: .*--seed \d+", text) and "the last actions:" in text


@pytest.mark.skipif(not os.environ.get("RAY_LITE_FULL"), reason="runs in .ci/full: RAY_LITE_FULL=1")
def test_the_control_file_of_a_failed_session_is_kept(soak, tmp_path):
    soak("--sabotage", "value", "--seed", "5", seconds=5)
    copy = tmp_path / "kept" / "5-0.0.control"
    assert copy.read_bytes()[:8] == b"ray_lite", "the region's magic"
    assert os.stat(copy).st_blocks * 512 < copy.stat().st_size, "only what is committed takes room"
    assert (tmp_path / "kept" / "5-0.0.attempts").exists() and (tmp_path / "kept" / "5-0.0.terminal").exists()
