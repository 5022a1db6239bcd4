"""A decorated function whose globals cannot be pickled, and one with an attribute named as a method of its handle."""

import threading

import ray_lite as ray

_lock = threading.Lock()


@ray.remote
def locked(x):
    """Adds one, alone."""
    with _lock:
        return x + 1


class Group:
    """A namespace."""

    @staticmethod
    @ray.remote
    def locked(x):
        """Adds two, alone."""
        with _lock:
            return x + 2
