"""Streams: long bytes and texts go into the store from where they are, at any depth."""

import pickle
import tracemalloc

import pytest

from ray_lite.values.serialization import JOINED_MOST, Pieces, dumps, flat, loads

LONG = 3 * JOINED_MOST


@pytest.mark.parametrize(
    "value",
    [
        b"b" * LONG,
        bytearray(LONG),
        "t" * LONG,
        "\N{GREEK SMALL LETTER MU}" * LONG,
        [b"x" * 70_000, {"k": b"y" * LONG}],
        ("a" * JOINED_MOST, b"", "b" * JOINED_MOST),
        [b"x" * 65_536] * 3,
        list(range(500_000)),
    ],
    ids=lambda v: type(v).__name__,
)
def test_streams_in_pieces_hold_what_pickle_writes(value):
    pickled = dumps(value)
    assert loads(bytes(pickled.stream), flat(pickled)) == value
    place = bytearray(len(pickled.stream))
    if isinstance(pickled.stream, Pieces):
        pickled.stream.copy_to(memoryview(place))
        assert place == bytes(pickled.stream)
    assert bytes(pickled.stream) == pickle.dumps(value, 5)


@pytest.mark.parametrize(
    "value", [bytes(LONG), bytearray(LONG), {"inside": [bytes(LONG)]}], ids=["bytes", "bytearray", "inside"]
)
def test_long_bytes_are_not_copied_for_the_stream(value):
    dumps(value)  # what is imported or made once
    tracemalloc.start()
    try:
        dumps(value)
        assert tracemalloc.get_traced_memory()[1] < LONG // 4
    finally:
        tracemalloc.stop()


def test_a_text_behind_the_pickle_is_passed_over():
    for value in ([1], [b"x" * LONG]):
        pickled = dumps(value).followed_by("task name")
        assert bytes(pickled.stream).endswith(b"task name") and loads(bytes(pickled.stream)) == value
