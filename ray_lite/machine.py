"""What this machine gives: CPUs, memory, the kind of a file system. Only this file imports psutil, when first asked."""

from __future__ import annotations

import os

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
