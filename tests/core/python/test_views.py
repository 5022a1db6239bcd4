"""Private buffers: what is written stays in this process, what isn't is the object's, and the object lives as long."""

import gc
import os

import numpy
import pytest
from mappings import private_kib

from ray_lite import _core
from ray_lite.exceptions import RaySystemError

MAPPED = 100_000  # a size from which the tests map


@pytest.fixture(autouse=True)
def policy():
    """From MAPPED bytes on, writable buffers are mapped; what was set before comes back."""
    before = _core.set_copy_policy(1, 1 << 40, 1 << 40, MAPPED)
    yield
    _core.set_copy_policy(*before)


def stored(region, buffers):
    x = _core.create_object(region, _core.next_put_id(), 0, False)
    _core.fill_object(region, _core.object_index(x), 0, (b"stream", buffers, [len(b) for b in buffers], []))
    _core.seal_object(region, x)
    return x


def views(region, x):
    return _core.payload(region, x)[2]


def array(private):
    return numpy.frombuffer(private, dtype="uint8")


@pytest.mark.parametrize("size", [0, 1, 63, 4096, MAPPED - 1, MAPPED, MAPPED + 1, 3_000_000])
def test_what_is_written_stays_here(region, size):
    data = bytes(k % 251 for k in range(size))
    x = stored(region, [b"before", data, b"after" * 1000])
    one, other = (array(_core.writable(views(region, x)[1])) for _ in range(2))
    assert one.tobytes() == data and (size == 0 or one.ctypes.data % 64 == 0)
    one[:] = 7
    assert one.tobytes() == b"\7" * size
    assert other.tobytes() == data and [bytes(view) for view in views(region, x)] == [b"before", data, b"after" * 1000]


def test_only_written_pages_are_copied(region):
    x = stored(region, [b"x" * 8_000_000])
    mine = array(_core.writable(views(region, x)[0]))
    assert mine.sum(dtype="int64") == 8_000_000 * ord("x")
    assert private_kib(mine.ctypes.data) == 0
    mine[::1_000_000] = 1
    assert private_kib(mine.ctypes.data) == 8 * os.sysconf("SC_PAGESIZE") // 1024


def test_a_mapping_holds_the_object_and_a_copy_does_not(region):
    for size, left in (MAPPED, 1), (MAPPED - 1, 0):
        mine = array(_core.writable(views(region, stored(region, [b"y" * size]))[0]))
        gc.collect()
        assert region.statistics()["objects"] == left
        assert mine[-1] == ord("y")
        del mine
        gc.collect()
        assert region.statistics()["objects"] == 0


def test_it_outlives_the_region(make_region):
    region = make_region()
    mine = array(_core.writable(views(region, stored(region, [b"z" * 2_000_000]))[0]))
    view = views(region, stored(region, [b"z" * 2_000_000]))[0]
    region.close()
    assert mine.sum(dtype="int64") == 2_000_000 * ord("z")
    with pytest.raises(RaySystemError, match="ended"):
        _core.writable(view)
    mine[:] = 0


def test_a_forked_child_has_its_own(region, forked):
    """What the child writes, the parent doesn't see; the object lives as long as the parent's buffer."""
    mine = array(_core.writable(views(region, stored(region, [b"w" * 2_000_000]))[0]))
    mine[0] = 1

    def child():
        assert (mine[0], mine[1]) == (1, ord("w"))
        mine[:] = 9
        assert mine[1] == 9

    assert forked(child).wait() == 0
    assert (mine[0], mine[1]) == (1, ord("w"))


def test_too_much_is_an_error(region):
    import resource

    view = views(region, stored(region, [b"v" * 2_000_000]))[0]
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1, limits[1]))
    try:
        with pytest.raises(MemoryError, match="2,000,000"):
            _core.writable(view)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def test_they_are_made_by_the_store_only():
    with pytest.raises(TypeError):
        _core.Private()
