"""Scheduling: shapes that alternate, tasks that submit tasks, many more workers than cores, 100,000 ids, cancelling."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter, sleep, thread_time

import probes
from bench_tasks import warm_session
from probes import CPUS, MB, MS, percentile, private_bytes

import ray_lite as ray
from ray_lite import _core, session

echo = ray.remote(probes.echo)
hold = ray.remote(probes.hold)
SHAPES = (
    echo,
    ray.remote(num_cpus=2)(probes.echo),
    ray.remote(num_cpus=0, num_gpus=1)(probes.echo),
    ray.remote(num_cpus=0, resources={"x": 1})(probes.echo),
)


def mixed(quick: bool) -> dict[str, float]:
    """Each shape in turn."""
    count = 4_000 if quick else 40_000
    ray.init(num_cpus=CPUS, num_gpus=1, resources={"x": 2})
    try:
        ray.get([SHAPES[i % len(SHAPES)].remote(i) for i in range(1_000)])
        started = perf_counter()
        values = ray.get([SHAPES[i % len(SHAPES)].remote(i) for i in range(count)])
        seconds = perf_counter() - started
        assert values == list(range(count))
    finally:
        ray.shutdown()
    return {"mixed": count / seconds}


@ray.remote
def spread(first: int, count: int) -> int:
    return sum(ray.get([echo.remote(i) for i in range(first, first + count)]))


def nested(quick: bool) -> dict[str, float]:
    parents, children = 100, 20 if quick else 100
    with warm_session():
        ray.get([spread.remote(0, 10) for _ in range(10)])
        started = perf_counter()
        total = sum(ray.get([spread.remote(i * children, children) for i in range(parents)]))
        seconds = perf_counter() - started
        assert total == sum(range(parents * children))
    return {"nested": parents * (children + 1) / seconds}


class Gate:
    """Tasks that wait at it keep their workers; whoever opens it knows how many are there."""

    def __init__(self, directory: str, name: str) -> None:
        self.arrivals, self.door = (os.path.join(directory, f"{name}-{end}") for end in ("arrivals", "door"))
        for path in (self.arrivals, self.door):
            os.mkfifo(path)
        self._seen = os.open(self.arrivals, os.O_RDWR)  # both ends of both, so that no task's open() waits
        self._shut = os.open(self.door, os.O_RDWR)

    def await_arrivals(self, count: int) -> None:
        while count:
            count -= len(os.read(self._seen, count))

    def open(self) -> None:
        """All who arrived go on; once."""
        os.close(self._shut)

    def close(self) -> None:
        os.close(self._seen)


@contextmanager
def gates() -> Iterator[tuple[Gate, Gate]]:
    with tempfile.TemporaryDirectory() as directory:
        both = Gate(directory, "one"), Gate(directory, "others")
        try:
            yield both
        finally:
            for gate in both:
                gate.close()


@contextmanager
def sampler() -> Iterator[list[float]]:
    """The share of its looks, some thousands a second, at which another process finds the region's lock held."""
    region, found = session.current().region, []
    ours, its = os.pipe()
    pid = os.fork()
    if pid == 0:
        held = looks = 0
        until = perf_counter() + 0.3
        while perf_counter() < until:
            held += _core.lock_owner(region) != 0
            looks += 1
            sleep(0.0001)
        os.write(its, b"%d %d" % (held, looks))
        os._exit(0)
    yield found
    held, looks = map(int, os.read(ours, 99).split())
    os.waitpid(pid, 0)
    os.close(ours)
    os.close(its)
    found.append(held / looks)


