"""Actors that wait for each other, and the text of the DeadlockError that one gets."""

import re
import time

import pytest

import ray_lite as ray
from ray_lite.exceptions import DeadlockError, RayActorError

SOON = 10  # seconds within which a cycle is found, even on a busy machine


@ray.remote(num_cpus=0)
class Box:
    """Holds an id, in a list, until somebody takes it out."""

    def __init__(self):
        self.held = []

    def keep(self, ids):
        self.held = ids

    def get(self):
        return self.held


def get_boxed(box):
    """The value of the id in a box, as soon as there is one."""
    while not (held := ray.get(box.get.remote())):
        time.sleep(0.01)
    return ray.get(held[0])


class Early:
    """Waits for itself before it is made."""

    def __init__(self):
        ray.get(ray.current_actor().name.remote())

    def name(self):
        return "early"


def why(x):
    """The text of the DeadlockError (or of the actor's end by one) that `get` raises, without the names of tests in it."""
    with pytest.raises((DeadlockError, RayActorError), match="wait for each other for ever") as caught:
        ray.get(x)
    return re.sub(r"test_\w+\.<locals>\.", "", str(caught.value))


@ray.remote(num_cpus=0)
class Node:
    """An actor that calls others as told."""

    def __init__(self, first=None):
        self.seen = []

    def name(self):
        return "node"

    def note(self, x):
        self.seen.append(x)
        return list(self.seen)

    def own(self):
        return ray.get(ray.current_actor().name.remote())

    def ask(self, other, *further):
        """Waits for `ask` of the next one, which waits for the one after it, and so on; the last is asked for its name."""
        return ray.get(other.ask.remote(*further) if further else other.name.remote())

    def hold(self, wait):
        wait()
        return "held"

    def pass_on(self, other, box):
        return ray.get(other.note.remote(box[0]))

    def survive(self, other):
        return ray.get(other.try_ask.remote(ray.current_actor()))

    def try_ask(self, other):
        time.sleep(0.3)  # the other one waits by then
        try:
            return self.ask(other)
        except DeadlockError:
            return "survived"

    def fetch(self, box):
        return ray.get(box[0])

    def compute(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass
        return "computed"
