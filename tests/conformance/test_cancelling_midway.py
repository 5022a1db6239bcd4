"""cancel in the midst of something: an import comes first, and no call of ours is left half done."""

import contextlib
import operator
import os
import random
import resource
import signal
import sys
import threading
import time
from functools import partial

import psutil
import pytest

import ray_lite as ray

pytestmark = pytest.mark.usefixtures("ray_session")
Cancelled = ray.exceptions.TaskCancelledError


def test_an_import_comes_first(gate, wait_until, tmp_path):
    """Half a module would be there for later tasks; the cancellation takes effect right after it."""
    arrive, wait, place = gate.arrive, gate.wait, str(tmp_path)
    (tmp_path / "slow_to_import.py").write_text("import builtins\nbuiltins.slow_import()\nwhole = True\n")

    @ray.remote
    def imports():
        import builtins
        import sys

        builtins.slow_import = lambda: (arrive("importing"), wait())
        sys.path.insert(0, place)
        import slow_to_import

        time.sleep(1000)
        return slow_to_import.whole

    x = imports.remote()
    wait_until(lambda: gate.arrived("importing"))
    assert ray.cancel(x) and ray.wait([x], timeout=100)[0] == []
    gate.open()
    with pytest.raises(Cancelled):
        ray.get(x, timeout=10)
    whole = ray.remote(lambda: getattr(__import__("sys").modules.get("slow_to_import"), "whole", "not loaded here"))
    assert set(ray.get([whole.remote() for _ in range(20)])) <= {True, "not loaded here"}


def miss_a_signal(arrive, wait):
    """Misses the first signal, as a process does that it reaches just before `time.sleep`, then sleeps."""
    from ray_lite.workers.cancellation import CANCEL_SIGNAL

    handler = signal.signal(CANCEL_SIGNAL, signal.SIG_IGN)
    arrive("in")
    wait()
    signal.signal(CANCEL_SIGNAL, handler)
    time.sleep(1000)


@pytest.mark.parametrize("of_an_actor", [False, True])
def test_a_signal_that_was_missed_comes_again(gate, wait_until, of_an_actor):
    arrive, wait = gate.arrive, gate.wait

    @ray.remote
    class Misses:
        def miss(self):
            miss_a_signal(arrive, wait)

    actor = Misses.remote()
    x = actor.miss.remote() if of_an_actor else ray.remote(miss_a_signal).remote(arrive, wait)
    wait_until(lambda: gate.arrived("in"))
    assert ray.cancel(x) and ray.wait([x], timeout=200)[0] == []
    gate.open()
    with pytest.raises(Cancelled):
        ray.get(x, timeout=20)


def test_a_cancellation_that_comes_too_late_hits_nobody_else(gate, wait_until, worker_pids):
    """It comes while a task makes its last call of ours: the next task of that worker makes such calls, too."""
    arrive, wait = gate.arrive, gate.wait

    class Slow:
        def __reduce__(self):
            arrive("last call")
            wait()
            return int, ()

    def last():
        ray.put(Slow())

    x = ray.remote(last).remote()
    wait_until(lambda: gate.arrived("last call"))
    assert ray.cancel(x) and ray.wait([x], timeout=100)[0] == []
    gate.open()
    innocent = ray.remote(lambda: (os.getpid(), [ray.get(ray.put([k])) for k in range(5)]))
    found = ray.get([innocent.remote() for _ in range(50)], timeout=20)
    assert [values for _, values in found] == [[[k] for k in range(5)]] * 50
    assert {pid for pid, _ in found} <= set(worker_pids())
    with contextlib.suppress(Cancelled):
        assert ray.get(x, timeout=10) is None


@pytest.fixture
def collects(gate):
    """A task that is in a `__del__` until the gate opens."""
    arrive, wait = gate.arrive, gate.wait

    @ray.remote
    def collects():
        class Slow:
            def __del__(self):
                arrive("in")
                wait()
                arrive("whole")

        x = Slow()
        del x
        time.sleep(1000)

    return collects


def test_what_the_interpreter_calls_itself_is_not_interrupted(collects, gate, wait_until):
    """It would swallow the exception, and the cancellation with it."""
    x = collects.remote()
    wait_until(lambda: gate.arrived("in"))
    assert ray.cancel(x) and ray.wait([x], timeout=100)[0] == []
    gate.open()
    with pytest.raises(Cancelled):
        ray.get(x, timeout=10)
    assert gate.arrived("whole")


