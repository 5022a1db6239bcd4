"""conftest.py and leftovers.py: a test that leaves processes behind fails, and spoils none of those after it."""

import os
import subprocess
import sys
from pathlib import Path

LITTER = """
import os, time
import psutil

def test_that_fails_with_children():
    if os.fork() == 0:
        os._exit(0)
    if os.fork() == 0:
        time.sleep(100)
        os._exit(0)
    assert False

def test_that_looks_for_children():
    assert psutil.Process().children() == []
"""


def test_a_failure_does_not_spoil_the_next_test(tmp_path):
    """With warnings as errors: os.fork itself then fails on some Pythons, after it has made the child."""
    (tmp_path / "test_litter.py").write_text(LITTER)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "-rfEp"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    verdicts = {line.split(" - ")[0] for line in done.stdout.splitlines() if "test_litter.py::" in line}
    assert verdicts >= {
        "FAILED test_litter.py::test_that_fails_with_children",
        "ERROR test_litter.py::test_that_fails_with_children",
        "PASSED test_litter.py::test_that_looks_for_children",
    }, done.stdout + done.stderr
