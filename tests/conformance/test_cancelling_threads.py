"""cancel(recursive=True) and calls by threads of a task: they are the task's to which the thread belongs."""

import threading
import time

import pytest

import ray_lite as ray

Cancelled = ray.exceptions.TaskCancelledError


@pytest.fixture
def bystander(fresh, gate, wait_until):
    """A call by a thread that waits until a task named "stranger" runs; `cancel(x)` ends that one with all its children."""
    fresh.init(num_cpus=1)
    arrive, arrived = gate.arrive, gate.arrived
    job = ray.remote(lambda: arrive("unharmed"))

    def calls():
        while not arrived("stranger"):
            time.sleep(0.002)
        job.remote()
        arrive("called")

    def cancel(x):
        wait_until(lambda: gate.arrived("called"), 20)
        assert ray.cancel(x, recursive=True)

    calls.cancel = cancel
    calls.unharmed = lambda: wait_until(lambda: gate.arrived("unharmed"), 20)
    return calls


def test_what_runs_inline_meanwhile_is_a_stranger(bystander, gate, wait_until):
    arrive, calls = gate.arrive, lambda: bystander()

    @ray.remote
    def stranger():
        arrive("stranger")
        time.sleep(1000)

    @ray.remote
    def outer():
        thread = threading.Thread(target=calls)
        thread.start()
        x = stranger.remote()
        arrive(f"id-{x.hex()}-")
        try:
            ray.get(x)
        except Cancelled:
            thread.join()
            return "went on"

    y = outer.remote()
    [name] = wait_until(lambda: gate.arrived("id"), 20)
    bystander.cancel(ray.ObjectID.from_hex(name.split("-")[1]))
    assert ray.get(y, timeout=20) == "went on"
    assert bystander.unharmed()


def test_a_task_that_comes_after_the_threads_own_is_a_stranger(bystander, gate):
    arrive, calls = gate.arrive, lambda: bystander()
    ray.get(ray.remote(lambda: threading.Thread(target=calls).start()).remote())

    @ray.remote
    def stranger():
        arrive("stranger")
        time.sleep(1000)

    x = stranger.remote()
    bystander.cancel(x)
    with pytest.raises(Cancelled):
        ray.get(x, timeout=20)
    assert bystander.unharmed()
