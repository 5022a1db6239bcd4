"""Errors of values that can't be loaded: they name the value, the place and the way out, and keep their class."""

import pickle
import sys
import types

import pytest

from ray_lite.exceptions import GetTimeoutError, SerializationError
from ray_lite.values.load_errors import end_of_pickle, load
from ray_lite.values.serialization import dumps


class NeedsTwo:
    def __init__(self, a, b):
        pass

    def __reduce__(self):
        return NeedsTwo, (1,)


class Refuses:
    def __setstate__(self, state):
        raise LookupError("no state")

    def __getstate__(self):
        return {"a": 1}


class Late:
    def __reduce__(self):
        return late, ()


def late():
    raise GetTimeoutError("from an id")


def loaded(value):
    return load(dumps(value).stream, (), lambda: "the value stored at here.py:3 in main")


@pytest.mark.parametrize(
    "value, kind, words",
    [
        (NeedsTwo(1, 2), TypeError, ["NeedsTwo", "missing 1 required positional argument", "__reduce__"]),
        ([1, {"a": Refuses()}], LookupError, ["test_load_errors.Refuses", "no state", "__setstate__"]),
    ],
)
def test_the_error_says_where_and_what(value, kind, words):
    with pytest.raises(SerializationError) as caught:
        loaded(value)
    assert isinstance(caught.value, kind) and isinstance(caught.value.__cause__, kind)
    for word in ["the value stored at here.py:3 in main", *words]:
        assert word in str(caught.value)


def test_what_is_missing_is_named(monkeypatch):
    module = types.ModuleType("away_for_good")
    exec("class Gone: pass", module.__dict__)
    module.Gone.__module__ = "away_for_good"
    monkeypatch.setitem(sys.modules, "away_for_good", module)
    stream = pickle.dumps(module.Gone(), 5)
    del module.Gone
    with pytest.raises(AttributeError, match="away_for_good.Gone.*\n.*another|another file") as caught:
        load(stream, (), lambda: "it")
    assert isinstance(caught.value, SerializationError)
    monkeypatch.delitem(sys.modules, "away_for_good")
    with pytest.raises(ModuleNotFoundError, match="'away_for_good' must be importable"):
        load(stream, (), lambda: "it")


def test_our_own_errors_pass():
    with pytest.raises(GetTimeoutError, match="from an id"):
        loaded(Late())


def test_the_end_of_a_pickle():
    for value in (1, [b"x" * 100_000], {"a": NeedsTwo(1, 2)}):
        stream = pickle.dumps(value, 5)
        assert end_of_pickle(stream) == end_of_pickle(stream + b"and more.") == len(stream)
