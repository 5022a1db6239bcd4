"""What this machine gives: CPUs, memory, the kind of a file system. Only this file imports psutil, when first asked."""

from __future__ import annotations

import os

HUGE_PAGES = "/sys/kernel/mm/hugepages"
#: mmap sharing on these is slow or wrong
NETWORK_FILE_SYSTEMS = frozenset(
    "nfs nfs4 lustre gpfs cifs smb3 smbfs 9p ceph beegfs afs glusterfs fuse.sshfs fuse.glusterfs pvfs2 orangefs".split()
)


def cpus() -> int:
    """CPUs that this process may use: the lesser of psutil's count and the affinity mask; at least 1."""
    import psutil

    return max(1, min(psutil.cpu_count() or 1, len(os.sched_getaffinity(0))))


def memory() -> int:
    """Bytes of memory of this machine."""
    import psutil

    return int(psutil.virtual_memory().total)


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
