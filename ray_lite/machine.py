"""What this machine gives: CPUs, memory, the kind of a file system. Only this file imports psutil, when first asked."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from ray_lite import cgroups

SLURM_CPUS = ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE", "SLURM_JOB_CPUS_PER_NODE")  # the narrowest first
HUGE_PAGES = "/sys/kernel/mm/hugepages"
#: mmap sharing on these is slow or wrong
NETWORK_FILE_SYSTEMS = frozenset(
    "nfs nfs4 lustre gpfs cifs smb3 smbfs 9p ceph beegfs afs glusterfs fuse.sshfs fuse.glusterfs pvfs2 orangefs".split()
)


class Limit(NamedTuple):
    """How much of something this process may use, and what says so."""

    value: int
    source: str


def cpus() -> Limit:
    """CPUs: the least of the machine's, the affinity mask, the cgroup's quota and Slurm's allotment; at least 1."""
    import psutil

    found = [Limit(psutil.cpu_count() or 1, "the machine"), Limit(len(os.sched_getaffinity(0)), "the affinity mask")]
    quota = cgroups.cpus()
    if quota is not None:
        found.append(Limit(int(quota), "the cgroup's CPU quota"))
    found += _first_of(SLURM_CPUS)
    best = min(found, key=lambda limit: limit.value)
    return best._replace(value=max(1, best.value))


def memory() -> Limit:
    """Bytes of memory: the least of the machine's, the cgroup's limit and Slurm's allotment."""
    import psutil

    found = [Limit(int(psutil.virtual_memory().total), "the machine")]
    limit = cgroups.memory()
    if limit is not None:
        found.append(Limit(limit, "the cgroup's memory limit"))
    found += [Limit(one.value << 20, one.source) for one in _first_of(("SLURM_MEM_PER_NODE",))]
    each, cores = _first_of(("SLURM_MEM_PER_CPU",)), _first_of(SLURM_CPUS)
    if each and cores:
        found.append(Limit((each[0].value << 20) * cores[0].value, each[0].source))
    return min((one for one in found if one.value > 0), key=lambda limit: limit.value)


def _first_of(names: tuple[str, ...]) -> list[Limit]:
    """What the first of these variables that is set says; "24(x2),16" is 24 on this node."""
    for name in names:
        number = re.match(r"\d+", os.environ.get(name, ""))
        if number:
            return [Limit(int(number[0]), name)]
    return []


def free_huge_pages(page: int) -> tuple[int, int]:
    """(free and not promised to anybody, all) huge pages of `page` bytes; (0, 0) where the kernel has none of that size."""
    counts = []
    for name in ("free", "resv", "nr"):
        try:
            with open(f"{HUGE_PAGES}/hugepages-{page // 1024}kB/{name}_hugepages") as file:
                counts.append(int(file.read()))
        except FileNotFoundError:
            return 0, 0
    return counts[0] - counts[1], counts[2]


def file_system(path: str) -> str:
    """Type of the file system that holds a path, such as "tmpfs", or "" when it can't be told."""
    import psutil

    path = os.path.realpath(path)
    best, kind = "", ""
    for mount in psutil.disk_partitions(all=True):
        point = mount.mountpoint.rstrip("/") + "/"
        if (path + "/").startswith(point) and len(point) >= len(best):
            best, kind = point, mount.fstype
    return kind
