"""Tasks: throughput, latency, dependencies, recursion, wait(), and a million of them in the queue."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import probes
from probes import CPUS, MS, family, latencies, private_bytes

import ray_lite as ray
from ray_lite import session

echo = ray.remote(probes.echo)
NOTES = "RAY_LITE_BENCH_NOTES"


@contextmanager
def warm_session(num_cpus: int = CPUS) -> Iterator[dict[str, Any]]:
    """A session whose workers run and know `echo`."""
    info = ray.init(num_cpus=num_cpus)
    try:
        ray.get([echo.remote(i) for i in range(1000)])
        yield info
    finally:
        ray.shutdown()


def throughput(quick: bool) -> dict[str, float]:
    count = 20_000 if quick else 100_000
    with warm_session():
        started = perf_counter()
        values = ray.get([echo.remote(i) for i in range(count)])
        seconds = perf_counter() - started
        assert values == list(range(count))
    return {"async": count / seconds}


def latency(quick: bool) -> dict[str, float]:
    with warm_session():
        return latencies(lambda i: ray.get(echo.remote(i)), 2_000 if quick else 20_000)


@ray.remote
def successor(value: int) -> int:
    return value + 1


def chain(quick: bool) -> dict[str, float]:
    with warm_session():
        ray.get(successor.remote(0))
        started = perf_counter()
        value = successor.remote(0)
        for _ in range(999):
            value = successor.remote(value)
        assert ray.get(value) == 1000
        return {"chain": (perf_counter() - started) * MS}


@ray.remote
def fib(n: int) -> int:
    note_worker()
    return n if n < 2 else sum(ray.get([fib.remote(n - 1), fib.remote(n - 2)]))


def recursion(quick: bool) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as directory:
        os.environ[NOTES] = directory
        with warm_session():
            started = perf_counter()
            assert ray.get(fib.remote(16)) == 987
            seconds = perf_counter() - started
        return {"fib": seconds, "fib_workers": len(os.listdir(directory))}


noted: set[int] = set()


def note_worker() -> None:
    """Leave a file a process: cheap enough for the timed run, and it counts workers that have ended too."""
    pid = os.getpid()
    if pid not in noted:
        noted.add(pid)
        Path(os.environ[NOTES], str(pid)).touch()


def drain(quick: bool) -> dict[str, float]:
    with warm_session():
        pending = [echo.remote(i) for i in range(10_000)]
        total = 0
        started = perf_counter()
        while pending:
            ready, pending = ray.wait(pending)
            total += len(ready)
        seconds = perf_counter() - started
        assert total == 10_000
    return {"drain": seconds}


@ray.remote
def blocked(fifo: str) -> None:
    """Keep the worker until the driver closes its end."""
    Path(fifo).read_bytes()


def backlog(quick: bool) -> dict[str, float]:
    count = 100_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory() as directory, warm_session(num_cpus=1) as info:
        fifo = os.path.join(directory, "gate")
        os.mkfifo(fifo)
        blocked.remote(fifo)
        with open(fifo, "wb"):  # opening waits for the task, so the only worker is busy from here on
            before = footprint(info)
            started = perf_counter()
            queued = [echo.remote(i) for i in range(count)]
            seconds = perf_counter() - started
            growth = footprint(info) - before
        assert ray.get(queued[-1]) == count - 1
    return {"backlog": seconds * 1_000_000 / count, "backlog_bytes": growth / count}


def footprint(info: dict[str, Any]) -> int:
    """Bytes that the session uses: every process's own, and the shared region once."""
    region = session.current().view.statistics().region_bytes
    return private_bytes(family(os.getpid(), info["node_pid"])) + int(region)
