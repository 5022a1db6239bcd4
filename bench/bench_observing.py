"""Errors and the command line: how many errors the tasks can make, and how soon one sees what happens."""

from __future__ import annotations

import subprocess
import sys
from time import perf_counter, sleep

from probes import MS

import ray_lite as ray
from ray_lite import session


@ray.remote
def fail(x: int) -> None:
    raise ValueError(x)


@ray.remote
def last_error() -> str:
    """The newest error, as another process sees it."""
    return str(ray.error_info()[-1]["message"])


def errors(quick: bool) -> dict[str, float]:
    count = 5_000 if quick else 100_000
    ray.init(num_cpus=2, driver_mode=ray.SILENT_MODE)
    ray.wait([fail.remote(i) for i in range(100)], num_returns=100)
    started = perf_counter()
    ray.wait([fail.remote(i) for i in range(count)], num_returns=count)
    rate = count / (perf_counter() - started)
    sleep(1)  # the control process catches up
    seen = []
    for number in range(20):
        started = perf_counter()
        x = fail.remote(f"seen {number}")
        ray.wait([x])
        while f"seen {number}" not in ray.get(last_error.remote()):
            pass
        seen.append(perf_counter() - started)
    ray.shutdown()
    return {"errors_rate": rate, "errors_seen": sorted(seen)[len(seen) // 2] * MS}


def status(quick: bool) -> dict[str, float]:
    """`ray-lite status` as a process of its own, with 10,000 tasks in the queue."""
    ray.init(num_cpus=2, driver_mode=ray.SILENT_MODE)
    directory = session.current().address["session_dir"]
    ids = [fail.remote(i) for i in range(1_000 if quick else 10_000)]
    started = perf_counter()
    subprocess.run([sys.executable, "-m", "ray_lite", "status", "--address", directory], check=True, stdout=subprocess.DEVNULL)
    seconds = perf_counter() - started
    del ids
    ray.shutdown()
    return {"status": seconds}

