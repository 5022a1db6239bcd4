"""Processes by pid and start time, which together identify one process for good; and the namespaces of this process.

Must not read anything but /proc.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import NamedTuple


def started_at(pid: int) -> int:
    """Start time of a process in clock ticks since boot."""
    return int(_facts(pid)[19])


def parent_of(pid: int) -> int:
    """Pid of a process's parent."""
    return int(_facts(pid)[1])


def _facts(pid: int) -> list[bytes]:
    """The fields of /proc/<pid>/stat, from the state on."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()


def owner_of(pid: int) -> int:
    """The user of a process; -1: it has ended."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return -1


def command_line(pid: int) -> list[str]:
    """The arguments of a process without its interpreter; []: it has ended."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return [os.fsdecode(one) for one in file.read().rstrip(b"\0").split(b"\0")][1:]
    except OSError:
        return []


def kill_family(pid: int, started: int) -> int:
    """Kills a process and the group that it leads, unless the pid belongs to a process that started later; its pidfd, or -1: it
    has ended. Nothing happens to another user's process."""
    with contextlib.suppress(OSError):
        pidfd = os.pidfd_open(pid)
        with contextlib.suppress(OSError):
            if started_at(pid) == started:  # checked after the opening: the pidfd is that process's
                with contextlib.suppress(OSError):
                    os.killpg(pid, signal.SIGKILL)
                with contextlib.suppress(PermissionError):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                return pidfd
        os.close(pidfd)
    return -1


class Namespaces(NamedTuple):
    """The namespaces that a session does not cross, each by its inode; 0: this kernel has none of that kind."""

    pid: int
    user: int
    time: int


def namespaces() -> Namespaces:
    """The namespaces of this process."""
    return Namespaces(*(_namespace(kind) for kind in Namespaces._fields))


def _namespace(kind: str) -> int:
    try:
        return os.stat(f"/proc/self/ns/{kind}").st_ino
    except FileNotFoundError:
        return 0
