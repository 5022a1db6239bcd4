"""Post-mortem: what the kernel tells about a worker's death: signal or exit code, peak memory, the out-of-memory killer.

Neighbours: deaths.py asks, policy/scheduler.py decides what a death means.  Must read nothing but /proc and control groups.
"""

from __future__ import annotations

import math
import os
import signal
import time

from ray_lite.policy.scheduler import Died
from ray_lite.system import cgroups

COUNTERS = {1: "memory.oom_control", 2: "memory.events"}  # by version of control groups


class Postmortem:
    """Reaps workers and tells how they died.

    The kernel counts its out-of-memory kills by cgroup, not by process: a SIGKILL soon after the count has grown is taken for
    one of them.

    Args:
        window: seconds after such a growth for which this holds, since several workers may die together.
    """

    def __init__(self, window: float) -> None:
        self.window = window
        self._counts: dict[str, int] = {}
        self._struck: dict[str, float] = {}
        self._own = _counters(os.getpid(), (1, 2)) or ["/proc/vmstat"]  # the workers' too, unless moved to other groups
        for path in self._own:
            self._counts[path] = _count(path)

    def examine(self, pid: int) -> Died:
        """Reaps a dead child process and tells how it died."""
        struck = self._out_of_memory(pid)
        _, status, usage = os.wait4(pid, 0)
        peak = usage.ru_maxrss * 1024
        if not os.WIFSIGNALED(status):
            return Died(pid, "", os.waitstatus_to_exitcode(status), peak)
        number = os.WTERMSIG(status)
        known = {int(one): one.name for one in signal.Signals}
        return Died(pid, known.get(number, f"SIG{number}"), number, peak, struck and number == signal.SIGKILL)

    def _out_of_memory(self, pid: int) -> bool:
        now = time.monotonic()
        struck = False
        for path in {*self._own, *_counters(pid, (2,))}:  # version 1 tells no path for a dead process
            count = _count(path)
            if count > self._counts.get(path, 0):
                self._struck[path] = now
            self._counts[path] = count
            struck = struck or now - self._struck.get(path, -math.inf) < self.window
        return struck


def _counters(pid: int, versions: tuple[int, ...]) -> list[str]:
    """Files that count the out-of-memory kills in a process's control groups."""
    paths = [os.path.join(place, COUNTERS[version]) for version, place in cgroups.own(pid, "memory") if version in versions]
    return [path for path in paths if os.path.exists(path)]


def _count(path: str) -> int:
    try:
        with open(path) as file:
            return sum(int(value) for name, value in (line.split() for line in file) if name == "oom_kill")
    except (OSError, ValueError):
        return 0
