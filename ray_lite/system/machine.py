"""What this machine gives to a process: CPUs, memory, GPUs, worker processes, huge pages; and the type of a file system.

Each answer names its source.  Only this file imports psutil, and only when first needed.  Neighbours: driver/plan.py asks what
a session takes, cli/doctor.py also what it could take; cgroups.py reads control groups.
"""

from __future__ import annotations

import os
import re
import resource
from typing import NamedTuple

from ray_lite.config import Config
from ray_lite.system import cgroups

SLURM_CPUS = ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE", "SLURM_JOB_CPUS_PER_NODE")  # the narrowest allotment first
HUGE_PAGES = "/sys/kernel/mm/hugepages"
TRANSPARENT = "/sys/kernel/mm/transparent_hugepage"
NUMA_NODES = "/sys/devices/system/node/online"
OVERCOMMIT = "/proc/sys/vm/overcommit_memory"
#: file systems on which sharing a mapped file is slow or wrong
NETWORK_FILE_SYSTEMS = frozenset(
    "nfs nfs4 lustre gpfs cifs smb3 smbfs 9p ceph beegfs afs glusterfs fuse.sshfs fuse.glusterfs pvfs2 orangefs".split()
)


GPUS = "/proc/driver/nvidia/gpus"
LOAD = "/proc/loadavg"
#: variables that show GPUs to programs: CUDA, ROCm (two), Intel
GPU_VARIABLES = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ZE_AFFINITY_MASK")
SLURM_GPUS = ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS")
SLURM_GPU_COUNTS = ("SLURM_GPUS_ON_NODE",)
FILES_EACH = 4  # descriptors that the node needs for each worker
OTHERS = 16  # processes and descriptors for all other purposes
OTHER_SLOTS = 3  # slots of the driver, of the node, and of a dead worker that is not swept yet


class Gpus(NamedTuple):
    """GPU ids as the environment variable `variable` names them, and the source that says so."""

    ids: tuple[str, ...]
    variable: str
    source: str


class Limit(NamedTuple):
    """An amount that this process may use, and the source that says so."""

    value: int
    source: str


def cpus() -> Limit:
    """CPUs: the least of the limits, but at least 1."""
    best = min(cpu_limits(), key=lambda limit: limit.value)
    return best._replace(value=max(1, best.value))


def cpu_limits() -> list[Limit]:
    """CPUs of the machine and of the affinity mask; where there are such, of the cgroup's quota and of Slurm's allotment."""
    import psutil

    found = [Limit(psutil.cpu_count() or 1, "the machine"), Limit(len(os.sched_getaffinity(0)), "the affinity mask")]
    quota = cgroups.cpus()
    if quota is not None:
        found.append(Limit(int(quota), "the cgroup's CPU quota"))
    return found + _first_of(SLURM_CPUS)


def job_cpus() -> int | None:
    """CPUs of this machine in the Slurm job, of which a task of the job may have fewer; None outside of Slurm."""
    return next((one.value for one in _first_of(SLURM_CPUS[1:])), None)


def memory() -> Limit:
    """Bytes of memory: the least of the limits."""
    return min(memory_limits(), key=lambda limit: limit.value)


def memory_limits() -> list[Limit]:
    """Bytes of the machine's memory; where there are such, the cgroup's limit and Slurm's allotment."""
    import psutil

    found = [Limit(int(psutil.virtual_memory().total), "the machine")]
    limit = cgroups.memory()
    if limit is not None:
        found.append(Limit(limit, "the cgroup's memory limit"))
    found += [Limit(one.value << 20, one.source) for one in _first_of(("SLURM_MEM_PER_NODE",))]
    each, cores = _first_of(("SLURM_MEM_PER_CPU",)), _first_of(SLURM_CPUS)
    if each and cores:
        found.append(Limit((each[0].value << 20) * cores[0].value, each[0].source))
    return [one for one in found if one.value > 0]


