"""Handles: counted privately, one bit a process; what late, forked and foreign ones do; and views."""

import copy
import gc
import os
import pickle

import numpy
import pytest

from ray_lite import _core
from ray_lite.exceptions import ForkedError, ObjectLostError, RaySystemError


def sealed(region, data):
    x = _core.create_object(region, _core.next_put_id(), len(data), False)
    _core.fill_object(region, _core.object_index(x), 0, (data, [], [], []))
    _core.seal_object(region, x)
    return x


def test_many_handles_are_one_hold(region):
    x = _core.put_plain(region, 5)
    token = _core.id_token(x)
    handles = [_core.id_from_token(*token) for _ in range(100)]
    del x
    for _ in range(99):
        handles.pop()
        assert _core.get_ready(region, handles[0]) == 5
    assert region.statistics()["objects"] == 1
    handles.clear()
    assert region.statistics()["objects"] == 0


@pytest.mark.parametrize("wrong", [5, None, "a" * 20, bytearray(20), memoryview(bytes(20))])
def test_only_bytes_make_an_id(wrong):
    with pytest.raises(TypeError, match="20 bytes"):
        _core.ObjectID(wrong)


@pytest.mark.parametrize("length", [0, 19, 21, 40])
def test_only_twenty_bytes_make_an_id(length):
    with pytest.raises(ValueError, match=str(length)):
        _core.ObjectID(bytes(length))


def test_hexadecimal_goes_both_ways(region):
    x = _core.put_plain(region, 5)
    assert len(x.hex()) == 40
    assert _core.ObjectID.from_hex(x.hex()) == x
    assert x.hex() in repr(x)
    with pytest.raises(TypeError):
        _core.ObjectID.from_hex(b"00" * 20)
    with pytest.raises(ValueError):
        _core.ObjectID.from_hex("zz" * 20)


def test_equality_and_hash_are_those_of_the_bytes(region):
    x = _core.put_plain(region, 5)
    again = _core.ObjectID(x.id())
    assert x == again and hash(x) == hash(again) and len({x, again}) == 1
    assert x != _core.put_plain(region, 5)
    assert x != x.binary()


def test_pickles_and_copies_are_bare_ids(region):
    x = _core.put_plain(region, "v")
    for again in (pickle.loads(pickle.dumps(x)), copy.copy(x), copy.deepcopy(x)):
        assert again == x
    del again
    y = pickle.dumps(x)
    del x
    with pytest.raises(ObjectLostError):
        _core.resolve_all(region, [pickle.loads(y)])


def test_initialising_again_does_not_change_a_handle(region):
    x = _core.put_plain(region, 5)
    before = x.binary()
    x.__init__(b"z" * 20)
    assert x.binary() == before and _core.get_ready(region, x) == 5


def test_a_handle_that_goes_after_the_close_does_nothing(make_region):
    region = make_region()
    x = _core.put_plain(region, 5)
    region.close()
    assert len(x.binary()) == 20
    del x
    gc.collect()


def test_a_handle_of_an_earlier_session_is_refused(make_region):
    first = make_region()
    x = _core.put_plain(first, 5)
    first.close()
    second = make_region()
    with pytest.raises(ObjectLostError, match="earlier session"):
        _core.resolve_all(second, [x])
    assert _core.get_ready(second, x) is _core.MISS
    y = _core.put_plain(second, 6)
    del x
    gc.collect()
    assert _core.get_ready(second, y) == 6
    second.check()


def test_a_forked_childs_handles_do_nothing(region, forked):
    """It neither ends our objects nor reads them, and is told why."""
    held = [_core.put_plain(region, 5), sealed(region, b"bytes" * 100)]

    def child():
        calls = [
            lambda: _core.resolve_all(region, held),
            lambda: _core.id_token(held[0]),
            region.statistics,
            region.check,
        ]
        for call in calls:
            with pytest.raises(ForkedError, match="init"):
                call()
        assert _core.get_ready(region, held[0]) is _core.MISS
        assert _core.put_plain(region, 5) is _core.MISS
        held.clear()
        gc.collect()

    assert forked(child).wait() == 0
    assert _core.get_ready(region, held[0]) == 5
    assert bytes(_core.payload(region, held[1])[1]) == b"bytes" * 100
    assert region.statistics()["objects"] == 2


def test_bare_ids_need_a_session(make_region):
    region = make_region()
    x = _core.ObjectID(bytes(20))
    with pytest.raises(ObjectLostError, match="00" * 20):
        _core.resolve_all(region, [x])
    region.close()
    with pytest.raises(RaySystemError):
        _core.id_token(x)


def test_views_are_read_only_and_keep_the_object(region):
    x = sealed(region, b"view" * 100)
    view = memoryview(_core.payload(region, x)[1])
    assert view.readonly and len(view) == 400
    del x
    gc.collect()
    assert region.statistics()["objects"] == 1
    assert bytes(view[:4]) == b"view"
    view.release()
    gc.collect()
    assert region.statistics()["objects"] == 0


def test_a_view_keeps_the_mapping_after_the_close(make_region):
    region = make_region()
    array = numpy.frombuffer(_core.payload(region, sealed(region, b"abcd" * 5000))[1], dtype="uint8")
    part = array[8:]
    del array
    region.close()
    assert mapped() == 2
    assert bytes(part[:4]) == b"abcd"
    del part
    gc.collect()
    assert mapped() == 0


def test_a_view_in_a_cycle_gives_the_mapping_back(make_region):
    """The collector clears fields before it ends an object."""
    region = make_region()
    view = _core.payload(region, sealed(region, b"abcd" * 5000))[1]
    cycle = [view]
    cycle.append(cycle)
    del cycle, view
    region.close()
    gc.collect()
    assert mapped() == 0


def mapped():
    """Mappings of regions in this process."""
    with open("/proc/self/maps") as file:
        return sum("memfd:ray_lite" in line for line in file)


def test_views_are_made_by_the_store_only():
    with pytest.raises(TypeError):
        _core.View()


def test_stress_of_counts(region, forked):
    """Handles made and dropped in random order in two processes: the last of all ends the object."""
    x = _core.put_plain(region, 5)
    token = _core.id_token(x)
    slot = _core.open_worker(region)

    def churn():
        _core.adopt_slot(region, slot, os.getpid(), 0)
        for _ in range(20_000):
            handles = [_core.id_from_token(*token) for _ in range(3)]
            assert _core.get_ready(region, handles[1]) == 5
            del handles[0], handles

    child = forked(churn)
    for _ in range(20_000):
        again = _core.id_from_token(*token)
        del again
    assert child.wait() == 0
    assert region.statistics()["objects"] == 1
    _core.begin_sweep(region, slot)
    _core.end_sweep(region, slot)
    del x
    assert region.statistics()["objects"] == 0
