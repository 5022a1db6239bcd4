"""How long a call keeps its caller: cancelling, and ids in great numbers.

Speed is bench/'s to measure. The bounds here are so generous that only a broken mechanism misses them: medians and best of
several, ten times what is promised, or compared with what the caller can't do without, measured beside it.
"""

import resource
import time
from statistics import median

import pytest

import ray_lite as ray

Cancelled = ray.exceptions.TaskCancelledError
TRIES = 5

# ---------------------------------------------------------------- cancelling

BOUNDS = {"queued": 0.1, "asleep": 0.5, "killed": 0.5}  # seconds from the call of cancel until get raises


@pytest.fixture
def asleep(ray_session, gate, wait_until):
    """`asleep()`: a task that sleeps for ever, and does."""
    arrive = gate.arrive

    @ray.remote
    def sleep():
        arrive("asleep")
        time.sleep(1000)

    def start():
        before = len(gate.arrived("asleep"))
        x = sleep.remote()
        wait_until(lambda: len(gate.arrived("asleep")) > before)
        return x

    return start


def until_cancelled(x, **how):
    started = time.perf_counter()
    assert ray.cancel(x, **how)
    with pytest.raises(Cancelled):
        ray.get(x, timeout=20)
    return time.perf_counter() - started


def test_a_queued_task_is_cancelled_at_once(asleep):
    held = [asleep(), asleep()]  # both CPUs
    queued = ray.remote(lambda: None)
    assert median(until_cancelled(queued.remote()) for _ in range(TRIES)) < BOUNDS["queued"]
    for x in held:
        ray.cancel(x)


@pytest.mark.parametrize("force", [False, True])
def test_a_sleeping_task_is_cancelled_at_once(asleep, force):
    bound = BOUNDS["killed" if force else "asleep"]
    assert median(until_cancelled(asleep(), force=force) for _ in range(TRIES)) < bound


# ---------------------------------------------------------------- ids in great numbers


def cost(call):
    """The least processor time of a call by this thread, and how often it went to sleep at least."""
    tries = []
    for _ in range(TRIES):
        slept, started = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw, time.thread_time()
        call()
        seconds = time.thread_time() - started
        tries.append((seconds, resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - slept))
    return min(seconds for seconds, _ in tries), min(slept for _, slept in tries)


@pytest.fixture
def sealed(ray_session):
    ids = [ray.put(k) for k in range(100_000)]
    yield ids
    del ids


CALLS = {"get": ray.get, "wait": lambda ids: ray.wait(ids, num_returns=len(ids))}


@pytest.mark.parametrize("name", CALLS)
def test_one_call_with_many_ids_takes_linear_time(sealed, name):
    """Of 100,000 as of 10,000: a small multiple of copying the list, which meets the same cold caches."""
    copies = []
    for ids in (sealed[:10_000], sealed):
        (copying, _), (seconds, slept) = cost(lambda ids=ids: ids[:]), cost(lambda ids=ids: CALLS[name](ids))
        assert slept == 0, "everything is there"
        copies.append(seconds / copying)
    few, many = copies
    assert many < 200 and many < 5 * few, copies  # 4 to 15; quadratic: ten times as many


@pytest.mark.parametrize("number", [2_000, 4_000])
def test_draining_one_by_one_takes_little_more_than_making_the_lists(sealed, number):
    """Each `wait` gives a list of those that are left, so that much is quadratic."""

    def drain():
        left = sealed[:number]
        while left:
            _, left = ray.wait(left)

    def peel():
        left = sealed[:number]
        while left:
            left = left[1:]

    (least, _), (seconds, slept) = cost(peel), cost(drain)
    assert slept == 0 and seconds < 20 * least, (seconds, least)


def test_running_the_many_arguments_of_a_task_inline_takes_linear_time(fresh):
    """The parent runs them all, since it has the only CPU; each time it looks which of them is not there yet."""
    fresh.init(num_cpus=1)
    child = ray.remote(lambda k: k)
    counts = ray.remote(lambda *values: len(values))

    @ray.remote
    def seconds(number):
        ids = [child.remote(k) for k in range(number)]
        started = time.thread_time()
        assert ray.get(counts.remote(*ids)) == number
        return time.thread_time() - started

    few, many = (min(ray.get(seconds.remote(number)) for _ in range(3)) for number in (4_000, 16_000))
    assert many < 8 * few, (few, many)  # 4 times the arguments; quadratic: 12 times the time and more
