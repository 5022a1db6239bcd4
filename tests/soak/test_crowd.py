"""Several drivers in a shared session, killed at random with their processes: 20 s, or RAY_LITE_SOAK_S, with a new seed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = float(os.environ.get("RAY_LITE_SOAK_S", 20))
LATE_S = 60.0
# About a fifth of what an idle machine brings.
A_MINUTE = {"guests": 30, "driver": 6, "node": 6, "worker": 10, "stop": 6, "server": 1, "control": 1}


@pytest.mark.watchdog(SECONDS + LATE_S)
def test_a_session_outlives_its_guests(fresh):
    seed = int.from_bytes(os.urandom(3), "little")
    command = [sys.executable, str(Path(__file__).with_name("crowd.py")), str(SECONDS), str(seed)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(fresh.__file__).parents[1]), *sys.path])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + LATE_S, check=False, env=env)
    fresh.init(num_cpus=1)  # removes the directories of the killed
    assert done.returncode == 0, f"seed {seed}: {done.stdout}{done.stderr}"
    counts = json.loads(done.stdout.splitlines()[0])
    assert not {kind: counts.get(kind) for kind, least in A_MINUTE.items() if counts.get(kind, 0) < least * SECONDS / 60}
