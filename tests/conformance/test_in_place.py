"""Tasks in place, seen from the task around them: what it keeps as it was, and what signals do meanwhile."""

import contextlib
import os
import random
import shutil
import signal
import sys

import pytest

import ray_lite as ray


@pytest.fixture(autouse=True)
def one_worker(fresh):
    """Nobody else can run what its task waits for."""
    ray.init(num_cpus=1, max_workers=1)


def test_a_task_is_not_lost_when_a_handler_raises_on_the_way_into_it():
    """What saves the random numbers' state is the parent's for the time, and sends it a signal."""

    @ray.remote
    def parent():
        def handler(*_):
            raise LookupError("the handler's")

        def interrupted():
            random.getstate = getstate
            signal.raise_signal(signal.SIGUSR1)

        getstate, random.getstate, caught = random.getstate, interrupted, 0
        before = signal.signal(signal.SIGUSR1, handler)
        x = ray.remote(lambda: "helped").remote()
        try:
            ray.get(x)
        except LookupError:
            caught = 1
        finally:
            random.getstate = getstate
            signal.signal(signal.SIGUSR1, before)
        return caught, ray.get(x), ray.get(ray.remote(lambda: 5).remote())

    assert ray.get(parent.remote(), timeout=10) == (1, "helped", 5)
