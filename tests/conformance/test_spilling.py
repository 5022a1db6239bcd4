"""More data than memory: a full store waits for what is ending, then spills what nobody looks at; every byte comes back."""

import os
import signal
import subprocess
import threading
import time

import numpy as np
import pytest

import ray_lite as ray
from ray_lite.exceptions import ObjectLostError, ObjectStoreFullError
from ray_lite.store.spill import Spill

CAPACITY = 32 << 20
PIECE = 2 << 20
COUNT = 3 * CAPACITY // PIECE


def piece(i):
    return np.full(PIECE, i % 251, dtype=np.uint8)


def is_piece(array, i):
    return len(array) == PIECE and bool((array == i % 251).all())


@pytest.fixture
def spilling(fresh, tmp_path):
    """`spilling(...)`: a session with a small store and a spill directory; its address."""
    place = tmp_path / "spill"
    place.mkdir()

    def start(**options):
        options = {"num_cpus": 2, "object_store_memory": CAPACITY, "spill_directory": place} | options
        return fresh.init(**options)

    yield start
    ray.shutdown()
    assert os.listdir(place) == [], "the file has no name"


def spilled(statistics):
    return statistics().bytes_spilled


def test_everything_alive(spilling, statistics):
    spilling()
    held = [ray.put(piece(i)) for i in range(COUNT)]
    assert spilled(statistics) > CAPACITY
    for order in (range(COUNT), range(COUNT - 1, -1, -1)):
        assert all(is_piece(ray.get(held[i]), i) for i in order)
    check = ray.remote(is_piece)
    assert all(ray.get([check.remote(x, i) for i, x in enumerate(held)])), "workers read them back too"
    states = [row["State"] for row in ray.global_state.object_table().values() if row["DataSize"] > PIECE]
    assert len(states) == COUNT and set(states) == {"sealed", "spilled"}
    del held
    assert spilled(statistics) == 0


def test_reports_show_only_objects_of_the_program(spilling, statistics, monkeypatch):
    """Also while bytes move into the file, and back."""
    spilling()
    seen = []

    def looking(name, original):
        def look(*args):
            rows = [*ray.memory(1000).largest, *ray.session.current().view.objects()]
            seen.append((name, statistics().objects, {row.id for row in rows if not row.kept}))
            return original(*args)

        return look

    for name in ("_write", "_read"):
        monkeypatch.setattr(Spill, name, looking(name, getattr(Spill, name)))
    held = [ray.put(piece(i)) for i in range(COUNT)]
    assert is_piece(ray.get(held[0]), 0)
    assert {name for name, *_ in seen} == {"_write", "_read"}
    for _, count, ids in seen:
        # a put in progress has an object already, whose id the caller does not know yet
        assert count == len(ids) <= len(held) and b"\0" * 20 not in {x.id() for x in ids - set(held)}


@pytest.mark.slow
def test_driver_and_workers_store_at_once(spilling):
    """Nobody is told that the store is full because what was freed is promised to another."""
    spilling()
    make = ray.remote(lambda i: np.full(70_000 + i % 5 * 100_000, i % 251, np.uint8))
    end = time.monotonic() + 2
    while time.monotonic() < end:
        ids = [make.remote(i) for i in range(100)]
        held = [ray.put(piece(i)) for i in range(20)]
        assert all((ray.get(x) == i % 251).all() for i, x in enumerate(ids))
        assert all(is_piece(ray.get(x), i) for i, x in enumerate(held))


def test_more_than_fits_is_looked_at_at_once(spilling):
    """What has no room comes as copies of one's own, without a wait."""
    spilling()
    held = [ray.put(piece(i)) for i in range(COUNT)]

    @ray.remote
    def look(ids):
        return [is_piece(array, i) for i, array in enumerate(ray.get(ids))]

    begun = time.monotonic()
    assert all(ray.get(look.remote(held)))
    arrays = ray.get(held, writable=True)
    arrays[0][:] = 9
    assert all(is_piece(array, i) for i, array in enumerate(arrays) if i)
    assert time.monotonic() - begun < 8


def test_ids_do_not_depend_on_what_is_spilled(spilling):
    runs = []
    for size in (CAPACITY, 8 * CAPACITY):
        spilling(object_store_memory=size, object_id_seed=3)
        held = [ray.put(piece(i)) for i in range(COUNT)]
        assert is_piece(ray.get(held[0]), 0)
        runs.append([x.hex() for x in [*held, ray.put(1)]])
        del held
        ray.shutdown()
    assert runs[0] == runs[1]


def test_the_error_names_what_is_in_memory(spilling):
    spilling()
    held = [ray.put(piece(i)) for i in range(COUNT)]
    views = [ray.get(x) for x in held[:13]]
    with pytest.raises(ObjectStoreFullError) as full:
        ray.put(np.zeros(4 * PIECE, np.uint8), timeout=0)
    named = [x.hex() for x in held if x.hex() in str(full.value)]
    assert len(named) == 10 and set(named) <= {x.hex() for x in held[:13]}
    assert views


