"""Actors: rate and latency of calls beside tasks of the same run, creation, memory, arrays, and the way back from death."""

from __future__ import annotations

import os
import signal
from time import perf_counter
from typing import Any

from bench_tasks import echo, warm_session
from probes import CPUS, MB, MS, US, Echo, cpu_seconds, latencies, private_bytes

import ray_lite as ray
from ray_lite import session

plain = ray.remote(Echo)
light = ray.remote(num_cpus=0)(Echo)
checkpointed = ray.remote(checkpoint_interval=1_000)(Echo)


def calls_per_second(actor: Any, count: int) -> float:
    ray.get([actor.echo.remote(i) for i in range(1_000)])
    started = perf_counter()
    values = ray.get([actor.echo.remote(i) for i in range(count)])
    seconds = perf_counter() - started
    assert values == list(range(count))
    return count / seconds


def tasks_per_second(count: int) -> float:
    started = perf_counter()
    values = ray.get([echo.remote(i) for i in range(count)])
    seconds = perf_counter() - started
    assert values == list(range(count))
    return count / seconds


def throughput(quick: bool) -> dict[str, float]:
    """In one run, since the speed of a machine changes between runs."""
    count = 20_000 if quick else 100_000
    with warm_session():
        one, kept = plain.remote(), checkpointed.remote()
        tasks, calls = tasks_per_second(count), calls_per_second(one, count)
        return {"actor_async": calls, "actor_of_tasks": calls / tasks,
                "actor_kept_of_tasks": calls_per_second(kept, count) / tasks}


def latency(quick: bool) -> dict[str, float]:
    with warm_session():
        actor = plain.remote()
        found = latencies(lambda i: ray.get(actor.echo.remote(i)), 2_000 if quick else 20_000)
        return {f"actor_{name}": value for name, value in found.items()}


@ray.remote(num_cpus=0)
def call_many(actor: Any, count: int) -> float:
    """Calls an actor; waits until all have answered."""
    ray.get([actor.echo.remote(i) for i in range(count)])
    return 0.0


def crowd(quick: bool) -> dict[str, float]:
    """Eight tasks call an actor each."""
    count = 2_000 if quick else 20_000
    with warm_session():
        tasks = tasks_per_second(4 * count)
        actors = [plain.remote() for _ in range(8)]
        ray.get([call_many.remote(actor, 100) for actor in actors])
        started = perf_counter()
        ray.get([call_many.remote(actor, count) for actor in actors])
        rate = 8 * count / (perf_counter() - started)
        return {"actor_crowd": rate, "actor_crowd_of_tasks": rate / tasks}


def creation(quick: bool) -> dict[str, float]:
    """Actors created and called once; then what each takes, and what they do when nobody calls."""
    count = 20 if quick else 100
    with warm_session():
        view = session.current().view
        before = view.statistics().region_bytes
        started = perf_counter()
        actors = [plain.remote() for _ in range(count)]
        pids = ray.get([actor.pid.remote() for actor in actors])
        seconds = perf_counter() - started
        shared = (view.statistics().region_bytes - before) / count
        private = private_bytes(pids) / count
        busy, began = cpu_seconds(pids), perf_counter()
        signal.sigtimedwait([], 1 if quick else 5)
        idle = (cpu_seconds(pids) - busy) / (perf_counter() - began)
        return {"actor_create_100": seconds * 100 / count, "actor_private": private / MB, "actor_shared": shared / MB,
                "actor_idle_cpu": idle * 100}


def creation_of_1000(quick: bool) -> dict[str, float]:
    count = 100 if quick else 1_000
    with warm_session():
        started = perf_counter()
        actors = [light.remote() for _ in range(count)]
        ray.get([actor.pid.remote() for actor in actors])
        return {"actor_create_1000": (perf_counter() - started) * 1_000 / count}


def restart(quick: bool) -> dict[str, float]:
    """From the SIGKILL of a process to the first answer of the next one, with a checkpoint of 1 MB."""
    with warm_session():
        actor = checkpointed.remote(1_000_000)
        times = []
        for _ in range(3 if quick else 11):
            ray.get(actor.__ray_checkpoint__.remote())
            pid = ray.get(actor.pid.remote())
            started = perf_counter()
            os.kill(pid, signal.SIGKILL)
            while ray.get(actor.pid.remote()) == pid:
                pass
            times.append(perf_counter() - started)
        return {"actor_restart": sorted(times)[len(times) // 2] * MS}


def arrays(quick: bool) -> dict[str, float]:
    """An array of 1 MiB to an actor and back: of the time that the put of two takes."""
    count = 200 if quick else 1_000
    import numpy as np

    array = np.ones(1 << 20, np.uint8)
    with warm_session(num_cpus=CPUS):
        actor = plain.remote()
        ray.get(actor.echo.remote(array))
        started = perf_counter()
        for _ in range(count):
            ray.get(actor.echo.remote(array))
        return {"actor_array": (perf_counter() - started) / count * US}
