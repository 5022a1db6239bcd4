"""Where the time of no-op tasks goes: in the driver, the workers, the node; user, kernel, waiting, the lock."""

from __future__ import annotations

import os
from collections.abc import Mapping
from time import perf_counter
from typing import NamedTuple

from bench_scheduling import echo, gates, hold, sampler
from probes import US, cpu_seconds, family, kernel_share, switches, ticks

import ray_lite as ray


class Reading(NamedTuple):
    """What a group of processes has used until now."""

    seconds: float
    ticks: tuple[int, int]
    switches: tuple[int, int]

    @classmethod
    def of(cls, pids: set[int]) -> Reading:
        return cls(cpu_seconds(pids), ticks(pids), switches(pids))


def profile(size: int, quick: bool) -> dict[str, float]:
    """A session of `size` CPUs, all its workers there: a batch that is accounted for, another beside the lock's sampler."""
    count = 50_000 if quick else 500_000
    key = f"profile{size}"
    node = ray.init(num_cpus=size)["node_pid"]
    try:
        workers = everybody(size)
        groups = {"driver": {os.getpid()}, "workers": workers, "node": family(node) - workers}
        before = {name: Reading.of(pids) for name, pids in groups.items()}
        submitting, seconds = batch(count)
        after = {name: Reading.of(pids) for name, pids in groups.items()}
        with sampler() as sampled:
            for _ in range(500_000 // count):
                batch(count)
    finally:
        ray.shutdown()
    found = shares(before, after, count)
    found |= {"clock": seconds / count * US, "submit": submitting / seconds * 100, "lock": sampled[0] * seconds / count * 1e9}
    return {f"{key}_{name}": value for name, value in found.items()}


def everybody(size: int) -> set[int]:
    """All workers, of which each has run a task."""
    with gates() as (gate, _):
        held = [hold.remote(gate.arrivals, gate.door) for _ in range(size)]
        gate.await_arrivals(size)
        gate.open()
        workers = set(ray.get(held))
    assert len(workers) == size
    ray.get([echo.remote(i) for i in range(10_000)])
    return workers


def batch(count: int) -> tuple[float, float]:
    """Seconds until all are submitted, and until all results are there."""
    started = perf_counter()
    ids = [echo.remote(i) for i in range(count)]
    submitted = perf_counter()
    assert ray.get(ids) == list(range(count))
    return submitted - started, perf_counter() - started


def shares(before: Mapping[str, Reading], after: Mapping[str, Reading], count: int) -> dict[str, float]:
    """Microseconds a task and context switches a thousand tasks, by group."""
    found = {"voluntary": 0.0, "involuntary": 0.0}
    for name, early in before.items():
        late = after[name]
        used = (late.seconds - early.seconds) / count * US
        if name == "node":  # a fraction of a tick
            found[name] = used
        else:
            kernel = used * kernel_share(early.ticks, late.ticks)
            found |= {f"{name}_user": used - kernel, f"{name}_kernel": kernel}
        for place, kind in enumerate(("voluntary", "involuntary")):
            found[kind] += (late.switches[place] - early.switches[place]) / count * 1_000
    return found


def profile_of_8(quick: bool) -> dict[str, float]:
    return profile(8, quick)


def profile_of_64(quick: bool) -> dict[str, float]:
    return profile(64, quick)


def profile_of_256(quick: bool) -> dict[str, float]:
    return profile(256, quick)
