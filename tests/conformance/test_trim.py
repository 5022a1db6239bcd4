"""Trim: memory that the store does not need goes back to the kernel after a while, and comes again when it is needed."""

import os

import numpy as np
import pytest

import ray_lite as ray

SIZE = 256 << 20


@pytest.fixture
def memory(fresh, monkeypatch):
    """Bytes that the store's file has, of a session that trims soon."""
    monkeypatch.setenv("RAY_LITE_TRIM_AFTER", "0.2")
    fresh.init(num_cpus=2, object_store_memory=1 << 30)
    return lambda: os.fstat(ray.session.current().files.arena).st_blocks * 512


def test_what_is_dropped_is_trimmed(memory, statistics, wait_until):
    for k in range(2):
        x = ray.put(np.full(SIZE, k, np.uint8))
        assert memory() > SIZE and statistics().bytes_committed > SIZE
        assert ray.get(x)[-1] == k
        del x
        wait_until(lambda: memory() < SIZE // 2, what="the return of the memory")
        wait_until(lambda: statistics().bytes_committed < SIZE // 2, what="the end of the piece")
        ray.session.current().view.check()


def test_what_is_in_use_stays(memory, wait_until):
    held = [ray.put(np.full(SIZE // 8, k, np.uint8)) for k in range(12)]
    held[2] = held[3] = held[4] = held[5] = None
    wait_until(lambda: memory() < SIZE * 9 // 8, what="the return of the memory")
    double = ray.remote(lambda array: array * 2)
    results = [double.remote(x) for x in held if x is not None]
    assert [int(ray.get(x)[-1]) for x in results] == [0, 2, *range(12, 24, 2)]
    assert [int(ray.get(x)[0]) for x in held if x is not None] == [0, 1, *range(6, 12)]


def test_a_full_table_keeps_no_memory(fresh, monkeypatch, statistics, wait_until):
    """A trim needs no entry in the table of objects."""
    monkeypatch.setenv("RAY_LITE_TRIM_AFTER", "0.05")
    monkeypatch.setenv("RAY_LITE_OBJECTS", "3000")
    fresh.init(num_cpus=1, object_store_memory=1 << 30)
    held, large = [], ray.put(np.ones(SIZE, np.uint8))

    def fill():
        with pytest.raises(ray.exceptions.ObjectStoreFullError):
            while True:
                held.append(ray.put(1))

    fill()
    del large
    fill()
    wait_until(lambda: statistics().bytes_committed < SIZE // 2, what="the return of the memory")
    with pytest.raises(ray.exceptions.ObjectStoreFullError):
        ray.put(1)
    assert ray.get(held[-1]) == 1


def test_what_is_used_again_soon_is_not_trimmed(fresh, statistics, monkeypatch):
    monkeypatch.setenv("RAY_LITE_TRIM_AFTER", "60")
    fresh.init(num_cpus=1, object_store_memory=1 << 30)
    for k in range(5):
        x = ray.put(np.full(SIZE, k, np.uint8))
        del x
    assert statistics().bytes_committed > SIZE
