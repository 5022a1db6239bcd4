"""LocalView: what a session holds and uses, as one of its processes sees it.  See abc.SessionView for the contracts."""

from __future__ import annotations

from typing import NamedTuple

from ray_lite import _core
from ray_lite.policy.resources import Resources
from ray_lite.store.listing import Row
from ray_lite.store.memory_report import Memory, measure
from ray_lite.store.object_store import Store


class Statistics(NamedTuple):
    """Counts of a session, in bytes where the name says so.

    `objects` and `bytes_used` count the program's objects; `kept` and `bytes_kept` count the objects that the session keeps
    until it ends: functions, options, call sites, runtime environments.
    """

    objects: int
    kept: int
    tasks: int
    workers: int
    bytes_used: int
    bytes_kept: int
    bytes_committed: int
    bytes_spilled: int
    region_bytes: int
    arena_bytes: int
    page_bytes: int
    ready: int
    idle: int
    cpus: float
    cpus_free: float
    recoveries: int
    longest_section: int


class LocalView:
    """The view of a session on this machine."""

    def __init__(self, store: Store, resources: Resources) -> None:
        self._store, self._region, self._resources = store, store.region, resources

    def check(self) -> None:
        self._region.check()

    def statistics(self) -> Statistics:
        facts = self._region.statistics()
        facts["objects"] -= facts["kept"]
        facts["bytes_used"] -= facts["bytes_kept"]
        known = {name: facts[name] for name in Statistics._fields if name in facts}
        return Statistics(workers=len(self.worker_pids()), **known)

    def amounts(self) -> dict[str, tuple[float, float]]:
        return self._resources.named(_core.resource_amounts(self._region))

    def objects(self) -> list[Row]:
        return self._store.listing.largest()

    def memory(self, most: int) -> Memory:
        return measure(self._store, self.statistics(), most)

    def worker_pids(self) -> list[int]:
        return [pid for pid, role in self._region.processes() if role == _core.WORKER]
