"""Ids of 20 bytes for what is no object of the core: drivers, worker processes, and the clients of Ray of 2018.

Each process of a session computes the same ones.  Neighbours: the backends, session_tables.py and names_2018.py show them.
"""

from __future__ import annotations

from ray_lite import _core
from ray_lite.system.process import started_at


def driver_id(session_id: int, job_key: int) -> bytes:
    """The id of a job's driver."""
    return _core.digest_id(f"driver\0{session_id}\0{job_key}".encode())


def process_id(session_id: int, pid: int, started: int | None = None) -> bytes:
    """The id of a live process in a session. `started`: its start time, if that is known."""
    return _core.digest_id(f"process\0{session_id}\0{pid}\0{started_at(pid) if started is None else started}".encode())


def client_id(session_id: int, kind: str) -> bytes:
    """The id of a client of this kind, of which a session on one machine has one."""
    return _core.digest_id(f"client\0{session_id}\0{kind}".encode())
