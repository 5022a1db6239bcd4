"""The files of a region: where the arena is, its pages, and the sizes of all parts.

    plasma_directory     huge_pages   the arena
    none                 False        anonymous memory (memfd)
    none                 True         anonymous huge pages, of Config.huge_page bytes
    a directory          False        an unnamed file there; on a hugetlbfs it has the pages of that mount
    one on a hugetlbfs   True         an unnamed file there, with the pages of that mount

No file has a name, so none can be left behind, and no other process can open one.  The kernel reserves huge pages when the
arena is mapped: too few are an error then, and never a SIGBUS later.  Neighbours: driver/begin.py makes the files; the core
lays out the region in them.
"""

import errno
import fcntl
import os
from typing import Any, NamedTuple

from ray_lite import _core
from ray_lite.config import CPU_UNIT, Config
from ray_lite.policy.resources import Resources
from ray_lite.system.machine import NETWORK_FILE_SYSTEMS, file_system, free_huge_pages
from ray_lite.system.process import Namespaces, namespaces

NO_EXECUTE = 8  # MFD_NOEXEC_SEAL, Linux 6.3
SMALL_PAGE = os.sysconf("SC_PAGESIZE")


class Files(NamedTuple):
    """Descriptors of a region's files, all close-on-exec."""

    control: int
    arena: int
    bell: int
    spill: int  #: the spill file, or -1
    host_bell: int = -1  #: of an attached job the host's doorbell; `bell` is that of its own node
    log: int = -1  #: of a job of a shared session: where what its processes write is kept

    def close(self) -> None:
        for fd in self:
            if fd >= 0:
                os.close(fd)


class Sizes(NamedTuple):
    """Sizes and limits of a new region, as `_core.Region.create` takes them."""

    control_bytes: int
    arena_bytes: int
    objects: int
    slots: int
    buckets: int
    commit_bytes: int
    page_bytes: int
    reserve_bytes: int
    spill_least: int
    room_precedence: int
    trim_bytes: int
    cpus: int
    gpus: int
    resources: list[int]
    aging: int
    job_turn: int
    trace_records: int
    tracing: bool
    session_id: int
    namespaces: Namespaces


class ArenaBacking(NamedTuple):
    """The source of the arena's memory: the directory of its file, or None for anonymous memory, and the bytes of a page."""

    directory: str | None
    page: int

    @property
    def huge(self) -> bool:
        """Whether the pages are huge ones, which the kernel reserves."""
        return self.page > SMALL_PAGE

    def check_enough(self, arena_bytes: int) -> None:
        """Raises OSError if there are too few huge pages for an arena of this size."""
        if self.huge and arena_bytes // self.page > self.free():
            raise self.too_few(arena_bytes)

    def free(self) -> int:
        """Number of huge pages that an arena from this source can have."""
        free = free_huge_pages(self.page)[0]
        if self.directory is not None:
            mount = os.statvfs(self.directory)
            if mount.f_blocks:  # the mount has a limit
                return min(free, mount.f_bavail)
        return free

    def too_few(self, arena_bytes: int) -> OSError:
        """Makes the error for an arena of this size that has too few huge pages."""
        needed, (free, total) = arena_bytes // self.page, free_huge_pages(self.page)
        file = f"/sys/kernel/mm/hugepages/hugepages-{self.page // 1024}kB/nr_hugepages"
        limit = f" (and the mount of {self.directory} may have a smaller limit)" if self.directory else ""
        return OSError(errno.ENOMEM, (
            f"too few huge pages: an object store of {arena_bytes:,} bytes needs {needed:,} of {self.page:,} bytes, "
            f"and {free:,} are free{limit}. An administrator makes more by: echo {total + max(0, needed - free)} > {file}"))


