"""process.py: naming processes for good, and namespaces."""

import os
import subprocess
import sys

import pytest

from ray_lite.system.process import namespaces, started_at


def test_a_later_process_has_a_later_start():
    children = [subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(2)]
    first, second = (started_at(child.pid) for child in children)
    assert 0 < first <= second
    for child in children:
        child.communicate(b"\n")


@pytest.mark.parametrize("kind", ["pid", "user", "time"])
def test_a_process_in_another_namespace_says_so(kind):
    """And names the same ones of the other kinds."""
    script = "from ray_lite.system.process import namespaces; print(*namespaces())"
    command = ["unshare", "--fork", f"--{kind}", *(["--mount-proc"] if kind == "pid" else []), sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no {kind} namespace can be made here: {done.stderr}")
    theirs = namespaces()._make(map(int, done.stdout.split()))
    assert [field for field in theirs._fields if getattr(theirs, field) != getattr(namespaces(), field)] == [kind]
    assert namespaces() == namespaces() and os.stat("/proc/self/ns/pid").st_ino == namespaces().pid
