"""Processes by pid and start time, which together identify one process for good; and the pid namespace.

Must not read anything but /proc.
"""

from __future__ import annotations

import os


def started_at(pid: int) -> int:
    """Start time of a process in clock ticks since boot."""
    return int(_stat(pid)[19])


def is_alive(pid: int, started: int) -> bool:
    """Whether the process with this pid and start time still runs; a zombie does not run."""
    try:
        fields = _stat(pid)
    except OSError:
        return False
    return fields[0] != b"Z" and int(fields[19]) == started


def _stat(pid: int) -> list[bytes]:
    """Fields of /proc/<pid>/stat after the name: state, parent, ..."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()


def pid_namespace() -> int:
    """Inode of this process's pid namespace."""
    return os.stat("/proc/self/ns/pid").st_ino
