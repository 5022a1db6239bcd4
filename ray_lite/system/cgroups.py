"""Control groups of a process, versions 1 and 2: their directories, and the CPUs, memory and processes that they allow.

A limit holds for a whole subtree, so the least limit from a process's own group up to the root counts.  Neighbours: machine.py
asks for limits, node/postmortem.py for the files of counters.  Must not read anything but /proc and /sys/fs/cgroup.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

PROC = "/proc"
ROOT = "/sys/fs/cgroup"
NO_LIMIT = 1 << 62  # bytes: version 1 has a number of about 2**63 where there is none


def own(pid: int | str, controller: str) -> Iterator[tuple[int, str]]:
    """Yields (version, directory) of each group in which a controller ("cpu", "memory", "pids") limits a process."""
    try:
        with open(f"{PROC}/{pid}/cgroup") as file:
            lines = [line.rstrip("\n").removesuffix(" (deleted)").split(":", 2) for line in file]
    except OSError:
        return
    for _, controllers, path in lines:
        if controller in controllers.split(","):
            yield from _existing(1, [os.path.join(ROOT, controller), os.path.join(ROOT, controllers)], path)
        elif not controllers:
            yield from _existing(2, [ROOT, os.path.join(ROOT, "unified")], path)


def _existing(version: int, mounts: list[str], path: str) -> Iterator[tuple[int, str]]:
    for mount in dict.fromkeys(mounts):
        directory = os.path.join(mount, path.lstrip("/")).rstrip("/")
        if os.path.isdir(directory):
            yield version, directory
        elif os.path.isdir(mount) and version == 1:  # in a container the mount itself may be the process's group
            yield version, mount


def _upwards(pid: int | str, controller: str) -> Iterator[tuple[int, str]]:
    """Yields (version, directory) of a process's groups and of all groups above them."""
    for version, directory in own(pid, controller):
        while directory.startswith(ROOT + "/") or directory == ROOT:
            yield version, directory
            directory = os.path.dirname(directory)


def cpus(pid: int | str = "self") -> float | None:
    """CPUs that the smallest quota of a process's groups allows, or None without a quota."""
    found = []
    for version, directory in _upwards(pid, "cpu"):
        if version == 2:
            quota, _, period = _read(directory, "cpu.max").partition(" ")
        else:
            quota, period = _read(directory, "cpu.cfs_quota_us"), _read(directory, "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):
            found.append(int(quota) / int(period))
    return min(found, default=None)


def memory(pid: int | str = "self") -> int | None:
    """Bytes of memory that a process's groups allow, or None without a limit."""
    found = []
    for version, directory in _upwards(pid, "memory"):
        text = _read(directory, "memory.max" if version == 2 else "memory.limit_in_bytes")
        if text.isdigit() and int(text) < NO_LIMIT:
            found.append(int(text))
    return min(found, default=None)


def processes(pid: int | str = "self") -> int | None:
    """Number of further processes and threads that a process's groups allow, or None without a limit."""
    found = []
    for _, directory in _upwards(pid, "pids"):
        most, now = _read(directory, "pids.max"), _read(directory, "pids.current")
        if most.isdigit() and now.isdigit():
            found.append(int(most) - int(now))
    return min(found, default=None)


def _read(directory: str, name: str) -> str:
    try:
        with open(os.path.join(directory, name)) as file:
            return file.read().strip()
    except OSError:
        return ""
