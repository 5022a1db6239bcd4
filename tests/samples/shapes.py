"""Definitions that tasks find by name in an importable module, as they do with a user's own; cheap to
import.
"""

import collections
import contextvars
import dataclasses
import enum
import threading

VARIABLE = contextvars.ContextVar("VARIABLE", default="default")
Point = collections.namedtuple("Point", "x y")
Renamed = collections.namedtuple("OtherName", "a")  # found by neither its module nor its name


@dataclasses.dataclass
class Record:
    name: str
    items: list = dataclasses.field(default_factory=list)


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


def everything(a, /, b, c=3, *rest, key, other="o", **more):
    """Every kind of parameter that Python has."""
    return a, b, c, rest, key, other, more


def fails_as(kind):
    raise kind(f"this is {kind.__name__}")


class NeedsArguments(Exception):
    """Its default pickle fails to load: that calls the class with the one formatted message."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")
        self.second = second


class Model:
    """Cannot be pickled, because of its lock."""

    def __init__(self):
        self.weights, self.lock = [1, 2], threading.Lock()


class Wrapper:
    def __init__(self, inner):
        self.inner = inner


class Slotted:
    __slots__ = ("held",)

    def __init__(self):
        self.held = threading.RLock()


async def doubled(x):
    return x * 2
