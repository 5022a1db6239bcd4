"""Start, shutdown and idling. Imports as little as it can, since an import is one of the figures."""

from __future__ import annotations

import os
import time
from time import perf_counter

from probes import CPUS, MB, MS, cpu_seconds, family, private_bytes


def start(quick: bool) -> dict[str, float]:
    started = perf_counter()
    import ray_lite as ray

    imported = perf_counter()

    # A local function travels by value, like those of the user's script.
    @ray.remote
    def echo(value: int) -> int:
        return value

    ray.init(num_cpus=CPUS)
    assert ray.get(echo.remote(1)) == 1
    ready = perf_counter()
    ray.shutdown()
    ended = perf_counter()
    return {"import": (imported - started) * MS, "start": ready - imported, "shutdown": ended - ready}


def idle(quick: bool) -> dict[str, float]:
    import ray_lite as ray

    @ray.remote
    def whoami() -> int:
        time.sleep(0.01)
        return os.getpid()

    seconds = 2 if quick else 5
    node = ray.init(num_cpus=CPUS)["node_pid"]
    try:
        workers = set(ray.get([whoami.remote() for _ in range(20)]))
        time.sleep(1)
        processes = family(os.getpid(), node)
        before = cpu_seconds(processes)
        time.sleep(seconds)
        used = cpu_seconds(processes) - before
        return {"idle_cpu": 100 * used / seconds, "idle_memory": private_bytes(workers) / len(workers) / MB}
    finally:
        ray.shutdown()
