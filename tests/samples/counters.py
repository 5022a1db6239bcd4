"""Remote classes of the tests."""

import functools

import ray_lite as ray


class Counter:
    """Counts."""

    count = 7

    def __init__(self, start=0, *, step=1):
        self.value, self.step = start, step

    def add(self, by=1):
        """Adds, and returns the sum."""
        self.value += by * self.step
        return self.value

    def get(self):
        return self.value

    def fail(self, error):
        self.value += 100
        raise error

    @property
    def doubled(self):
        return 2 * self.value

    @functools.cached_property
    def tripled(self):
        return 3 * self.value

    @staticmethod
    def square(x):
        return x * x

    @classmethod
    def named(cls, suffix):
        return cls.__name__ + suffix

    @ray.method(num_return_vals=2)
    def both(self):
        return self.value, -self.value

    @ray.method(num_return_vals=0)
    def forget(self):
        self.value = 0


Remote = ray.remote(Counter)


@ray.remote
class Decorated:
    """A remote class under the name of its class."""

    def hello(self):
        return "hello"


class Late:
    """Methods that are bound late, and a wrapped one."""

    def power(self, x, n):
        return x**n

    square = functools.partialmethod(power, n=2)

    @functools.lru_cache  # noqa: B019  (its object lives as long as the test)
    def cached(self, x):
        return x
