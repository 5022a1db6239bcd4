"""Functions become known to a session whole or not at all: shared by threads, naming each other, failing, killed."""

import os
import threading

import pytest

import ray_lite as ray
from ray_lite.exceptions import SerializationError

pytestmark = pytest.mark.usefixtures("ray_session")


class Held:
    """Its pickling says that it has begun, waits for the gate, then does what it is told."""

    def __init__(self, gate, ending):
        self.gate, self.ending = gate, ending

    def __reduce__(self):
        self.gate.arrive("pickling")
        self.gate.wait()
        return self.ending()


def refuse():
    raise RuntimeError("not this one")


def in_threads(calls):
    """What each call gives or raises, once all have ended."""
    results = [None] * len(calls)

    def run(k):
        try:
            results[k] = calls[k]()
        except Exception as error:
            results[k] = error

    threads = [threading.Thread(target=run, args=(k,)) for k in range(len(calls))]
    for thread in threads:
        thread.start()
    return threads, results


def test_a_failing_first_call_fails_in_every_thread(gate, wait_until):
    held = Held(gate, refuse)
    f = ray.remote(lambda: held)
    threads, results = in_threads([lambda: ray.get(f.remote(), timeout=20)] * 3)
    wait_until(lambda: gate.arrived("pickling"))
    gate.open()
    for thread in threads:
        thread.join(20)
    assert [type(result) for result in results] == [SerializationError] * 3
    assert ray.get(ray.remote(lambda: 1).remote(), timeout=20) == 1


def test_a_slow_first_call_is_waited_for(gate, wait_until):
    held = Held(gate, lambda: (int, ("7",)))
    f = ray.remote(lambda: held)
    threads, results = in_threads([lambda: ray.get(f.remote(), timeout=20)] * 3)
    wait_until(lambda: gate.arrived("pickling"))
    gate.open()
    for thread in threads:
        thread.join(20)
    assert results == [7] * 3 and len(gate.arrived("pickling")) == 1, "pickled once"


def test_functions_that_name_each_other():
    @ray.remote
    def f(n):
        return n if n == 0 else ray.get(g.remote(n - 1))

    @ray.remote
    def g(n):
        return n if n == 0 else ray.get(f.remote(n - 1))

    assert ray.get([f.remote(5), g.remote(6)], timeout=20) == [0, 0]


def test_a_function_behind_one_that_fails_fails_too_and_costs_nothing(statistics):
    lock = threading.Lock()

    @ray.remote
    def f(n):
        return lock, g.remote(n)

    @ray.remote
    def g(n):
        return f if n else n

    for _ in range(2):
        with pytest.raises(SerializationError):
            f.remote(0)
        with pytest.raises(SerializationError):
            g.remote(0)
    assert ray.get([ray.remote(lambda: 1).remote() for _ in range(10)], timeout=20) == [1] * 10
    assert statistics().tasks == 0


def test_a_worker_that_dies_while_one_of_its_threads_exports(gate):
    class Kills:
        def __reduce__(self):
            arrive("export")
            wait()
            os._exit(1)

    arrive, wait = gate.arrive, gate.wait
    arrived = gate.arrived

    @ray.remote(max_retries=0)
    def parent():
        import time

        deadly = Kills()
        f = ray.remote(lambda: deadly)
        threads = [threading.Thread(target=lambda: f.remote()) for _ in range(2)]
        for thread in threads:
            thread.start()
        while not arrived("export"):
            time.sleep(0.002)
        gate_open()
        for thread in threads:
            thread.join()

    gate_open = gate.open
    with pytest.raises(ray.exceptions.WorkerCrashedError):
        ray.get(parent.remote(), timeout=20)
    assert ray.get([ray.remote(lambda: 1).remote() for _ in range(10)], timeout=20) == [1] * 10


def test_what_cannot_go_by_value_goes_by_name(ray_session):
    """Of a module that workers can import: there the name stands for the decorated function."""
    import locked

    assert ray.get([locked.locked.remote(1), locked.Group.locked.remote(1)]) == [2, 3]
    assert ray.get(ray.remote(lambda: ray.get(locked.locked.remote(5))).remote()) == 6


def test_a_function_of_another_session_says_so(fresh):
    """Held by somebody who lives on: here by a module of this process, while the session changes."""
    x = ray.put([ray.remote(lambda: 1)])
    [received] = ray.get(x)
    assert ray.get(received.remote()) == 1
    ray.shutdown()
    ray.init(num_cpus=1)
    with pytest.raises(ray.exceptions.ObjectLostError, match="earlier session"):
        received.remote()
