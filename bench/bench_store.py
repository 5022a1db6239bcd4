"""The store: small values a second, and one large array against a plain copy of it."""

from __future__ import annotations

from statistics import median
from time import perf_counter

import numpy as np
from probes import CPUS, US

import ray_lite as ray

LARGE = 128 * 2**20


def small(quick: bool) -> dict[str, float]:
    count = 20_000 if quick else 100_000
    ray.init(num_cpus=CPUS)
    try:
        for i in range(1000):
            ray.get(ray.put((i, 0.5)))

        started = perf_counter()
        ids = [ray.put((i, 0.5)) for i in range(count)]
        stored = perf_counter()
        values = [ray.get(one) for one in ids]
        fetched = perf_counter()
        assert values == [(i, 0.5) for i in range(count)]
    finally:
        ray.shutdown()
    return {"put_small": count / (stored - started), "get_small": count / (fetched - stored)}


def large(quick: bool) -> dict[str, float]:
    source = np.arange(LARGE // 8, dtype=np.int64)
    ray.init(num_cpus=CPUS)
    try:
        ratio = put_against_copy(source, 3 if quick else 7)
        stored = ray.put(source)
        assert np.array_equal(ray.get(stored), source)
        return {"put_large": ratio, "get_large": median(timed_get(stored) for _ in range(200)) * US}
    finally:
        ray.shutdown()


def put_against_copy(source: np.ndarray, rounds: int) -> float:
    """Time of a plain copy into touched memory, over that of a put into memory that the store has touched."""
    target = np.ones_like(source)
    copies, puts = [], []
    for _ in range(rounds + 1):
        started = perf_counter()
        np.copyto(target, source)
        copied = perf_counter()
        stored = ray.put(source)
        puts.append(perf_counter() - copied)
        copies.append(copied - started)
        del stored
    # The first put meets fresh pages.
    return median(copies[1:]) / median(puts[1:])


def timed_get(stored: ray.ObjectID) -> float:
    started = perf_counter()
    ray.get(stored)
    return perf_counter() - started
