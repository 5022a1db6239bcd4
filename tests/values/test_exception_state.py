"""Exceptions as parts of values: made again without `__init__`, with all they hold."""

import pytest

from ray_lite import exceptions
from ray_lite.values.exception_state import both, make
from ray_lite.values.serialization import dumps, loads


def through(value):
    return loads(bytes(dumps(value).stream))


class TwoArguments(Exception):
    def __init__(self, code, where):
        super().__init__(f"{code} at {where}")
        self.code = code


class Prefixed(ValueError):
    def __init__(self, text):
        super().__init__("prefix: " + text)


class Keyword(OSError):
    def __init__(self, *, name):
        super().__init__(2, "missing", name)


class OwnNew(Exception):
    def __new__(cls, first, second):
        return super().__new__(cls, first)

    def __init__(self, first, second):
        super().__init__(first)


class Slotted(Exception):
    __slots__ = ("extra",)


class OwnReduce(Exception):
    def __init__(self, a, b):
        self.a, self.b = a, b

    def __reduce__(self):
        return OwnReduce, (self.a + 1, self.b)


class Chooses(Exception):
    def __new__(cls, *args):
        return super().__new__(Chosen)


class Chosen(Chooses):
    pass


def holding_itself():
    error = KeyError("k")
    error.me = error
    return error


def slotted():
    error = Slotted("text")
    error.extra = [1]
    return error


@pytest.mark.parametrize(
    "error",
    [
        TwoArguments(3, "here"),
        Prefixed("once"),
        Keyword(name="file"),
        OwnNew(1, 2),
        slotted(),
        ValueError("plain", 2),
        SystemExit(3),
        FileNotFoundError(2, "text", "name"),
        StopIteration(7),
        ImportError("text", name="module", path="/p"),
        Chosen("c"),
        UnicodeDecodeError("utf-8", b"ab", 0, 1, "reason"),
        KeyError("k"),
        exceptions.GetTimeoutError("late"),
    ],
    ids=repr,
)
def test_they_come_back_as_they_were(error):
    error.note = ["kept"]
    back = through({"error": error})["error"]
    assert type(back) is type(error) and back.args == error.args and str(back) == str(error) and back.note == ["kept"]
    for name in ("code", "errno", "filename", "value", "name", "reason", "extra"):
        assert getattr(back, name, None) == getattr(error, name, None)


def test_classes_that_define_their_pickling_keep_it():
    assert through(OwnReduce(1, 2)).a == 2
    with open(__file__) as unpicklable:
        error = AttributeError("text", name="n", obj=unpicklable)  # pickle leaves `obj` out, too
        assert through(error).name == "n" and through(error).obj is None


def test_cycles_and_groups():
    error = through(holding_itself())
    assert error.me is error
    cause = through([holding_itself(), TwoArguments(1, "x")])[1]
    assert cause.code == 1


def test_a_class_of_two():
    error = both(exceptions.RayTaskError, Chosen("c"), {})
    assert isinstance(error, exceptions.RayTaskError) and isinstance(error, Chosen) and error.args == ("c",)
    assert isinstance(both(exceptions.RayTaskError, OwnNew(1, 2), {}), OwnNew)
    assert isinstance(both(exceptions.RayTaskError, FileNotFoundError(2, "t", "n"), {}), FileNotFoundError)
    assert make(OwnNew, (1,)).args == (1,)
