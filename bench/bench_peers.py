"""The standard library's pools, doing what bench_tasks.py and bench_start.py do. They fork, as we do."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from time import perf_counter

from probes import CPUS, echo, latencies

CONTEXT = multiprocessing.get_context("fork")


def pool_throughput(quick: bool) -> dict[str, float]:
    count = 5_000 if quick else 40_000
    with CONTEXT.Pool(CPUS) as pool:
        pool.map(echo, range(1000), chunksize=1)

        started = perf_counter()
        results = [pool.apply_async(echo, (i,)) for i in range(count)]
        values = [result.get() for result in results]
        submitted = perf_counter() - started
        assert values == list(range(count))

        started = perf_counter()
        values = list(pool.imap(echo, range(count), chunksize=1))
        mapped = perf_counter() - started
        assert values == list(range(count))
    return {"async": count / submitted, "map": count / mapped}


def executor_throughput(quick: bool) -> dict[str, float]:
    count = 2_000 if quick else 20_000
    with ProcessPoolExecutor(CPUS, mp_context=CONTEXT) as executor:
        list(executor.map(echo, range(1000), chunksize=1))

        started = perf_counter()
        futures = [executor.submit(echo, i) for i in range(count)]
        values = [future.result() for future in futures]
        submitted = perf_counter() - started
        assert values == list(range(count))

        started = perf_counter()
        values = list(executor.map(echo, range(count), chunksize=1))
        mapped = perf_counter() - started
        assert values == list(range(count))
    return {"async": count / submitted, "map": count / mapped}


def pool_latency(quick: bool) -> dict[str, float]:
    with CONTEXT.Pool(CPUS) as pool:
        return latencies(lambda i: pool.apply(echo, (i,)), 500 if quick else 3_000)


def executor_latency(quick: bool) -> dict[str, float]:
    with ProcessPoolExecutor(CPUS, mp_context=CONTEXT) as executor:
        return latencies(lambda i: executor.submit(echo, i).result(), 500 if quick else 3_000)


def pool_start(quick: bool) -> dict[str, float]:
    started = perf_counter()
    pool = CONTEXT.Pool(CPUS)
    assert pool.apply(echo, (1,)) == 1
    ready = perf_counter()
    pool.close()
    pool.join()
    return {"start": ready - started, "shutdown": perf_counter() - ready}


def executor_start(quick: bool) -> dict[str, float]:
    started = perf_counter()
    executor = ProcessPoolExecutor(CPUS, mp_context=CONTEXT)
    assert executor.submit(echo, 1).result() == 1
    ready = perf_counter()
    executor.shutdown()
    return {"start": ready - started, "shutdown": perf_counter() - ready}


def pipe_throughput(quick: bool) -> dict[str, float]:
    """A process that answers over a pipe: what people write where they have no actors. A window of calls is under way."""
    count, window = (2_000, 50) if quick else (50_000, 50)
    with pipe_server() as pipe:
        started = perf_counter()
        sent = received = 0
        while received < count:
            while sent < min(count, received + window):
                pipe.send(sent)
                sent += 1
            assert pipe.recv() == received
            received += 1
        return {"actor_async": count / (perf_counter() - started)}


def pipe_latency(quick: bool) -> dict[str, float]:
    with pipe_server() as pipe:

        def call(i: int) -> int:
            pipe.send(i)
            return int(pipe.recv())

        found = latencies(call, 500 if quick else 10_000)
        return {f"actor_{name}": value for name, value in found.items()}


@contextmanager
def pipe_server() -> Iterator[Connection]:
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=serve, args=(theirs,))
    process.start()
    try:
        yield ours
    finally:
        ours.send(None)
        process.join()


def serve(pipe: Connection) -> None:
    while (value := pipe.recv()) is not None:
        pipe.send(echo(value))