def plan_sizes(
    config: Config, backing: ArenaBacking, arena_bytes: int, resources: Resources, spills: bool = False
) -> Sizes:
    """Sizes of a new region; `arena_bytes` is rounded up to whole pages, and to the least store that works."""
    control = _core.control_bytes(config.objects, config.slots, config.buckets, len(resources.custom), config.trace_records)
    arena_bytes = -(-max(arena_bytes, config.store_least) // backing.page) * backing.page
    reserve = min(config.reserve, arena_bytes // 16) // backing.page * backing.page
    return Sizes(control, arena_bytes, config.objects, config.slots, config.buckets,
                 config.commit_step, backing.page, reserve,
                 config.spill_least if spills else 0, int(config.room_precedence * 1e9), config.trim,
                 round(resources.cpus * CPU_UNIT), len(resources.gpu_ids), resources.units,
                 int(config.aging * 1e9), int(config.job_turn * 1e9), config.trace_records, config.trace,
                 int.from_bytes(os.urandom(8), 'little') >> 1, namespaces())


def _writable(name: str, directory: Any) -> str:
    """Checks a directory that this process must be able to write to; its path. Raises TypeError or ValueError."""
    if not isinstance(directory, (str, os.PathLike)):
        raise TypeError(f"{name} must be a path, got {directory!r}")
    path: str = os.fspath(directory)
    if not os.path.isdir(path):
        raise ValueError(f"{name}={path!r} is not a directory")
    if not os.access(path, os.W_OK | os.X_OK):
        raise ValueError(f"{name}={path!r} is not writable")
    return path


def arena_backing(directory: Any, huge_pages: bool, config: Config) -> ArenaBacking:
    """The source of memory for a session's arena.

    Raises:
        TypeError, ValueError: not a writable directory on a local file system, or not one with huge pages.
    """
    if directory is None:
        return ArenaBacking(None, config.huge_page if huge_pages else SMALL_PAGE)
    path = _writable("plasma_directory", directory)
    system = file_system(path)
    if system in NETWORK_FILE_SYSTEMS:
        raise ValueError(f"plasma_directory={path!r} is on {system}, where sharing memory is slow or wrong; "
                         "take a directory on tmpfs or a local disk")
    if system != "hugetlbfs" and huge_pages:
        raise ValueError(f"plasma_directory={path!r} is on {system}, which has no huge pages: with huge_pages=True give a "
                         "directory on a hugetlbfs, or none at all for anonymous huge pages")
    page = os.statvfs(path).f_bsize if system == "hugetlbfs" else SMALL_PAGE
    return ArenaBacking(os.path.realpath(path), page)


def spill_path(directory: Any) -> str | None:
    """The path of the directory for a session's spill file, or None.

    Raises:
        TypeError, ValueError: not a writable directory, or one on a hugetlbfs.
    """
    if directory is None:
        return None
    path = _writable("spill_directory", directory)
    if file_system(path) == "hugetlbfs":
        raise ValueError(f"spill_directory={path!r} is on hugetlbfs, which is memory; take one on a disk")
    return os.path.realpath(path)


def make_files(sizes: Sizes, directory: str | None, spill_directory: str | None = None) -> Files:
    """Makes the unnamed files of a new region; mapped files get their length, and memfds are sealed against resizing."""
    control = _sized(_memfd("ray_lite_control", 0), sizes.control_bytes)
    try:
        if directory is None:
            huge = sizes.page_bytes > SMALL_PAGE
            arena = _memfd("ray_lite_arena", _huge_flags(sizes.page_bytes) if huge else 0)
        else:
            arena = _unnamed(directory)
        _sized(arena, sizes.arena_bytes)
    except BaseException:
        os.close(control)
        raise
    for fd in (control, arena) if directory is None else (control,):
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    try:
        spill = -1 if spill_directory is None else _unnamed(spill_directory)
    except BaseException:
        os.close(control)
        os.close(arena)
        raise
    return Files(control, arena, os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK), spill)


def _sized(fd: int, length: int) -> int:
    """Gives a file its length in bytes and returns it; closes it on an error."""
    try:
        os.ftruncate(fd, length)
    except OSError as error:
        os.close(fd)
        if error.errno == errno.EFBIG:
            raise OSError(errno.EFBIG, f"a file of {length:,} bytes is more than RLIMIT_FSIZE (`ulimit -f`) or the file system "
                                       "allows") from None
        raise
    return fd


def _memfd(name: str, flags: int) -> int:
    flags |= os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create(name, flags | NO_EXECUTE)
    except OSError:
        return os.memfd_create(name, flags)  # a kernel before 6.3


def _huge_flags(page: int) -> int:
    return os.MFD_HUGETLB | (page.bit_length() - 1) << os.MFD_HUGE_SHIFT


def _unnamed(directory: str) -> int:
    import tempfile

    with tempfile.TemporaryFile(dir=directory, prefix="ray_lite_") as file:  # made with O_TMPFILE, or unlinked at once
        return os.dup(file.fileno())
