"""process.py: naming processes for good, and telling whether they live."""

import os
import subprocess
import sys

from ray_lite.system.process import is_alive, started_at


def test_a_process_is_named_by_pid_and_start():
    started = started_at(os.getpid())
    assert is_alive(os.getpid(), started)
    assert not is_alive(os.getpid(), started + 1)


def test_a_zombie_is_not_alive():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = started_at(child.pid)
    assert is_alive(child.pid, started)
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(child.pid, started)
    child.wait()
    assert not is_alive(child.pid, started)
