"""GPUs and thread pools of actors: chosen for life, visible in the constructor, in methods, and after a restart."""

import os
import signal

import ray_lite as ray


class Facts:
    """What a process sees of its resources."""

    def __init__(self):
        self.first = self.see()

    def see(self):
        return ray.get_gpu_ids(), os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ["OMP_NUM_THREADS"]

    def both(self):
        return self.first, self.see()

    def pid(self):
        return os.getpid()


def test_each_actor_has_gpus_of_its_own(fresh, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    fresh.init(num_cpus=4, num_gpus=2)
    one, other = [ray.remote(num_gpus=1)(Facts).remote() for _ in range(2)]
    none = ray.remote(Facts).remote()
    seen = ray.get([actor.both.remote() for actor in (one, other, none)])
    assert seen[2] == (([], "", "1"),) * 2
    assert sorted(seen[:2]) == [(([number], str(number), "1"),) * 2 for number in (0, 1)]
    del one, other
    assert ray.get(ray.remote(num_gpus=2)(lambda: ray.get_gpu_ids()).remote()) == [0, 1], "they are free again"


def test_gpus_after_a_restart(fresh, monkeypatch):
    """Any, but as many; the state says nothing of them."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    fresh.init(num_cpus=2, num_gpus=1)
    actor = ray.remote(num_gpus=1, checkpoint_interval=1)(Facts).remote()
    os.kill(ray.get([actor.both.remote(), actor.pid.remote()])[1], signal.SIGKILL)
    assert ray.get(actor.see.remote()) == ([0], "0", "1")


def test_threads_of_an_actor_that_holds_cpus(fresh):
    fresh.init(num_cpus=3)
    actor = ray.remote(num_cpus=3)(Facts).remote()
    assert [facts[2] for facts in ray.get(actor.both.remote())] == ["3", "3"]