def test_results_and_puts_of_workers_are_spilled(spilling, statistics):
    spilling()
    make = ray.remote(piece)

    @ray.remote
    def several(first):
        return [ray.put(piece(i)) for i in range(first, first + 8)]

    results = [make.remote(i) for i in range(COUNT)]
    puts = ray.get([several.remote(i) for i in range(0, COUNT, 8)])
    assert spilled(statistics) > CAPACITY
    assert all(is_piece(ray.get(x), i) for i, x in enumerate(results))
    assert all(is_piece(ray.get(x), i) for i, x in enumerate(sum(puts, [])))


def test_a_pipeline_that_drops_what_is_done_spills_nothing(spilling, statistics):
    spilling()

    @ray.remote
    def work(array):
        time.sleep(0.005)
        return int(array[0])

    ids = []
    for i in range(2 * COUNT):
        ids.append(work.remote(ray.put(piece(i))))
    assert ray.get(ids) == [i % 251 for i in range(2 * COUNT)]
    assert statistics().bytes_spilled == 0
    assert ray.session.current().region.statistics()["spill_bytes"] == 0, "and never did"


def test_a_pipeline_without_a_spill_directory_waits(fresh):
    fresh.init(num_cpus=2, object_store_memory=CAPACITY)

    @ray.remote
    def work(array):
        time.sleep(0.005)
        return int(array[0])

    ids = [work.remote(piece(i)) for i in range(2 * COUNT)]
    assert ray.get(ids) == [i % 251 for i in range(2 * COUNT)]


def test_producers_wait_for_a_slow_consumer(fresh):
    fresh.init(num_cpus=2, object_store_memory=CAPACITY)
    make = ray.remote(lambda i: (i, piece(i)))
    ids = [make.remote(i) for i in range(COUNT)]
    seen = []
    while ids:
        (done,), ids = ray.wait(ids)  # what is done first goes first: else it may fill the store for ever
        time.sleep(0.005)
        i, array = ray.get(done)
        assert is_piece(array, i)
        seen.append(i)
        del done, array
    assert sorted(seen) == list(range(COUNT))


@pytest.fixture
def half_taken(fresh, gate, monkeypatch):
    """`half_taken(full_wait)`: a session, half of whose store a task looks at until the gate opens; the task's result."""
    wait = gate.wait

    def start(full_wait):
        monkeypatch.setenv("RAY_LITE_FULL_WAIT", str(full_wait))
        fresh.init(num_cpus=1, object_store_memory=CAPACITY)
        return ray.remote(lambda array: wait()).remote(half())

    return start


