"""process.py: naming processes for good."""

import subprocess
import sys

from ray_lite.system.process import started_at


def test_a_later_process_has_a_later_start():
    children = [subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(2)]
    first, second = (started_at(child.pid) for child in children)
    assert 0 < first <= second
    for child in children:
        child.communicate(b"\n")
