"""The memory report: what a session's memory is used for, in the store and in each process.

Neighbours: listing.py (the objects).  Reads /proc, nothing else.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ray_lite.store.listing import ROLES, Row
from ray_lite.store.object_store import Store


class Process(NamedTuple):
    """A process of the session; bytes, None where the kernel doesn't tell."""

    pid: int
    kind: str  #: driver, node or worker
    private: int | None  #: pages that no other process has
    shared: int | None  #: pages that others have too, the store's among them


class Memory(NamedTuple):
    """What `ray_lite.memory()` gives; `print` it."""

    bytes_used: int  #: of the store, by the program's objects and arguments
    bytes_kept: int  #: by functions and what else the session keeps until it ends
    bytes_committed: int  #: memory that the store's file has now
    bytes_spilled: int  #: of objects whose bytes are on disk
    arena_bytes: int  #: object_store_memory
    page_bytes: int  #: of a page of the store
    objects: int  #: alive
    largest: list[Row]  #: largest first
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


def measure(store: Store, statistics: Any, most: int) -> Memory:
    """What the session of a store uses now, by its statistics; the `most` largest objects."""
    numbers = {name: getattr(statistics, name) for name in Memory._fields if hasattr(statistics, name)}
    processes = [Process(pid, ROLES[role], *_pages(pid)) for pid, role in store.region.processes()]
    return Memory(**numbers, largest=store.listing.largest(0, most), processes=processes)


def _pages(pid: int) -> tuple[int | None, int | None]:
    """(private, shared) bytes of a process."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            fields = (line.partition(":") for line in file if line.endswith("kB\n"))
            kib = {name: int(rest.split()[0]) for name, _, rest in fields}
    except OSError:  # gone, another user's, or a kernel without it
        return None, None
    private = kib["Private_Clean"] + kib["Private_Dirty"]
    return private * 1024, (kib["Rss"] - private) * 1024


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"
