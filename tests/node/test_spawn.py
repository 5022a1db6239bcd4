"""forkserver.py: naming processes for good, the interpreter's flags, and the end of a session directory."""

import os
import subprocess
import sys

import pytest

from ray_lite.node import spawn as forkserver
from ray_lite.exceptions import RaySystemError


def test_a_process_is_named_by_pid_and_start():
    started = forkserver.started_at(os.getpid())
    assert forkserver.is_alive(os.getpid(), started)
    assert not forkserver.is_alive(os.getpid(), started + 1)


def test_a_zombie_is_not_alive():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = forkserver.started_at(child.pid)
    assert forkserver.is_alive(child.pid, started)
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not forkserver.is_alive(child.pid, started)
    child.wait()
    assert not forkserver.is_alive(child.pid, started)


def test_removing_a_directory_twice_is_fine(tmp_path):
    directory = tmp_path / "session"
    directory.mkdir()
    (directory / "file").write_text("x")
    forkserver.remove_directory(str(directory))
    assert not directory.exists()
    forkserver.remove_directory(str(directory))


@pytest.mark.parametrize("flags", [[], ["-O"], ["-W", "error"], ["-X", "dev"], ["-s", "-B"]])
def test_flags_of_the_interpreter_are_found(flags):
    code = (
        "import subprocess; from ray_lite import forkserver;"
        "assert forkserver._interpreter_flags() == subprocess._args_from_interpreter_flags()"
    )
    subprocess.run([sys.executable, *flags, "-c", code], check=True)


@pytest.mark.parametrize("executable", ["", None, "/nonexistent/python"])
def test_no_interpreter_is_one_clear_error(monkeypatch, executable):
    monkeypatch.setattr(sys, "executable", executable)
    with pytest.raises(RaySystemError, match="sys.executable"):
        forkserver.spawn_node()