def crowd(size: int, quick: bool) -> dict[str, float]:
    """A session of `size` CPUs: all at once, one task beside the others, one task among idle ones, all tasks of a batch."""
    count = 20_000 if quick else 100_000
    key = f"crowd{size}"
    ray.init(num_cpus=size)
    try:
        with gates() as (one, others):
            started = perf_counter()
            held = [hold.remote(gate.arrivals, gate.door) for gate in (one, *[others] * (size - 1))]
            one.await_arrivals(1)
            others.await_arrivals(size - 1)
            begun = perf_counter() - started
            one.open()
            busy = probes.latencies(lambda i: ray.get(echo.remote(i)), count // 50)
            others.open()
            workers = set(ray.get(held))
            assert len(workers) == size
        idle = probes.latencies(lambda i: ray.get(echo.remote(i)), count // 50)
        started = perf_counter()
        assert ray.get([echo.remote(i) for i in range(count)]) == list(range(count))
        seconds = perf_counter() - started
        with sampler() as sampled:
            for _ in range(3):
                ray.get([echo.remote(i) for i in range(count)])
        memory = private_bytes(workers) / size / MB
    finally:
        ray.shutdown()
    return {
        f"{key}_start": begun,
        f"{key}_busy": busy["sync_p50"],
        f"{key}_idle": idle["sync_p50"],
        f"{key}_async": count / seconds,
        f"{key}_memory": memory,
        f"{key}_lock": sampled[0] * seconds / count * 1e9,
    }


def crowd_of_64(quick: bool) -> dict[str, float]:
    return crowd(64, quick)


def crowd_of_256(quick: bool) -> dict[str, float]:
    return crowd(256, quick)


def many_ids(quick: bool) -> dict[str, float]:
    """Handling of the ids alone: of sealed ones, and (processor time) of ones whose tasks are under way."""
    count = 10_000 if quick else 100_000
    with warm_session():
        ids = [echo.remote(i) for i in range(count)]
        started = thread_time()
        assert ray.get(ids) == list(range(count))
        late = thread_time() - started
        ready, decoding = (min(seconds(step, ids) for _ in range(5)) for step in (ray.get, decode))
        started = perf_counter()
        found, rest = ray.wait(ids, num_returns=count)
        waited = perf_counter() - started
        assert found == ids and not rest
    return {"get_ids": ready - decoding, "get_ids_late": late - decoding, "wait_ids": waited}


def seconds(step: Callable[[list[ray.ObjectID]], object], ids: list[ray.ObjectID]) -> float:
    started = perf_counter()
    step(ids)
    return perf_counter() - started


def decode(ids: list[ray.ObjectID]) -> list[object]:
    """The values of sealed, plain objects: what `get` can't do without."""
    return _core.get_many(session.current().region, ids, ray.get)


@ray.remote
def asleep(arrivals: str) -> None:
    """A task that is seen, and then sleeps until it is cancelled."""
    with open(arrivals, "wb", buffering=0) as bell:
        bell.write(b"!")
    sleep(1_000)


def cancelling(quick: bool) -> dict[str, float]:
    """One after the other: of tasks that nobody has begun, since all CPUs are taken, and of sleeping ones."""
    count = 20 if quick else 200
    found: dict[str, list[float]] = {"cancel_queued": [], "cancel_asleep": [], "cancel_force": []}
    with warm_session(), gates() as (gate, _):
        for key in ("cancel_asleep", "cancel_force"):
            for _ in range(count):
                x = asleep.remote(gate.arrivals)
                gate.await_arrivals(1)
                found[key].append(until_cancelled(x, key == "cancel_force"))
        held = [asleep.remote(gate.arrivals) for _ in range(CPUS)]
        gate.await_arrivals(CPUS)
        found["cancel_queued"] = [until_cancelled(echo.remote(i), False) for i in range(count)]
        for x in held:
            until_cancelled(x, False)
    return {key: percentile(times, 50) * MS for key, times in found.items()}


def until_cancelled(x: ray.ObjectID, force: bool) -> float:
    started = perf_counter()
    assert ray.cancel(x, force=force)
    try:
        ray.get(x)
    except ray.exceptions.TaskCancelledError:
        return perf_counter() - started
    raise AssertionError("it has a value")
