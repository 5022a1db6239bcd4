"""Errors, the command line, traces: how many errors tasks can make, how soon one sees what happens, what details cost."""

from __future__ import annotations

import subprocess
import sys
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

from probes import MS, percentile

import ray_lite as ray
from ray_lite import session


@ray.remote
def fail(x: int) -> None:
    raise ValueError(x)


@ray.remote
def nothing() -> None:
    pass


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



def tracing(quick: bool) -> dict[str, float]:
    """No-op tasks while details are recorded, of those while they are not, in turn, and how long the file takes then."""
    count = 5_000 if quick else 50_000
    rates: dict[bool, list[float]] = {True: [], False: []}
    ray.init(num_cpus=2, driver_mode=ray.SILENT_MODE)
    ray.get([nothing.remote() for _ in range(count)])
    for number in range(6 if quick else 40):
        detail = bool(number % 2)
        ray.timeline(detail=detail)
        started = perf_counter()
        ray.get([nothing.remote() for _ in range(count)])
        rates[detail].append(count / (perf_counter() - started))
    with TemporaryDirectory() as directory:
        started = perf_counter()
        ray.timeline(f"{directory}/t.json")
        seconds = perf_counter() - started
    ray.shutdown()
    return {"trace_detailed": percentile(rates[True], 50) / percentile(rates[False], 50), "trace_file": seconds}
