"""A full store: an error that names sizes and holders, never a dead process, and all is well once
references are dropped.
"""

import os
import re
import subprocess
import time

import numpy as np
import pytest

import ray_lite as ray
from ray_lite.exceptions import ObjectStoreFullError, RayTaskError, TaskCancelledError, WorkerCrashedError

CAPACITY = 64 << 20
PIECE = 4 << 20


@pytest.fixture(autouse=True)
def small_store(fresh, monkeypatch):
    monkeypatch.setenv("RAY_LITE_FULL_WAIT", "0.2")
    fresh.init(num_cpus=2, object_store_memory=CAPACITY)


def fill():
    """Put pieces until the store is full; the ids and the error's text."""
    held = []
    try:
        for i in range(2 * CAPACITY // PIECE):
            held.append(ray.put(np.full(PIECE, i % 250, dtype=np.uint8)))
    except ObjectStoreFullError as error:
        return held, str(error)  # the error itself would keep this frame, and so the ids
    raise AssertionError("the store took twice its size")


def test_what_the_error_says():
    held, text = fill()
    assert len(held) * PIECE > CAPACITY // 2, "most of the store can be used"
    assert len(re.findall(r"\d+(?:\.\d+)? ?(?:[KMG]i?B|bytes)|\b\d{7,}\b", text)) >= 3, (
        "what was asked, what there is, who has it"
    )
    assert str(os.getpid()) in text or any(one.hex()[:8] in text for one in held), "the largest holders"


def test_what_is_stored_stays_right():
    held, _ = fill()
    for i, one in enumerate(held):
        array = ray.get(one)
        assert len(array) == PIECE and (array == i % 250).all()


def test_it_works_again_when_references_are_dropped(statistics, wait_until):
    before = statistics().bytes_used
    for _ in range(3):
        held, _ = fill()
        view = ray.get(held[0])
        del held
        wait_until(lambda: statistics().bytes_used < before + 2 * PIECE, what="the return of the bytes")
        assert (view == 0).all()
        del view
    assert ray.get(ray.put(np.ones(CAPACITY // 4, dtype=np.uint8))).all()


def test_small_objects_fill_it_too():
    held, full = [], False
    for _ in range(2 * CAPACITY // 10_000):
        try:
            held.append(ray.put(bytes(10_000)))
        except ObjectStoreFullError:
            full = True
            break
    assert full
    del held[::2]
    again = [ray.put(bytes([i % 256]) * 10_000) for i in range(len(held) // 2)]
    assert ray.get(again[77]) == bytes([77]) * 10_000


def test_larger_than_the_whole_store():
    for _ in range(3):
        with pytest.raises(ObjectStoreFullError):
            ray.put(np.zeros(CAPACITY + 1, dtype=np.uint8))
        with pytest.raises(ObjectStoreFullError):
            ray.put(bytes(2 * CAPACITY))
    assert ray.get(ray.put(1)) == 1


def test_arguments_that_do_not_fit(statistics):
    length = ray.remote(len)
    tasks = statistics().tasks
    with pytest.raises(ObjectStoreFullError):
        length.remote(np.zeros(CAPACITY + 1, dtype=np.uint8))
    held, _ = fill()
    with pytest.raises(ObjectStoreFullError):
        length.remote(np.zeros(2 * PIECE, dtype=np.uint8))
    assert statistics().tasks == tasks
    del held
    assert ray.get(length.remote(np.zeros(2 * PIECE, dtype=np.uint8))) == 2 * PIECE


def test_results_that_do_not_fit():
    @ray.remote
    def produce(size):
        return np.zeros(size, dtype=np.uint8)

    with pytest.raises(ObjectStoreFullError):
        ray.get(produce.remote(CAPACITY + 1))
    held, _ = fill()
    with pytest.raises(ObjectStoreFullError):
        ray.get(produce.remote(2 * PIECE))
    del held
    assert len(ray.get(produce.remote(2 * PIECE))) == 2 * PIECE


def test_puts_inside_tasks():
    @ray.remote
    def fill_up():
        held = []
        try:
            for _ in range(2 * CAPACITY // PIECE):
                held.append(ray.put(np.zeros(PIECE, dtype=np.uint8)))
        except ObjectStoreFullError:
            return len(held)

    counts = [ray.get(fill_up.remote()) for _ in range(3)]
    assert counts[0] * PIECE > CAPACITY // 2
    assert min(counts) >= counts[0] - 2, "what a task held is free again after it"


def test_tasks_without_large_values_run_in_a_full_store():
    held, _ = fill()
    f = ray.remote(lambda x: x + 1)
    assert ray.get([f.remote(i) for i in range(200)]) == list(range(1, 201))
    assert held


def test_a_failed_put_leaves_nothing(statistics):
    ray.get(ray.put(1))
    before = statistics()
    for _ in range(10):
        with pytest.raises(ObjectStoreFullError):
            ray.put([bytes(1000), np.zeros(PIECE, dtype=np.uint8), np.zeros(2 * CAPACITY, dtype=np.uint8)])
    after = statistics()
    assert (after.objects, after.bytes_used) == (before.objects, before.bytes_used)


NAMED = r"(?s)500,\d+ bytes wanted.* in use .*held by driver \d+, created at .*test_full_store.py:\d+ in test"


def test_failures_have_a_reserve():
    """The task's own error comes through a full store; and a result that doesn't fit names the holders."""
    @ray.remote
    def divide():
        return 1 / 0

    @ray.remote
    def produce(size):
        return np.zeros(size, dtype=np.uint8)

    assert ray.get(produce.remote(3)).size == 3
    with pytest.raises(ZeroDivisionError):
        ray.get(divide.remote())
    held, size = [], PIECE
    while size >= 64:
        try:
            held.append(ray.put(np.zeros(size, dtype=np.uint8)))
        except ObjectStoreFullError:
            size //= 2
    for _ in range(3):
        with pytest.raises(ZeroDivisionError, match="division by zero"):
            ray.get(divide.remote())
        with pytest.raises(ObjectStoreFullError, match=NAMED):
            ray.get(produce.remote(500_000))


@pytest.mark.slow
def test_with_the_reserve_in_use_a_failure_keeps_its_class(fresh, monkeypatch, gate, wait_until):
    """And the number of its report: what a `get` has raised is not shown."""
    ray.shutdown()
    monkeypatch.setenv("RAY_LITE_RESERVE", "65536")
    fresh.init(num_cpus=2, object_store_memory=CAPACITY, driver_mode=ray.SILENT_MODE)
    arrive = gate.arrive
    sleeping = ray.remote(lambda: (arrive("asleep"), time.sleep(1000)))
    crashing = ray.remote(lambda: os._exit(3))
    failing = ray.remote(lambda: [].index("x" * 2000))
    large = ray.remote(lambda: np.zeros(500_000, dtype=np.uint8))
    kinds = {sleeping: TaskCancelledError, crashing: WorkerCrashedError, failing: RayTaskError, large: ObjectStoreFullError}

    def outcome(f):
        before = len(gate.arrived("asleep"))
        x = f.remote()
        if f is sleeping:
            wait_until(lambda: len(gate.arrived("asleep")) > before)
            ray.cancel(x)
        held.append(x)
        try:
            return ray.get(x, timeout=20)
        except ray.exceptions.RayError as error:
            assert isinstance(error, kinds[f])
            return str(error)

    held = []
    for f in kinds:  # they are known before nothing fits any more
        outcome(f)
    held, size = fill()[0], PIECE
    while size >= 64:
        try:
            held.append(ray.put(np.zeros(size, dtype=np.uint8)))
        except ObjectStoreFullError:
            size //= 2
    for f, kind in kinds.items():
        while f"only this fitted, that it is a {kind.__name__}" not in outcome(f):
            assert len(held) < 5_000, "the reserve is used up by now"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_file_system_is_told_from_a_full_store(fresh, tmp_path):
    ray.shutdown()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", tmp_path], check=True)
    try:
        ray.init(num_cpus=1, plasma_directory=tmp_path, object_store_memory=1 << 30)
        with pytest.raises(ObjectStoreFullError, match="no space where its plasma_directory is.*another plasma_directory"):
            ray.put(np.ones(20_000_000, "u1"))
        assert ray.get(ray.put(np.ones(1000)))[0] == 1
        ray.shutdown()
    finally:
        subprocess.run(["umount", "--lazy", tmp_path], check=True)
