"""Exceptions that resist: guarded classes, arguments and texts that fail, cargo of arrays and ids; and failures as values."""

import builtins
import dataclasses
import gc
import pickle
import sys

import numpy as np
import pytest

import ray_lite as ray
from ray_lite import exceptions

pytestmark = pytest.mark.usefixtures("ray_session")


def failure_of(function, *args):
    with pytest.raises(BaseException) as caught:
        ray.get(ray.remote(function).remote(*args))
    assert isinstance(caught.value, exceptions.RayTaskError), repr(caught.value)
    return caught.value


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int


class Guarded(Exception):
    def __setattr__(self, name, value):
        raise AttributeError("hands off")


@pytest.mark.parametrize("kind, argument", [(Frozen, 5), (Guarded, "g")], ids=["frozen", "guarded"])
def test_classes_that_guard_their_attributes(kind, argument):
    def fails():
        raise kind(argument)

    got = failure_of(fails)
    assert isinstance(got, kind) and isinstance(got, exceptions.RayTaskError)
    assert got.args == (argument,) and vars(got).items() >= vars(kind(argument)).items()


class BadRepr:
    def __reduce__(self):
        raise TypeError("not me")

    def __repr__(self):
        raise ValueError("not even this")


class OddArgs(Exception):
    args = 5


class Endless(Exception):
    def __getattr__(self, name):
        return getattr(self, name + "_")


def deep_group():
    error = ValueError("innermost")
    for _ in range(3000):
        error = builtins.ExceptionGroup("g", [error])  # of Python 3.11 and later
    return error


ODD = {
    "syntax": lambda: SyntaxError("m", ("f", 1, 2, 5)), "repr": lambda: ValueError(BadRepr()), "args": lambda: OddArgs(),
    "getattr": lambda: Endless(), "deep": deep_group,
}


@pytest.mark.parametrize("name", [name for name in ODD if name != "deep" or sys.version_info >= (3, 11)])
def test_reporting_never_fails(name):
    make = ODD[name]

    def fails():
        raise make()

    got = failure_of(fails)
    assert isinstance(got, exceptions.RayTaskError) and "fails" in got.remote_traceback


def test_exceptions_that_hold_arrays_and_ids(statistics):
    class Carries(Exception):
        pass

    def fails():
        error = Carries(np.arange(5), "text")
        error.array, error.strided, error.x = np.ones(50_000), np.arange(10)[::3], ray.put("kept")
        raise error

    got = failure_of(fails)
    assert isinstance(got, Carries) and got.args[0].tolist() == [0, 1, 2, 3, 4]
    assert got.array.sum() == 50_000 and got.strided.tolist() == [0, 3, 6, 9]
    gc.collect()
    assert ray.get(got.x) == "kept" and ray.get(got.cause.x) == "kept"


def test_a_failure_can_be_pickled():
    def fails():
        raise KeyError("k")

    got = failure_of(fails)
    again = pickle.loads(pickle.dumps(got))
    assert isinstance(again, KeyError) and isinstance(again, exceptions.RayTaskError) and str(again) == str(got)
