"""copy.h: buffers of every size and alignment arrive whole, whoever copies, whatever happens meanwhile."""

import os
import random
import resource
import signal
import threading
import time

import numpy
import pytest

from ray_lite import _core

MB = 1 << 20
CHUNK = 2 * MB  # RL_COPY_CHUNK
ARENA = 96 * MB
NEVER = 1 << 40
SOURCE = numpy.frombuffer(random.Random(0).randbytes(5 * CHUNK + 4096), dtype="u1")


@pytest.fixture(autouse=True)
def policy():
    """Every test has three threads that copy from 1 MiB on; what was set before comes back."""
    before = _core.set_copy_policy(3, MB, NEVER, NEVER)
    yield
    _core.set_copy_policy(*before)


@pytest.fixture
def arena(make_region):
    return make_region(arena=ARENA)


def store(region, *buffers):
    x = _core.create_object(region, _core.next_put_id(), 0, False)
    _core.fill_object(region, _core.object_index(x), 0, (b"stream", list(buffers), [b.nbytes for b in buffers], []))
    _core.seal_object(region, x)
    return x


def arrives(region, *buffers):
    views = _core.payload(region, store(region, *buffers))[2]
    return all(numpy.array_equal(numpy.frombuffer(view, dtype="u1"), b) for view, b in zip(views, buffers, strict=True))


def sizes():
    near = [k * CHUNK + d for k in (1, 2, 4) for d in (-4097, -129, -64, -1, 0, 1, 63, 130, 4096)]
    return [0, 1, 127, 255, 256, MB - 1, MB, MB + 1, *near]


@pytest.mark.parametrize("uncached", [0, NEVER])
@pytest.mark.parametrize("threads", [1, 2, 5, 1000])
def test_every_size_arrives_whole(arena, threads, uncached):
    _core.set_copy_policy(threads, MB, uncached, NEVER)
    before, behind = SOURCE[:77], SOURCE[100:1100]
    for size in sizes():
        odd = size % 61
        assert arrives(arena, before, SOURCE[odd:odd + size], behind), size


def test_fresh_and_touched_pages_take_turns(arena):
    kept = [store(arena, SOURCE[k:CHUNK]) for k in range(8)]
    del kept[::2]
    assert all(arrives(arena, SOURCE[k:k + 4 * CHUNK]) for k in range(5))


def test_from_another_object_of_the_store(arena):
    view = _core.payload(arena, store(arena, SOURCE))[2][0]
    assert arrives(arena, numpy.frombuffer(view, dtype="u1"))


def test_no_thread_and_no_blocked_signal_is_left(arena):
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    threads = len(os.listdir("/proc/self/task"))
    assert arrives(arena, SOURCE)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask
    assert len(os.listdir("/proc/self/task")) <= threads


def test_signals_meanwhile_go_to_the_callers_threads(arena):
    heard = []
    before = signal.signal(signal.SIGALRM, lambda *_: heard.append(threading.get_ident()))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        assert all(arrives(arena, SOURCE) for _ in range(20))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert set(heard) == {threading.get_ident()}


def test_other_threads_run_meanwhile(arena):
    ticks, done = [], threading.Event()

    def tick():
        while not done.wait(0.0002):
            ticks.append(time.perf_counter())

    thread = threading.Thread(target=tick)
    thread.start()
    most = 0
    large = numpy.ones(64 * MB, dtype="u1")
    while ticks == []:
        time.sleep(0.001)
    for _ in range(10):
        x = _core.create_object(arena, _core.next_put_id(), large.nbytes + 200, False)
        began = time.perf_counter()
        _core.fill_object(arena, _core.object_index(x), 0, (b"", [large], [large.nbytes], []))
        ended = time.perf_counter()
        _core.seal_object(arena, x)
        del x
        most = max(most, sum(began < tick < ended for tick in ticks))
    done.set()
    thread.join()
    assert most >= 3


def test_without_threads_the_caller_copies(arena, worker):
    def alone(region):
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        if os.geteuid() == 0:
            os.setuid(65_534)  # root is exempt
        with pytest.raises(RuntimeError):
            threading.Thread(target=int).start()
        assert arrives(region, SOURCE)

    assert worker(arena, alone)[0].wait() == 0


def test_several_processes_copy_at_once(arena, worker):
    def copy(region):
        assert all(arrives(region, SOURCE[k:]) for k in range(9))

    children = [worker(arena, copy)[0] for _ in range(3)]
    copy(arena)
    assert [child.wait() for child in children] == [0, 0, 0]


def test_a_child_forked_meanwhile_copies_too(arena, worker):
    stopped = threading.Event()

    def copy(region):
        assert arrives(region, SOURCE)

    def copy_on():
        while not stopped.is_set():
            copy(arena)

    thread = threading.Thread(target=copy_on)
    thread.start()
    try:
        assert [worker(arena, copy)[0].wait() for _ in range(5)] == [0] * 5
    finally:
        stopped.set()
        thread.join()


def test_a_kill_meanwhile_leaves_an_unsealed_object(arena, worker, bury):
    for delay in range(5):
        child, slot = worker(arena, lambda region: [arrives(region, SOURCE) for _ in range(10_000)])
        time.sleep(0.02 + delay / 100)
        child.kill()
        bury(arena, slot)
        arena.check()
    assert arrives(arena, SOURCE)


def test_huge_pages_are_committed_by_their_first_touch(make_region):
    """A region that takes its file's pages for huge ones: what is committed is in the file."""
    region = make_region(arena=ARENA, page_bytes=CHUNK, commit_bytes=CHUNK)
    assert arrives(region, SOURCE)
    file = os.fstat(make_region.files_of(region).files[1])
    assert file.st_blocks * 512 >= region.statistics()["bytes_committed"] >= len(SOURCE)
