"""Processes by pid and start time, which together identify one process for good; and the pid namespace.

Must not read anything but /proc.
"""

from __future__ import annotations

import os


def started_at(pid: int) -> int:
    """Start time of a process in clock ticks since boot."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])


def pid_namespace() -> int:
    """Inode of this process's pid namespace."""
    return os.stat("/proc/self/ns/pid").st_ino
