"""memory_report.py: memory() as numbers and as a text."""

import os

import numpy as np
import pytest


def test_numbers(ray_session, worker_pids):
    ray = ray_session
    held = [ray.put(np.ones(n, "u1")) for n in (5_000_000, 10, 3_000_000)]
    ray.get(ray.remote(lambda: 1).remote())
    memory = ray.memory(2)
    assert [row.bytes // 1000 for row in memory.largest] == [5_000, 3_000] and memory.largest[0].id == held[0]
    assert 8_000_000 < memory.bytes_used < memory.bytes_committed <= memory.arena_bytes
    assert 0 < memory.bytes_kept < 10_000 and memory.page_bytes == os.sysconf("SC_PAGESIZE")
    kinds = {one.pid: one.kind for one in memory.processes}
    assert kinds[os.getpid()] == "driver" and {kinds[pid] for pid in worker_pids()} == {"worker"}
    assert all(one.private > 0 and one.shared > 0 for one in memory.processes)


def test_the_text(ray_session):
    held = ray_session.put(np.ones(5_000_000, "u1"))
    text = str(ray_session.memory())
    assert f"driver {os.getpid()}" in text and "test_memory_report.py" in text and "5,000,1" in text and "node" in text
    assert len(str(ray_session.memory(0)).splitlines()) < len(text.splitlines()) and held


def test_what_the_session_keeps_has_a_name(ray_session):
    captured = np.ones(2_000_000, "u1")

    def heavy():
        return captured.sum()

    assert ray_session.get(ray_session.remote(heavy).remote()) == 2_000_000
    largest = ray_session.memory(1).largest[0]
    assert largest.kept and largest.call_site.startswith("function ") and largest.call_site.endswith("heavy")
    names = {row.call_site for row in ray_session.memory().largest if row.kept}
    assert "a call site" in names


def test_wrong_arguments_and_no_session(fresh):
    with pytest.raises(fresh.exceptions.RaySystemError):
        fresh.memory()
    fresh.init(num_cpus=1)
    with pytest.raises(ValueError, match="most"):
        fresh.memory(-1)
