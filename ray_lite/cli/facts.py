"""Facts: what `ray-lite doctor` finds, as records whose fields are the keys of its JSON.

None stands for what is unknown, or for a limit that there is not.  Neighbours: doctor.py finds them, advice.py judges them,
findings.py makes their text.  Must not read anything.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ray_lite.system.machine import Gpus, Limit


class Cpus(NamedTuple):
    """CPUs of a session."""

    value: float | None  #: that `init` takes
    source: str  #: by which that was decided
    limits: list[Limit]  #: those of which the least counts
    job: int | None  #: of this machine in the Slurm job
    numa_nodes: int | None


class Memory(NamedTuple):
    """Memory that this process may use, in bytes."""

    value: int | None
    source: str
    limits: list[Limit]


class Store(NamedTuple):
    """The object store that `init` makes."""

    bytes: int
    source: str
    page_bytes: int


class Pages(NamedTuple):
    """Reserved huge pages of one size."""

    bytes: int  #: of one page
    free: int
    total: int


class Mount(NamedTuple):
    """A hugetlbfs on which this user can have files."""

    path: str
    page_bytes: int
    free: int  #: pages that a store can have there


class HugePages(NamedTuple):
    """Huge pages, and how a session comes by them."""

    page_bytes: int  #: that `init(huge_pages=True)` takes
    reserved: list[Pages] | None
    mounts: list[Mount] | None
    shared_memory: str | None  #: when the kernel takes transparent ones for shared memory: "never", "always", ...


class Limits(NamedTuple):
    """Limits of processes and memory, and what follows from them."""

    open_files: int | None
    open_files_hard: int | None  #: the node raises its own limit to this
    user_processes: int | None
    user_processes_hard: int | None
    cgroup_processes: int | None  #: that are left
    overcommit: int | None  #: vm.overcommit_memory
    workers: Limit | None  #: most workers at once
    processes: Limit | None  #: most processes of workers and actors together


class Feature(NamedTuple):
    """Something that ray_lite uses where it is there."""

    name: str
    works: bool | None
    without: str  #: what happens instead
    is_needed: bool = False  #: whether `init()` fails without it


class Server(NamedTuple):
    """A binary for the control store."""

    path: str
    version: str
    problem: str  #: why it can't be used, or ""


class Directory(NamedTuple):
    """Where a session has its directory."""

    path: str
    source: str


class Facts(NamedTuple):
    """What this machine offers, and what `init()` takes of it."""

    version: str
    python: str
    kernel: str
    root: bool  #: whether this user may change the machine's settings
    problems: list[str]  #: with which `init()` fails
    settings: dict[str, str]  #: RAY_LITE_* in the environment
    cpus: Cpus
    memory: Memory
    store: Store | None
    huge_pages: HugePages
    limits: Limits
    features: list[Feature]
    control_store: list[Server] | None  #: in the order in which they are tried
    gpus: Gpus | None
    directory: Directory | None


def plain(value: Any) -> Any:
    """A record as JSON has it."""
    if hasattr(value, "_asdict"):
        return {name: plain(one) for name, one in value._asdict().items()}
    return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value
