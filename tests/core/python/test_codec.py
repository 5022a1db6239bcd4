"""The byte code of plain values: what goes in comes out, what isn't plain is left alone, damage raises."""

import enum
import math
import random
import struct
from collections import OrderedDict, namedtuple

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_lite import _core
from ray_lite.exceptions import RaySystemError

DAMAGED = (RaySystemError, UnicodeDecodeError)

SCALARS = [
    None, True, False, 0, 1, -1, 2**31, -(2**31), 2**63 - 1, -(2**63), 0.0, -0.0, 1.5, math.inf, -math.inf, 5e-324,
    "", "a", "\0", "ä€😀", "x" * 900, b"", b"\0\xff", b"y" * 900,
]  # fmt: skip
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.binary(max_size=20),
)  # fmt: skip
plain = st.one_of(
    scalars,
    st.lists(scalars, max_size=12),
    st.lists(scalars, max_size=12).map(tuple),
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), scalars, max_size=9),
)


def alike(a, b):
    """Equal, of equal types, all the way down; and 0.0 is not -0.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(alike(a[key], b[key]) for key in a)
    return struct.pack("d", a) == struct.pack("d", b) if isinstance(a, float) else a == b


def test_scalars_come_back():
    assert [value for value in SCALARS if not alike(_core.decode(_core.encode(value)), value)] == []


def test_a_nan_comes_back():
    assert math.isnan(_core.decode(_core.encode(math.nan)))


@settings(max_examples=400, deadline=None)
@given(plain)
def test_plain_values_come_back(value):
    data = _core.encode(value)
    assert data is not None and alike(_core.decode(data), value)


def test_dictionaries_keep_their_order():
    assert list(_core.decode(_core.encode({"b": 1, "a": 2, "": 3}))) == ["b", "a", ""]


class Int(int):
    pass


class Str(str):
    pass


class Color(enum.IntEnum):
    RED = 1


Pair = namedtuple("Pair", "a b")
NOT_PLAIN = [
    2**63, -(2**63) - 1, 10**100, 1j, Int(3), Str("a"), Color.RED, Pair(1, 2), OrderedDict(a=1), numpy.float64(1.5),
    numpy.int64(3), numpy.bool_(True), {1: 2}, {Str("a"): 1}, [[]], [()], ([1],), {"a": []}, {"a": {}}, [Int(1)], set(),
    frozenset(), bytearray(b"a"), object, len, ..., "\ud800", ["\udfff"], {"\ud800": 1}, range(3), memoryview(b"a"),
]  # fmt: skip


def test_what_is_not_plain_is_left_alone():
    assert [value for value in NOT_PLAIN if _core.encode(value) is not None] == []


@pytest.mark.parametrize("value", [[0] * 256, (0,) * 256, {str(k): None for k in range(256)}])
def test_more_than_255_items_are_left_alone(value):
    assert _core.encode(value) is None


@pytest.mark.parametrize("value", [[None] * 255, (None,) * 255, {chr(k + 40): None for k in range(80)}])
def test_as_many_as_fit_come_back(value):
    assert alike(_core.decode(_core.encode(value)), value)


def test_the_room_is_never_exceeded():
    """1,000 bytes, of which a string costs five."""
    for length in range(980, 1010):
        exceed(length)


def exceed(length):
    for value in ("x" * length, b"x" * length):
        data = _core.encode(value)
        assert (data is not None) == (length + 5 <= 1000)
        assert data is None or len(data) == length + 5
    assert (_core.encode(["x" * length]) is not None) == (length + 7 <= 1000)
    assert (_core.encode(["x" * length, None]) is not None) == (length + 8 <= 1000)
    assert (_core.encode(["x" * length, 1]) is not None) == (length + 16 <= 1000)


def test_every_truncation_raises():
    for value in [*SCALARS, [1, "a", b"b", 2.0, None], {"a": 1, "b": "c"}, (True, False)]:
        data = _core.encode(value)
        for n in range(len(data)):
            with pytest.raises(DAMAGED):
                _core.decode(data[:n])


def test_random_bytes_raise_or_mean_something():
    """Whatever a crashed worker wrote: no crash, no read beyond the end."""
    rng, errors = random.Random(3), 0
    for _ in range(20_000):
        data = bytes(rng.choice(b"NTFifsbtld\0\1\2\5\xff") for _ in range(rng.randrange(14)))
        try:
            _core.decode(data)
        except DAMAGED:
            errors += 1
    assert errors > 1000


def test_lengths_beyond_the_end_raise():
    for tag in b"sb":
        for n in (2, 2**31, 2**32 - 1):
            with pytest.raises(DAMAGED):
                _core.decode(bytes([tag]) + n.to_bytes(4, "little") + b"a")


def test_containers_in_containers_are_damage():
    """A million levels would need more stack than there is."""
    for tag in (b"t", b"l", b"d"):
        with pytest.raises(DAMAGED):
            _core.decode((tag + b"\1") * 1_000_000 + b"N")
