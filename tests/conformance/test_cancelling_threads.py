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
    job = ray.remote(lambda: "unharmed")

    def calls():
        while not arrived("stranger"):
            time.sleep(0.002)
        arrive(f"job-{job.remote().hex()}-")

    def cancel(x):
        [name] = wait_until(lambda: gate.arrived("job"), 20)
        assert ray.cancel(x, recursive=True)
        return ray.ObjectID.from_hex(name.split("-")[1])

    calls.cancel = cancel
    return calls


def test_what_runs_in_place_meanwhile_is_a_stranger(bystander, gate, wait_until):
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
    job = bystander.cancel(ray.ObjectID.from_hex(name.split("-")[1]))
    assert ray.get(y, timeout=20) == "went on"
    assert ray.get(job, timeout=20) == "unharmed"


def test_a_task_that_comes_after_the_threads_own_is_a_stranger(bystander, gate):
    arrive, calls = gate.arrive, lambda: bystander()
    ray.get(ray.remote(lambda: threading.Thread(target=calls).start()).remote())

    @ray.remote
    def stranger():
        arrive("stranger")
        time.sleep(1000)

    x = stranger.remote()
    job = bystander.cancel(x)
    with pytest.raises(Cancelled):
        ray.get(x, timeout=20)
    assert ray.get(job, timeout=20) == "unharmed"
