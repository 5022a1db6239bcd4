"""What actors keep for their next process, in a small store: it is bounded, it is spilled, and it comes back."""

import os

import numpy as np
import pytest
from ledgers import kill, saving

import ray_lite as ray

MB = 1 << 20
CAPACITY = 64 * MB
PIECE = MB


def piece(number):
    return np.full(PIECE, number % 251, dtype=np.uint8)


@pytest.fixture
def small(fresh, tmp_path):
    """A session with a small store that spills."""
    place = tmp_path / "spill"
    place.mkdir()
    fresh.init(num_cpus=2, object_store_memory=CAPACITY, spill_directory=place)
    yield fresh
    ray.shutdown()
    assert os.listdir(place) == []


@ray.remote(checkpoint_interval=100_000)
class Adder:
    """Its state is small, its arguments are large."""

    def __init__(self):
        self.total, self.saves = 0, 0

    def add(self, array):
        self.total += int(array[0])
        return self.total

    def get(self):
        return self.total

    def counts(self):
        return self.total, self.saves

    def pid(self):
        return os.getpid()

    def __ray_save__(self):
        self.saves += 1
        return self.total, self.saves

    def __ray_restore__(self, state):
        self.total, self.saves = state


def test_arguments_of_an_eighth_of_the_store_bring_an_early_checkpoint(small, statistics):
    adder = Adder.remote()
    for number in range(40):
        assert ray.get(adder.add.remote(piece(number))) == sum(range(number + 1))
        assert statistics().bytes_used < CAPACITY / 8 + 4 * PIECE, "the calls that are kept are bounded"
    kill(adder)
    total, saves = ray.get(adder.counts.remote())
    assert total == sum(range(40)) and 3 <= saves <= 8


def test_arguments_and_checkpoints_that_were_spilled_come_back(small, statistics):
    actor = saving(3).remote()
    ray.get([actor.note.remote(piece(number)) for number in range(6)])  # two checkpoints; the second one has all six
    ray.get([actor.note.remote(piece(number)) for number in (6, 7)])  # arguments of calls that are kept
    held = [ray.put(piece(number)) for number in range(2 * CAPACITY // PIECE)]
    assert statistics().bytes_spilled > CAPACITY
    kill(actor)
    seen = ray.get(actor.get.remote())
    assert [int(array[-1]) for array in seen] == list(range(8)) and all(array.shape == (PIECE,) for array in seen)
    assert [int(ray.get(x)[0]) for x in held] == [number % 251 for number in range(len(held))]


def test_what_a_dead_actor_kept_in_the_file_is_freed(small, statistics, wait_until):
    actor = saving(3).remote()
    ray.get([actor.note.remote(piece(number)) for number in range(8)])
    held = [ray.put(piece(number)) for number in range(2 * CAPACITY // PIECE)]
    assert statistics().bytes_spilled > 0
    ray.kill(actor)
    del actor, held
    wait_until(lambda: statistics().bytes_spilled == 0 and statistics().objects == 0, what="an empty store")
    assert statistics().bytes_used < PIECE
