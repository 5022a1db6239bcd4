"""The files of a region: where the arena is, on which pages, and how large everything is.

    plasma_directory     huge_pages   the arena
    none                 False        anonymous memory (memfd)
    none                 True         anonymous huge pages, of Config.huge_page bytes
    a directory          False        an unnamed file there; on a hugetlbfs it has that mount's pages
    one on a hugetlbfs   True         the same

No file has a name, so nothing can be left behind and nobody else can open one.  Huge pages are reserved by the kernel when
the arena is mapped: too few are an error then, and never a SIGBUS later.  Neighbours: driver/launch.py makes the files; the
core lays the region out in them.
"""

from __future__ import annotations

import errno
import fcntl
import os
from typing import Any, NamedTuple

from ray_lite import _core
from ray_lite.config import CPU_UNIT, Config
from ray_lite.policy.resources import Resources
from ray_lite.system.machine import NETWORK_FILE_SYSTEMS, file_system, free_huge_pages
from ray_lite.system.process import pid_namespace

NO_EXECUTE = 8  # MFD_NOEXEC_SEAL, Linux 6.3
SMALL_PAGE = os.sysconf("SC_PAGESIZE")


class Files(NamedTuple):
    """Descriptors of a region; all close-on-exec."""

    control: int
    arena: int
    bell: int
    spill: int  #: -1: none

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
    session_id: int
    pid_namespace: int


class ArenaBacking(NamedTuple):
    """Where the arena's memory comes from: the directory of its file, or None for anonymous memory, and the bytes of a page."""

    directory: str | None
    page: int

    @property
    def huge(self) -> bool:
        """Whether its pages are huge ones, which have to be reserved."""
        return self.page > SMALL_PAGE

    def check_enough(self, arena_bytes: int) -> None:
        """Raises OSError when there are too few huge pages for an arena of this size."""
        if self.huge and arena_bytes // self.page > self.free():
            raise self.too_few(arena_bytes)

    def free(self) -> int:
        """Huge pages that an arena here can have."""
        free = free_huge_pages(self.page)[0]
        if self.directory is not None:
            mount = os.statvfs(self.directory)
            if mount.f_blocks:  # it was mounted with a limit
                return min(free, mount.f_bavail)
        return free

    def too_few(self, arena_bytes: int) -> OSError:
        """What to say then."""
        needed, (free, total) = arena_bytes // self.page, free_huge_pages(self.page)
        file = f"/sys/kernel/mm/hugepages/hugepages-{self.page // 1024}kB/nr_hugepages"
        limit = f" (and the mount of {self.directory} may have a smaller limit)" if self.directory else ""
        return OSError(errno.ENOMEM, (
            f"too few huge pages: object_store_memory={arena_bytes:,} needs {needed:,} of {self.page:,} bytes, "
            f"and {free:,} are free{limit}. An administrator makes more by: echo {total + max(0, needed - free)} > {file}"))


def plan_sizes(
    config: Config, backing: ArenaBacking, arena_bytes: int, resources: Resources, spills: bool = False
) -> Sizes:
    """Sizes of a new region. The arena grows by whole steps, so it has whole steps."""
    control = _core.control_bytes(config.objects, config.slots, config.buckets, len(resources.custom))
    step = max(config.commit_step, backing.page)
    arena_bytes = max(1, arena_bytes // step) * step
    reserve = min(config.reserve, arena_bytes // 16) // backing.page * backing.page
    return Sizes(control, arena_bytes, config.objects, config.slots, config.buckets,
                 config.commit_step, backing.page, reserve,
                 config.spill_least if spills else 0, int(config.room_precedence * 1e9), config.trim,
                 round(resources.cpus * CPU_UNIT), len(resources.gpu_ids), resources.units, int(config.aging * 1e9),
                 int.from_bytes(os.urandom(8), 'little') >> 1, pid_namespace())


def _writable(name: str, directory: Any) -> str:
    """The path of a directory that this process may write to."""
    if not isinstance(directory, (str, os.PathLike)):
        raise TypeError(f"{name} must be a path, got {directory!r}")
    path: str = os.fspath(directory)
    if not os.path.isdir(path):
        raise ValueError(f"{name}={path!r} is not a directory")
    if not os.access(path, os.W_OK | os.X_OK):
        raise ValueError(f"{name}={path!r} is not writable")
    return path


def arena_backing(directory: Any, huge_pages: bool, config: Config) -> ArenaBacking:
    """Where the arena of a session gets its memory.

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
    """The directory of a session's spill file.

    Raises:
        TypeError, ValueError: not a writable directory on a file system for files.
    """
    if directory is None:
        return None
    path = _writable("spill_directory", directory)
    if file_system(path) == "hugetlbfs":
        raise ValueError(f"spill_directory={path!r} is on hugetlbfs, which is memory; take one on a disk")
    return os.path.realpath(path)


def make_files(sizes: Sizes, directory: str | None, spill_directory: str | None = None) -> Files:
    """The files of a new region, unnamed; those that are mapped are of the right length, sealed against resizing."""
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
    """The file, now so long; or it is closed."""
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

    with tempfile.TemporaryFile(dir=directory, prefix="ray_lite_") as file:  # O_TMPFILE, else unlinked at once
        return os.dup(file.fileno())
