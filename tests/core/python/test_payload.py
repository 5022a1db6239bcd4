"""Payloads: streams and buffers go in once and come back as aligned views; damaged lengths raise."""

import contextlib
import os
import random
import struct

import numpy
import pytest

from ray_lite import _core
from ray_lite.exceptions import RaySystemError


def store(region, stream, buffers=(), contained=(), error=False):
    size = len(stream) + sum(map(len, buffers)) + 100 * len(buffers) + 100
    x = _core.create_object(region, _core.next_put_id(), size, False)
    kind = _core.ERROR if error else 0
    parts = (stream, list(buffers), [memoryview(b).nbytes for b in buffers], list(contained))
    _core.fill_object(region, _core.object_index(x), kind, parts)
    _core.seal_object(region, x)
    return x


def read(region, x):
    error, stream, buffers = _core.payload(region, x)
    return error, bytes(stream), [bytes(b) for b in buffers]


@pytest.mark.parametrize("length", [0, 1, 39, 40, 41, 1000, 100_000])
def test_a_stream_comes_back(region, length):
    stream = bytes(k % 251 for k in range(length))
    assert read(region, store(region, stream)) == (False, stream, [])
    assert read(region, store(region, stream, error=True)) == (True, stream, [])


@pytest.mark.parametrize("seed", range(5))
def test_buffers_come_back(region, seed):
    rng = random.Random(seed)
    for _ in range(30):
        stream = rng.randbytes(rng.choice((0, 1, 63, 64, 500)))
        buffers = [rng.randbytes(rng.choice((0, 1, 64, 5000, 70_000))) for _ in range(rng.randrange(1, 9))]
        assert read(region, store(region, stream, buffers)) == (False, stream, buffers)


def test_buffers_are_aligned_and_not_copied(region):
    x = store(region, b"odd", [b"a" * 7, b"b" * 1000, b"c" * 100_000])
    first, second = ([address(v) for v in _core.payload(region, x)[2]] for _ in range(2))
    assert first == second
    assert not [at for at in first if at % 64]


def address(view):
    return numpy.frombuffer(view, dtype="uint8").ctypes.data


def test_buffers_of_every_kind_go_in(region):
    array = numpy.arange(1000, dtype="float64")
    x = store(region, b"", [array, bytearray(b"xyz"), memoryview(b"abcdef")])
    views = _core.payload(region, x)[2]
    assert (numpy.frombuffer(views[0], dtype="float64") == array).all()
    assert [bytes(v) for v in views[1:]] == [b"xyz", b"abcdef"]


class Gatherer:
    """Writes itself, as strided arrays do."""

    def __len__(self):
        return 300

    def copy_to(self, room):
        assert len(room) == 300 and not room.readonly
        room[:] = b"g" * 300


def test_a_gatherer_writes_itself_into_place(region):
    x = _core.create_object(region, _core.next_put_id(), 1000, False)
    _core.fill_object(region, _core.object_index(x), 0, (b"s", [Gatherer()], [300], []))
    _core.seal_object(region, x)
    assert read(region, x) == (False, b"s", [b"g" * 300])


def test_a_buffer_that_changed_its_length_is_refused(region):
    x = _core.create_object(region, _core.next_put_id(), 1000, False)
    with pytest.raises(ValueError, match="changed its length"):
        _core.fill_object(region, _core.object_index(x), 0, (b"s", [b"12345"], [6], []))
    region.check()


def test_plain_values_need_no_stream(region):
    x = _core.put_plain(region, {"a": 1})
    assert _core.payload(region, x) == (False, None, {"a": 1})


def test_a_bare_error_is_in_the_entry(region):
    x, before = _core.create_object(region, _core.next_put_id(), 0, False), region.statistics()["bytes_used"]
    with pytest.raises(ValueError, match="room for 40 bytes of plain values"):
        _core.fill_bare_error(region, _core.object_index(x), ("x" * 40, 1))
    _core.fill_bare_error(region, _core.object_index(x), ("WorkerCrashedError", 2**40))
    _core.seal_object(region, x)
    assert _core.payload(region, x) == (True, None, ("WorkerCrashedError", 2**40))
    assert region.statistics()["bytes_used"] == before and _core.get_ready(region, x) is _core.MISS


DAMAGE = [(0, 2**64 - 1), (0, 2**60), (0, 1000), (8, 2**64 - 1), (8, 2**63), (8, 5000), (16, 2**64 - 8), (16, 2**40),
          (24, 2**64 - 1), (24, 2**63), (24, 100_000)]  # fmt: skip


@pytest.mark.parametrize("at, value", DAMAGE)
def test_damaged_lengths_raise(make_region, words, at, value):
    """Whatever a crashed worker left there: never a view outside of the object."""
    region = make_region()
    place = make_region.files_of(region)
    x = store(region, b"stream", [b"a" * 3000, b"b" * 100])
    control, index = words(place), _core.object_index(x)
    assert control.get(control.entry("object", index, "extent"))
    head = find(place.files[1], struct.pack("QQ", 2, 6))
    with overwritten(place.files[1], head + at, value), pytest.raises(RaySystemError, match="damaged"):
        _core.payload(region, x)
    assert read(region, x) == (False, b"stream", [b"a" * 3000, b"b" * 100])


def find(file, pattern):
    return os.pread(file, 1 << 20, 0).index(pattern)


@contextlib.contextmanager
def overwritten(file, at, value):
    old = os.pread(file, 8, at)
    os.pwrite(file, struct.pack("Q", value), at)
    try:
        yield
    finally:
        os.pwrite(file, old, at)


@pytest.mark.parametrize("size", [1 << 20, 1 << 40, 2**63])
def test_a_damaged_size_never_leaves_the_region(make_region, words, size):
    """Of a stream: either refused, or a view that ends inside the region."""
    region = make_region()
    x = store(region, b"s" * 500)
    control = words(make_region.files_of(region))
    word = control.entry("object", _core.object_index(x), "size")
    with control.damaged(word, lambda old: size):
        try:
            assert len(bytes(_core.payload(region, x)[1])) == size
        except RaySystemError:
            assert size > 1 << 20


def test_the_largest_are_named(region):
    sizes = [100, 50_000, 3000, 41, 200_000]
    held = [store(region, b"x" * size) for size in sizes]
    found = [_core.object_facts(region, i) for i in _core.largest(region, 41, 3, False)]
    assert [size for _, size, *_ in found] == [200_000, 50_000, 3000]
    x, _, state, pins, holders, site, kept, spilled, put = found[0]
    assert x == held[4] and (state, pins, holders, site, kept) == (_core.SEALED, 0, [(os.getpid(), _core.DRIVER)], 0, False)
    assert put and not spilled
    assert _core.largest(region, 60_000, 9, True) == [_core.object_index(held[4])]
