"""Waiting for objects: by one, by several threads and processes, with deadlines and signals; no wake-up is lost."""

import gc
import os
import random
import signal
import threading
import time

import pytest

from ray_lite import _core

MILLION = 1_000_000
LONG = 20_000 * MILLION  # a sleep that only a wake-up ends in time


def echo(x):
    return x


@pytest.fixture
def calls(region, tasks):
    return tasks(region, {"echo": echo})


def wait(region, ids, allowed=0, milliseconds=30_000, looks=1 << 20, spin=0):
    deadline = time.monotonic_ns() + milliseconds * MILLION
    return _core.wait_for_ids(region, ids, allowed, (deadline, spin, LONG), looks)


def pending(calls, count):
    return [calls.call("echo")(k) for k in range(count)]


def test_what_is_ready_is_not_waited_for(region):
    ids = [_core.put_plain(region, k) for k in range(5)]
    assert wait(region, ids, milliseconds=0, looks=1)
    assert _core.lacking(region, ids) == []


def test_a_deadline_ends_a_wait(region, calls):
    ids = pending(calls, 2)
    before = time.monotonic()
    assert not wait(region, ids, milliseconds=50)
    assert 0.05 <= time.monotonic() - before < 5
    assert _core.lacking(region, ids) == ids


def test_looks_end_a_wait_without_a_deadline(region, calls):
    assert not _core.wait_for_ids(region, pending(calls, 1), 0, (-1, 0, MILLION), 10)


def test_no_more_than_the_allowed_ones_are_lacking(region, calls, worker):
    ready, never = [_core.put_plain(region, k) for k in range(3)], pending(calls, 2)
    assert wait(region, ready + never, allowed=2, milliseconds=0)
    assert not wait(region, ready + never, allowed=1, milliseconds=20)


@pytest.mark.parametrize("spin", [0, 2_000 * MILLION])
def test_a_seal_wakes_the_waiter(region, calls, worker, spin):
    """Asleep or spinning: nothing else would end the wait before the deadline."""
    ids = pending(calls, 1)
    child, _ = worker(region, calls.worker)
    assert wait(region, ids, spin=spin)
    assert calls.get(ids[0]) == 0
    _core.close_session(region)


def test_a_wait_for_many_ends_with_the_last(region, calls, worker):
    ids = pending(calls, 300)
    child, _ = worker(region, calls.worker)
    for allowed in (299, 200, 1, 0):
        assert wait(region, ids, allowed=allowed)
        assert len(_core.lacking(region, ids)) <= allowed
    assert [calls.get(x) for x in ids] == list(range(300))
    _core.close_session(region)


def test_signal_handlers_run_and_the_wait_goes_on_or_not(region, calls):
    """EINTR ends the sleep; an exception of the handler ends the wait, with no mark left."""
    ids, seen = pending(calls, 1), []

    class Stop(Exception):
        pass

    def handler(number, frame):
        seen.append(number)
        raise Stop

    previous = signal.signal(signal.SIGUSR1, handler)
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
    try:
        timer.start()
        with pytest.raises(Stop):
            while True:  # a signal can come between two waits
                assert not wait(region, ids, milliseconds=10_000, looks=1000)
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, previous)
    assert seen == [signal.SIGUSR1]
    assert not wait(region, ids, milliseconds=5)


def test_threads_wait_for_different_objects(region, calls, worker):
    """Each of them needs another number of arrivals; the wake-up of one must not be taken for another's."""
    ids, done = pending(calls, 60), []

    def wait_for(some):
        assert wait(region, some)
        done.append(len(some))

    threads = [threading.Thread(target=wait_for, args=(ids[k:],)) for k in (0, 10, 30, 50, 59)]
    for thread in threads:
        thread.start()
    child, _ = worker(region, calls.worker)
    for thread in threads:
        thread.join(30)
    assert sorted(done) == [1, 10, 30, 50, 60]
    _core.close_session(region)


def waiting_child(region, tokens, rounds):
    """Waits for each object in turn, with sleeps that only a wake-up ends in time; the slowest of them."""
    slowest = 0
    for token in tokens:
        x = _core.id_from_token(*token)
        before = time.monotonic()
        assert wait(region, [x], milliseconds=15_000)
        slowest = max(slowest, time.monotonic() - before)
    assert slowest < 15
    return rounds


def test_many_processes_wait_for_the_same_objects(region, calls, worker):
    """The mark becomes MANY, and each of them is told of every seal."""
    ids = pending(calls, 200)
    tokens = [_core.id_token(x) for x in ids]
    waiters = [worker(region, lambda region: waiting_child(region, tokens, 1)) for _ in range(4)]
    runner, _ = worker(region, calls.worker)
    assert wait(region, ids)
    for child, _ in waiters:
        assert child.wait() == 0
    _core.close_session(region)


def test_stale_marks_cost_a_bump_and_harm_nobody(region, calls, worker):
    """Waits that timed out leave marks that others overwrite; later seals still wake who waits now."""
    ids = pending(calls, 50)
    for x in ids:
        assert not wait(region, [x], milliseconds=0, looks=2)
    dead, slot = worker(region, lambda region: wait(region, rehold(ids), milliseconds=60_000))
    dead.kill()
    _core.begin_sweep(region, slot)
    _core.end_sweep(region, slot)
    runner, _ = worker(region, calls.worker)
    assert wait(region, ids)
    _core.close_session(region)


def rehold(ids):
    return [_core.id_from_token(_core.object_index(x), 0, b"") for x in ids]


def test_a_mark_of_a_finished_wait_does_not_hide_the_next_waiter(region, calls, worker):
    """Ready-made rounds of wait and seal, in which the wake-up is needed each time."""
    runner, _ = worker(region, calls.worker)
    rng = random.Random(3)
    slowest = 0.0
    for number in range(2000):
        x = calls.call("echo")(number)
        before = time.monotonic()
        assert wait(region, [x], spin=rng.choice((0, 0, 20_000)))
        slowest = max(slowest, time.monotonic() - before)
        assert calls.get(x) == number
    assert slowest < 10, "a wake-up came too late: it was lost, and a later one made up for it"
    _core.close_session(region)


def test_a_view_keeps_the_object_after_the_wait(region, calls):
    x = _core.put_plain(region, "a")
    assert wait(region, [x])
    del x
    gc.collect()
    assert region.statistics()["objects"] == 1  # the function