def gpus(claimed: int | None = None) -> Gpus:
    """GPUs that this process may use: those that a variable shows, else Slurm's, else the NVIDIA driver's.

    A GPU that a variable names twice counts once. No library of a GPU vendor is imported.

    Args:
        claimed: number of GPUs to take; any number where no variable shows GPUs. Default: all.

    Raises:
        ValueError: more GPUs are claimed than the variable shows.
    """
    for variable in GPU_VARIABLES:
        if variable in os.environ:
            ids = gpu_names(os.environ[variable])
            if claimed is not None and claimed > len(ids):
                raise ValueError(f"num_gpus={claimed}, but {variable}={os.environ[variable]!r} shows {len(ids)}")
            return Gpus(ids if claimed is None else ids[:claimed], variable, variable)
    if claimed is not None:
        return Gpus(tuple(map(str, range(claimed))), GPU_VARIABLES[0], "num_gpus")
    count, source = _gpus_of_slurm() or _gpus_of_the_driver()
    return Gpus(tuple(map(str, range(count))), GPU_VARIABLES[0], source)


def _gpus_of_slurm() -> Limit | None:
    """Number of this machine's GPUs in the Slurm job: from Slurm's list, else from its count, else None."""
    for variable in SLURM_GPUS:
        if number := _listed(os.environ.get(variable, "")):
            return Limit(number, variable)
    return next(iter(_first_of(SLURM_GPU_COUNTS)), None)


def _gpus_of_the_driver() -> Limit:
    try:
        count = len(os.listdir(GPUS))
    except OSError:
        count = 0
    return Limit(count, "the NVIDIA driver" if count else "the machine")


def gpu_names(text: str) -> tuple[str, ...]:
    """Names up to the first that means no GPU, as CUDA reads the variable; a name that occurs twice is one GPU."""
    found: dict[str, None] = {}
    for name in (part.strip() for part in text.split(",")):
        if name in ("", "-1", "NoDevFiles", "none", "void"):
            break
        found[name] = None
    return tuple(found)


def _listed(text: str) -> int:
    """Count of numbers in the kernel's and Slurm's "0,2-4"; "gpu:1,3" and "gpu:a100:2-3" begin with a type. 0: the text is not
    such a list, and says nothing about the number."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, dash, last = part.rpartition(":")[2].partition("-")
        if not first.isdecimal() or dash and not last.isdecimal():
            return 0
        found.update(range(int(first), int(last or first) + 1))
    return len(found)


def workers(config: Config, asked: int | None = None) -> Limit:
    """Most worker processes at once: the least of what was asked for and what the machine's limits leave, but at least 1."""
    most = Limit(config.max_workers, "RAY_LITE_MAX_WORKERS") if asked is None else Limit(asked, "max_workers")
    best = min(most, *_limits(config, most.value), key=lambda limit: limit.value)
    return best._replace(value=max(1, best.value))


def processes(config: Config) -> Limit:
    """Most processes of workers and actors at once: what the machine's limits leave, but at least 1."""
    best = min(_limits(config, config.slots), key=lambda limit: limit.value)
    return best._replace(value=max(1, best.value))


