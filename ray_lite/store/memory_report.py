"""The memory report: what a session's memory is used for, in the store and in each process.

Neighbours: listing.py lists the objects; backends/session_view.py and node/answers.py ask.  Reads /proc, no other files.
"""

from __future__ import annotations

from typing import NamedTuple

from ray_lite import _core
from ray_lite.store.listing import ROLES, Listing, Row
from ray_lite.store.session_statistics import statistics


class Process(NamedTuple):
    """Memory of a process of the session, in bytes; None where the kernel does not tell."""

    pid: int
    kind: str  #: driver, node or worker
    private: int | None  #: in pages that no other process has
    shared: int | None  #: in pages that other processes have too, such as the store's


class Memory(NamedTuple):
    """The report of `ray_lite.memory()`, to be printed."""

    bytes_used: int  #: bytes of the store in use by the program's objects and arguments
    bytes_kept: int  #: bytes in use by functions and other objects that the session keeps until it ends
    bytes_committed: int  #: bytes of memory that the store has now
    bytes_spilled: int  #: bytes of objects in the spill file
    arena_bytes: int  #: object_store_memory
    page_bytes: int  #: bytes of a page of the store
    objects: int  #: number of objects alive
    largest: list[Row]  #: rows of the largest objects, the largest first
    processes: list[Process]

    def __str__(self) -> str:
        lines = [
            f"object store: {self.bytes_used:,} bytes used, {self.bytes_committed:,} committed of {self.arena_bytes:,}, "
            f"on pages of {self.page_bytes:,}, {self.bytes_spilled:,} spilled; {self.objects:,} objects", "",
            f"{'bytes':>15}  {'state':8} {'pins':>5}  {'holders':24} created at",
        ]
        lines += [f"{row.bytes:>15,}  {row.state:8} {row.pins:>5}  {row.holders_text():24} {row.call_site or row.id.hex()}"
                  for row in self.largest]
        lines += ["", f"{'process':>10}  {'kind':8} {'private':>15} {'shared':>15}"]
        lines += [f"{one.pid:>10}  {one.kind:8} {_number(one.private):>15} {_number(one.shared):>15}" for one in self.processes]
        return "\n".join(lines)


def measure(region: _core.Region, most: int) -> Memory:
    """Makes the report of a session as it is now; `most`: number of objects to list."""
    numbers = {name: number for name, number in statistics(region)._asdict().items() if name in Memory._fields}
    processes = [Process(pid, ROLES[role], *_pages(pid)) for pid, role in region.processes()]
    return Memory(**numbers, largest=Listing(region).largest(0, most), processes=processes)


def private_bytes(pid: int) -> int | None:
    """Bytes of a process's memory in pages that no other process has; None where the kernel does not tell."""
    return _pages(pid)[0]


def _pages(pid: int) -> tuple[int | None, int | None]:
    """(private, shared) bytes of a process's memory."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            fields = (line.partition(":") for line in file if line.endswith("kB\n"))
            kib = {name: int(rest.split()[0]) for name, _, rest in fields}
    except OSError:  # the process is gone or another user's, or the kernel has no such file
        return None, None
    private = kib["Private_Clean"] + kib["Private_Dirty"]
    return private * 1024, (kib["Rss"] - private) * 1024


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"
