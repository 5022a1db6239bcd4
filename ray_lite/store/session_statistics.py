"""Statistics: counts of what a session holds and uses.

Neighbours: backends/session_view.py and node/answers.py show them; memory_report.py has the processes' memory, too.
"""

from typing import NamedTuple

from ray_lite import _core


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


def statistics(region: _core.Region) -> Statistics:
    """The counts as they are now. Racy: each was true at some moment."""
    facts = region.statistics()
    facts["objects"] -= facts["kept"]
    facts["bytes_used"] -= facts["bytes_kept"]
    known = {name: facts[name] for name in Statistics._fields if name in facts}
    return Statistics(workers=sum(role == _core.WORKER for _, role in region.processes()), **known)