@pytest.mark.parametrize("what", ["get", "put", "submit", "poll", "wait"])
def test_calls_of_ours_are_not_left_half_done(what, statistics, wait_until):
    """Tasks that do nothing else are cancelled at random moments: nothing is lost of CPUs, objects, tasks, limits."""
    child = ray.remote(num_cpus=0)(lambda *x: len(x))
    never = ray.remote(num_cpus=0)(lambda: time.sleep(1000)).remote()

    @ray.remote
    def busy(box):
        while True:
            if what == "get":
                ray.get(child.remote())
            elif what == "put":
                ray.put([b"x" * 20_000])
            elif what == "submit":
                child.remote(bytes(3000), [1])
            elif what == "poll":
                with contextlib.suppress(ray.exceptions.GetTimeoutError):
                    ray.get(box[0], timeout=0)
            else:
                ray.wait([child.remote()], timeout=1)

    state = ray.remote(lambda: (sys.getrecursionlimit(), os.getcwd(), os.environ["OMP_NUM_THREADS"]))
    expected = ray.get(state.remote())
    rng = random.Random(what)
    for _ in range(60):
        x = busy.remote([never])
        time.sleep(0.004 + rng.random() * 0.004)
        ray.cancel(x)
        with pytest.raises(Cancelled):
            ray.get(x, timeout=10)
    ray.cancel(never)
    del x
    wait_until(lambda: statistics().tasks == 0 and statistics().cpus_free == statistics().cpus)
    assert ray.get([state.remote() for _ in range(20)]) == [expected] * 20
    del never
    wait_until(lambda: statistics().objects == 0)


@pytest.mark.parametrize("inline", [False, True])
def test_a_builtin_is_stopped(inline, gate, wait_until):
    """There is no frame of the user's then: `sorted` calls both."""
    called = partial(sorted, [partial(gate.arrive, "in"), partial(time.sleep, 1000)], key=operator.methodcaller("__call__"))
    f = ray.remote(called)
    x = ray.remote(lambda: ray.get(f.remote())).remote() if inline else f.remote()
    wait_until(lambda: gate.arrived("in"))
    assert ray.cancel(x, recursive=True)
    with pytest.raises(Cancelled):
        ray.get(x, timeout=10)


def test_reminders_do_not_pile_up(collects, gate, wait_until, worker_pids):
    x = collects.remote()
    wait_until(lambda: gate.arrived("in"))
    workers = [psutil.Process(pid) for pid in worker_pids()]
    threads = []
    for _ in range(50):
        ray.cancel(x)
        threads.append(max(worker.num_threads() for worker in workers))
        time.sleep(0.002)
    gate.open()
    with pytest.raises(Cancelled):
        ray.get(x, timeout=10)
    assert max(threads) < 8, "the main one, one that reminds, and those that are about to end"


def test_a_cancellation_for_which_no_thread_is_left(gate, wait_until):
    """The call of ours is not interrupted by an error about that."""
    arrive, wait = gate.arrive, gate.wait

    class Slow:
        def __reduce__(self):
            arrive("in")
            wait()
            return int, ()

    @ray.remote
    def poor():
        with open("/proc/self/statm") as file:
            mapped = int(file.read().split()[0]) * resource.getpagesize()
        before = resource.getrlimit(resource.RLIMIT_AS)
        size = threading.stack_size(64 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (mapped + (32 << 20), before[1]))
        try:
            ray.put(Slow())
            arrive("whole")
            ray.get(ray.put(1))
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)
            threading.stack_size(size)

    x = poor.remote()
    wait_until(lambda: gate.arrived("in"))
    assert ray.cancel(x) and ray.wait([x], timeout=100)[0] == []
    gate.open()
    with pytest.raises(Cancelled):
        ray.get(x, timeout=10)
    assert gate.arrived("whole")


@pytest.mark.parametrize("begun", [False, True])
def test_a_task_that_blocks_all_signals_is_told_where_it_waits(begun, gate, wait_until):
    arrive, wait = gate.arrive, gate.wait
    child = ray.remote(inline=False)(lambda: (arrive("child"), wait()))

    @ray.remote
    def deaf(box):
        from ray_lite import _core, session

        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            arrive("deaf")
            while not (begun or _core.is_cancelled(session.current().region)):
                time.sleep(0.002)
            return ray.get(box[0])
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    x = deaf.remote([child.remote()])
    wait_until(lambda: gate.arrived("child") and gate.arrived("deaf"))
    assert ray.cancel(x)
    with pytest.raises(Cancelled):
        ray.get(x, timeout=10)