def half():
    return np.zeros(CAPACITY // 2, np.uint8)


def test_a_put_waits_as_long_as_it_is_told_to(half_taken, gate):
    half_taken(0.001)
    timer = threading.Timer(0.3, gate.open)
    timer.start()
    assert ray.put(half(), timeout=50)
    timer.join()


@pytest.mark.slow
def test_the_wait_is_bounded(half_taken, gate):
    pending = half_taken(2)
    begun = time.monotonic()
    with pytest.raises(ObjectStoreFullError, match="held by"):
        ray.put(half())
    assert 2 <= time.monotonic() - begun < 20
    begun = time.monotonic()
    with pytest.raises(ObjectStoreFullError):
        ray.put(half(), timeout=0)
    assert time.monotonic() - begun < 2, "that of this call"
    with pytest.raises(ValueError, match="timeout"):
        ray.put(1, timeout=-1)
    gate.open()
    ray.get(pending)
    assert ray.put(half())


def test_what_somebody_looks_at_stays(spilling, statistics, gate, monkeypatch):
    """Views are of the same bytes as ever; an object without a view goes. That the task ends is hoped for once."""
    monkeypatch.setenv("RAY_LITE_FULL_WAIT", "1")
    spilling()
    wait, arrive = gate.wait, gate.arrive

    @ray.remote
    def look(array, i):
        arrive("in")
        wait()
        return is_piece(array, i)

    views = [ray.get(ray.put(piece(i))) for i in range(4)]
    writable = ray.get(ray.put(piece(4)), writable=True)
    looking = look.remote(ray.put(piece(5)), 5)
    held = [ray.put(piece(i)) for i in range(COUNT)]
    assert spilled(statistics) > 0
    gate.open()
    assert ray.get(looking)
    assert all(is_piece(view, i) for i, view in enumerate(views)) and is_piece(writable, 4)
    assert all(is_piece(ray.get(x), i) for i, x in enumerate(held))


def test_a_driver_waits_for_bytes_that_tasks_look_at(spilling, gate, wait_until):
    """It holds their ids, so they stay when the tasks end; but then they can be spilled."""
    spilling()
    wait, arrive = gate.wait, gate.arrive

    @ray.remote
    def look(number, *arrays):
        arrive(f"in{number}")
        wait()
        return sum(len(array) for array in arrays)

    held = [ray.put(piece(i)) for i in range(15)]  # no room for one more
    pending = [look.remote(0, *held[:7]), look.remote(1, *held[7:])]
    wait_until(lambda: len(gate.arrived("in")) == 2, what="both tasks")
    timer = threading.Timer(0.2, gate.open)
    timer.start()
    more = [ray.put(piece(i)) for i in range(5)]
    timer.join()
    assert ray.get(pending) == [7 * PIECE, 8 * PIECE]
    assert all(is_piece(ray.get(x), i) for i, x in enumerate(more))


def test_a_store_full_of_views_is_full(spilling, monkeypatch):
    monkeypatch.setenv("RAY_LITE_FULL_WAIT", "0.1")
    spilling()
    views = []
    with pytest.raises(ObjectStoreFullError, match="bytes wanted"):
        for i in range(COUNT):
            views.append(ray.get(ray.put(piece(i))))
    assert len(views) * PIECE > CAPACITY // 2
    assert all(is_piece(view, i) for i, view in enumerate(views))


def test_a_forked_child_looks_on(spilling, statistics, forked):
    spilling()
    view = ray.get(ray.put(piece(7)))
    waits, go = os.pipe()

    def look(view):
        assert os.read(waits, 1) and is_piece(view, 7)

    child = forked(look, view)
    del view
    held = [ray.put(piece(i)) for i in range(COUNT)]
    assert spilled(statistics) > CAPACITY
    os.write(go, b"!")
    assert child.wait() == 0
    assert held
    os.close(waits)
    os.close(go)


def test_values_of_every_kind_come_back(spilling, statistics):
    spilling()
    values = [
        bytes(range(256)) * 1000,
        "ä" * 100_000,
        [np.arange(20_000), {"b": bytearray(b"x" * 50_000)}, "text"],
        np.asfortranarray(np.arange(60_000.0).reshape(200, 300)),
        np.array([object, None, "x"] * 20_000, dtype=object),
        {i: str(i) for i in range(20_000)},
    ]
    held = [ray.put(value) for value in values]
    nested = ray.put([held[0], np.zeros(100_000, np.uint8)])
    fillers = [ray.put(piece(i)) for i in range(COUNT)]
    assert spilled(statistics) > CAPACITY
    for x, value in zip(held, values, strict=True):
        np.testing.assert_equal(ray.get(x), value)
    inner, zeros = ray.get(nested)
    assert inner == held[0] and not zeros.any()
    assert fillers


@pytest.mark.slow
def test_workers_killed_while_bytes_move(spilling, statistics, worker_pids, wait_until):
    """Tasks run again, bytes stay right, and nothing is left in the file."""
    spilling(num_cpus=2)
    check = ray.remote(is_piece).options(max_retries=100)
    held = [ray.put(piece(i)) for i in range(COUNT)]
    for _ in range(15):
        ids = [check.remote(x, i) for i, x in enumerate(held)]
        wait_until(worker_pids, what="workers")
        ray.wait(ids, num_returns=5)
        for pid in worker_pids()[:1]:
            os.kill(pid, signal.SIGKILL)
        assert all(ray.get(ids))
    del held, ids
    wait_until(lambda: spilled(statistics) == 0, what="the return of the file's space")


def test_damaged_bytes_are_an_error(spilling):
    """Of the one object; the others come back."""
    spilling()
    held = [ray.put(piece(i)) for i in range(COUNT)]
    os.pwrite(ray.session.current().files.spill, b"\xff" * 100, 50)
    lost = []
    for i, x in enumerate(held):
        try:
            assert is_piece(ray.get(x), i)
        except ObjectLostError as error:
            assert "came back damaged" in str(error)
            lost.append(i)
    assert len(lost) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_disk_is_an_error_and_loses_nothing(spilling, tmp_path_factory):
    disk = tmp_path_factory.mktemp("disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", disk], check=True)
    try:
        spilling(spill_directory=disk)
        held = []
        with pytest.raises(ObjectStoreFullError, match="spilling failed.*No space left"):
            for i in range(COUNT):
                held.append(ray.put(piece(i)))
        assert len(held) * PIECE > CAPACITY
        assert all(is_piece(ray.get(x), i) for i, x in enumerate(held))
        del held[::2]
        again = ray.put(piece(3))
        assert is_piece(ray.get(again), 3)
        ray.shutdown()
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_larger_object_than_the_store(spilling):
    spilling()
    begun = time.monotonic()
    with pytest.raises(ObjectStoreFullError):
        ray.put(np.zeros(CAPACITY + 1, np.uint8))
    assert time.monotonic() - begun < 5, "nothing to wait for"


@pytest.mark.parametrize("make", [lambda path: path / "missing", lambda path: path / "file", lambda path: 7])
def test_a_wrong_directory(fresh, tmp_path, make):
    (tmp_path / "file").write_text("")
    with pytest.raises((ValueError, TypeError), match="spill_directory"):
        fresh.init(spill_directory=make(tmp_path))
    assert not fresh.is_initialized()