def _limits(config: Config, enough: int) -> list[Limit]:
    """The limits of a session's own processes, but for some that leave `enough`."""
    found = [Limit(config.slots - OTHER_SLOTS, f"RAY_LITE_SLOTS={config.slots}")]
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if files != resource.RLIM_INFINITY:
        found.append(Limit((files - OTHERS) // FILES_EACH, f"RLIMIT_NOFILE={files:,} (ulimit -Hn)"))
    return found + [Limit(left - OTHERS, source) for left, source in _processes_left(enough)]


def _processes_left(enough: int) -> list[Limit]:
    """Numbers of processes that limits leave, of each limit that may leave fewer than `enough`."""
    found = []
    left = cgroups.processes()
    if left is not None:
        found.append(Limit(left, "the cgroup's pids.max"))
    limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    if limit != resource.RLIM_INFINITY and os.geteuid() != 0 and limit - _threads_here() < enough + OTHERS:
        found.append(Limit(limit - _threads_of(os.getuid()), f"RLIMIT_NPROC={limit:,} (ulimit -u)"))
    return found


def _threads_here() -> int:
    """Threads of all users, an upper bound for one user; cheap, since the kernel counts them anyway."""
    try:
        with open(LOAD) as file:
            return int(file.read().split()[3].partition("/")[2])
    except (OSError, ValueError, IndexError):
        return 1 << 30


def _threads_of(user: int) -> int:
    """Threads of one user; RLIMIT_NPROC limits this number."""
    import psutil

    found = 0
    for process in psutil.process_iter():
        try:
            if process.uids().real == user:
                found += process.num_threads()
        except psutil.Error:
            continue  # the process has just ended
    return found


def why_no_process() -> str:
    """Text for an error that says which limits leave no process."""
    limits = _processes_left(1 << 30)
    return "; ".join(f"{limit.source} leaves {max(0, limit.value)}" for limit in limits) or "the machine has too many processes"


def _first_of(names: tuple[str, ...]) -> list[Limit]:
    """Limit from the first of these variables that has a number; Slurm's "24(x2),16" is 24 on this machine."""
    for name in names:
        number = re.match(r"\d+", os.environ.get(name, ""))
        if number:
            return [Limit(int(number[0]), name)]
    return []


def free_huge_pages(page: int) -> tuple[int, int]:
    """(free and not reserved, all) huge pages of `page` bytes; (0, 0) where the kernel has no pages of that size."""
    counts = []
    for name in ("free", "resv", "nr"):
        try:
            with open(f"{HUGE_PAGES}/hugepages-{page // 1024}kB/{name}_hugepages") as file:
                counts.append(int(file.read()))
        except FileNotFoundError:
            return 0, 0
    return counts[0] - counts[1], counts[2]


def huge_page_sizes() -> list[int]:
    """Bytes of the huge pages that can be reserved, the smallest first."""
    names = (re.fullmatch(r"hugepages-(\d+)kB", name) for name in os.listdir(HUGE_PAGES))
    return sorted(int(name[1]) * 1024 for name in names if name)


def huge_page_mounts() -> list[str]:
    """Directories on which a hugetlbfs is mounted."""
    import psutil

    return [mount.mountpoint for mount in psutil.disk_partitions(all=True) if mount.fstype == "hugetlbfs"]


def shared_huge_pages() -> str | None:
    """When the kernel takes transparent huge pages for shared memory, as it names that: "always", "never", ...

    None: it does not tell.  Since Linux 6.12 each size has a setting of its own, unless all are to be the same.
    """
    every = _chosen(f"{TRANSPARENT}/shmem_enabled")
    own = _chosen(f"{TRANSPARENT}/hugepages-{_number(f'{TRANSPARENT}/hpage_pmd_size') // 1024}kB/shmem_enabled")
    return every if own in (None, "inherit") or every in ("deny", "force") else own


def overcommit() -> int | None:
    """The kernel's rule for promised memory; 2: it promises no more than there is. None: it does not tell."""
    found = _number(OVERCOMMIT)
    return None if found < 0 else found


def numa_nodes() -> int | None:
    """Number of the machine's NUMA nodes, or None where the kernel does not tell."""
    return _listed(_text(NUMA_NODES)) or None


def _text(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def _number(path: str) -> int:
    """The number in a file; -1: there is none."""
    text = _text(path)
    return int(text) if text.isdecimal() else -1


def _chosen(path: str) -> str | None:
    """The word that a file of the kernel has in brackets."""
    found = re.search(r"\[(\w+)\]", _text(path))
    return found[1] if found else None


def file_system(path: str) -> str:
    """Type of the file system that holds a path, such as "tmpfs", or "" when it is unknown."""
    import psutil

    path = os.path.realpath(path)
    best, kind = "", ""
    for mount in psutil.disk_partitions(all=True):
        point = mount.mountpoint.rstrip("/") + "/"
        if (path + "/").startswith(point) and len(point) >= len(best):
            best, kind = point, mount.fstype
    return kind
