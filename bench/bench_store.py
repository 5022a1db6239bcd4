"""The store: small values a second."""

from __future__ import annotations

from time import perf_counter

from probes import CPUS

import ray_lite as ray


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
