"""Large objects: copies into the store beside plain ones, on both kinds of pages; arrays through tasks; many readers.

The plain copy of the same run is numpy's, which is libc's memcpy, by one thread or by two at once: the better of them.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from probes import CPUS, MB, US, family, proportional_bytes

import ray_lite as ray
from ray_lite import session

MIB, GIB = 2**20, 2**30
READERS = 16
SMALL = 24  # bytes of a small value


def large(quick: bool) -> dict[str, float]:
    warm, first, first_threads, get = figures(128 * MIB, 3 if quick else 7)
    return {"put_large": warm, "put_large_first": first, "put_large_first_two": first_threads, "get_large": get}


def larger(quick: bool) -> dict[str, float]:
    warm, first, first_threads, get = figures(GIB, 1 if quick else 3)
    return {"put_1g": warm, "put_1g_first": first, "put_1g_first_two": first_threads, "get_1g": get}


def large_on_huge(quick: bool) -> dict[str, float]:
    warm, first, first_threads, _ = figures(128 * MIB, 3 if quick else 7, huge=True)
    return {"put_large_2m": warm, "put_large_2m_first": first, "put_large_2m_first_two": first_threads}


def larger_on_huge(quick: bool) -> dict[str, float]:
    warm, first, first_threads, _ = figures(GIB, 1 if quick else 3, huge=True)
    return {"put_1g_2m": warm, "put_1g_2m_first": first, "put_1g_2m_first_two": first_threads}


def figures(size: int, rounds: int, huge: bool = False) -> tuple[float, float, float, float]:
    """Warm put of the best plain copy; first put of one thread's bare copy into fresh pages, and of two threads'; get in us."""
    source = np.arange(size // 8, dtype=np.int64)
    bare(source, plain_copy, huge)  # a virtual machine gets memory from its host as it touches it: not in what is timed
    ray.init(num_cpus=CPUS, object_store_memory=size + size // 4, huge_pages=huge)
    try:
        ray.get(ray.put((source[:1000], "the serializer's imports")))
        time.sleep(0.2)  # the node's start is over
        first = timed(lambda: ray.put(source))
        warm = against_copies(source, rounds)
        stored = ray.put(source)
        assert np.array_equal(ray.get(stored), source)
        get = median(timed(lambda: ray.get(stored)) for _ in range(200)) * US
    finally:
        ray.shutdown()
    one, two = (median(bare(source, copy, huge) for _ in range(min(rounds, 3))) for copy in (plain_copy, two_copies))
    return warm, one / first, two / first, get


def long_values(quick: bool) -> dict[str, float]:
    """put and get of bytes and of a text of 1 GiB, beside the copy that makes a bytearray of these bytes."""
    size, rounds = (GIB // 4, 1) if quick else (GIB, 3)
    ray.init(num_cpus=CPUS, object_store_memory=size + size // 4)
    try:
        put_bytes, get_bytes = of_a_copy(bytes(size), bytes(size), rounds)
        put_text, get_text = of_a_copy("t" * size, bytes(size), rounds)
    finally:
        ray.shutdown()
    return {"put_bytes": put_bytes, "get_bytes": get_bytes, "put_text": put_text, "get_text": get_text}


def of_a_copy(value: object, source: bytes, rounds: int) -> tuple[float, float]:
    """Time of a copy of the bytes of `source`, over that of a put of a value of as many bytes, and over that of a get."""
    ray.get(ray.put(value))  # the store touches its memory
    puts = median(timed(lambda: ray.put(value)) for _ in range(rounds))
    stored = ray.put(value)
    gets = median(timed(lambda: ray.get(stored)) for _ in range(rounds))
    copies = median(timed(lambda: bytearray(source)) for _ in range(rounds))
    return copies / puts, copies / gets


def against_copies(source: np.ndarray, rounds: int) -> float:
    """Time of the best plain copy into touched memory, over that of a put into memory that the store has touched."""
    target = np.ones_like(source)
    puts, ones, twos = [], [], []
    for _ in range(rounds):
        puts.append(timed(lambda: ray.put(source)))
        ones.append(timed(lambda: plain_copy(target, source)))
        twos.append(timed(lambda: two_copies(target, source)))
    return min(median(ones), median(twos)) / median(puts)


def bare(source: np.ndarray, copy: Callable[[np.ndarray, np.ndarray], None], huge: bool) -> float:
    """Time of a copy into a fresh shared mapping, of the kind of pages that the store has."""
    file = os.memfd_create("bare", os.MFD_HUGETLB if huge else 0)
    try:
        os.ftruncate(file, source.nbytes)
        with mmap.mmap(file, source.nbytes) as memory:
            return timed(lambda: copy(np.frombuffer(memory, dtype=source.dtype), source))
    finally:
        os.close(file)


def plain_copy(target: np.ndarray, source: np.ndarray) -> None:
    np.copyto(target, source)


def two_copies(target: np.ndarray, source: np.ndarray) -> None:
    half = len(source) // CPUS
    other = threading.Thread(target=np.copyto, args=(target[half:], source[half:]))
    other.start()
    np.copyto(target[:half], source[:half])
    other.join()


def timed(action: Callable[[], object]) -> float:
    """Seconds without those that the end of the result takes."""
    started = perf_counter()
    result = action()
    seconds = perf_counter() - started
    del result
    return seconds


@ray.remote
def same(array: np.ndarray) -> np.ndarray:
    return array


def through_tasks(quick: bool) -> dict[str, float]:
    """Arrays of 1 MiB as arguments and results, 20 under way at a time."""
    count, flight = 400 if quick else 4_000, 20
    array = np.arange(MIB // 8, dtype=np.int64)
    ray.init(num_cpus=CPUS)
    try:
        assert all(np.array_equal(out, array) for out in ray.get([same.remote(array) for _ in range(flight)]))
        started = perf_counter()
        for _ in range(count // flight):
            for out in ray.get([same.remote(array) for _ in range(flight)]):
                assert out[-1] == array[-1]
        return {"task_1m": count / (perf_counter() - started)}
    finally:
        ray.shutdown()


def overhead(quick: bool) -> dict[str, float]:
    """Growth of the region by small values, without the values."""
    count = 100_000 if quick else 1_000_000
    ray.init(num_cpus=1)
    try:
        before = session.current().view.statistics().region_bytes
        kept = [ray.put(i.to_bytes(SMALL, "little")) for i in range(count)]
        growth = session.current().view.statistics().region_bytes - before
        assert ray.get(kept[-1]) == (count - 1).to_bytes(SMALL, "little")
        return {"object_overhead": growth / count - SMALL}
    finally:
        ray.shutdown()


@ray.remote
def read(array: np.ndarray, meeting: str) -> int:
    """Read all of it, and stay until the others have: so that each has a process of its own."""
    total = int(array.sum())
    Path(meeting, str(os.getpid())).touch()
    while len(os.listdir(meeting)) < READERS:
        time.sleep(0.01)
    return total


def readers(quick: bool) -> dict[str, float]:
    size = 200_000_000 if quick else 2_000_000_000
    info = ray.init(num_cpus=READERS, object_store_memory=size + 256 * MIB)
    try:
        array = np.ones(size, dtype=np.uint8)
        stored = ray.put(array)
        del array
        with tempfile.TemporaryDirectory() as meeting:
            assert ray.get([read.remote(stored, meeting) for _ in range(READERS)]) == [size] * READERS
        total = proportional_bytes(family(os.getpid(), info["node_pid"]))
        return {"reader_memory": (total - size) / READERS / MB}
    finally:
        ray.shutdown()
