"""The fast path of a call: what it takes, what it leaves to the slow one, and the ids that it gives."""

import gc
import os
import threading

import pytest

from ray_lite import _core
from ray_lite.exceptions import ObjectLostError, RaySystemError


@pytest.fixture
def call(region, tasks):
    """`call(*args)`: submits on the fast path, or notes what the slow path got."""
    calls = tasks(region, {"f": None})
    slow = []
    remote = _core.RemoteCall(lambda remote, args, kwargs: slow.append((args, kwargs)))
    queue = _core.demand_queue(region, 10000)
    remote.arm(region, next(iter(calls.by_index)), queue, (1, 3, 0, 1, 4))
    remote.slow_calls = slow
    remote.keep = calls
    return remote


@pytest.mark.parametrize("args", [(1,), ("a", 2.5), ([1, 2], {"a": 1}, (None,)), (b"x" * 1500, 1, 2, 3)])
def test_plain_arguments_are_fast(call, region, args):
    x = call(*args)
    assert type(x) is _core.ObjectID and not call.slow_calls
    assert region.statistics()["tasks"] == 1


def test_what_is_not_plain_goes_the_slow_way(call, region):
    odd = [(object(),), (b"x" * 3000,), (2**70,), ([[1]],), (1, 2, 3, 4, 5), ()]
    for args in odd:
        assert call(*args) is None
    call(1, key=2)
    assert [args for args, _ in call.slow_calls] == [*odd, (1,)]
    assert call.slow_calls[-1][1] == {"key": 2}
    assert region.statistics()["tasks"] == 0


def test_ids_are_arguments(call, region):
    ready, pending = _core.put_plain(region, 1), call(1)
    x = call(ready, pending, ready)
    assert not call.slow_calls
    assert region.statistics()["refs"] == 3
    region.check()
    del ready, pending
    gc.collect()
    assert region.statistics()["objects"] == 4  # the function, both arguments, the return
    del x


def test_ids_that_are_not_held_yet_go_the_slow_way(call, region):
    call(_core.ObjectID(bytes(20)))
    assert len(call.slow_calls) == 1


def test_many_ids_go_the_slow_way(call, region, tasks):
    ids = [_core.put_plain(region, k) for k in range(40)]
    wide = _core.RemoteCall(lambda remote, args, kwargs: "slow")
    wide.arm(region, next(iter(call.keep.by_index)), 1, (1, 3, 0, 0, 255))
    assert wide(*ids) == "slow"
    assert wide(*ids[:32]) != "slow"


def test_a_call_that_was_never_armed_is_slow():
    assert _core.RemoteCall(lambda remote, args, kwargs: (args, kwargs))(1, a=2) == ((1,), {"a": 2})


def test_a_call_of_an_ended_session_is_slow(make_region, tasks):
    region = make_region()
    calls = tasks(region, {"f": None})
    remote = _core.RemoteCall(lambda remote, args, kwargs: "slow")
    remote.arm(region, next(iter(calls.by_index)), 1, (1, 3, 0, 0, 4))
    region.close()
    assert remote(1) == "slow"


def test_a_moved_caller_goes_the_slow_way(call, region, tmp_path):
    """The working directory travels with the task, so a new one must be noticed."""
    before = os.getcwd()
    try:
        os.chdir(tmp_path)
        assert call(1) is None
        _core.mark_env()
        assert call(1) is not None
    finally:
        os.chdir(before)
    assert len(call.slow_calls) == 1


def test_ids_depend_on_the_place_and_the_order_alone(call, region):
    def ids():
        _core.set_root(b"the root of a driver")
        return [call(k).binary() for k in range(20)]

    first = ids()
    assert first == ids() and len(set(first)) == 20


def test_threads_have_ordinals_of_their_own(call, region):
    """The first thread that calls is number 0, the second 1: two threads never give the same id."""
    found = []

    def several():
        found.extend(call(k).binary() for k in range(200))

    threads = [threading.Thread(target=several) for _ in range(4)]
    several()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1000


@pytest.mark.parametrize("nreturns", [0, 1, 2, 3, 100])
def test_as_many_ids_come_back_as_returns_were_asked_for(region, tasks, nreturns):
    calls = tasks(region, {"f": None})
    result = calls.call("f", nreturns=nreturns)(1)
    ids = result if isinstance(result, list) else [result] if result is not None else []
    assert len(ids) == nreturns and isinstance(result, list) == (nreturns > 1)
    assert len({x.binary() for x in ids}) == nreturns
    region.check()


def test_submit_takes_bytes_and_ids(region, tasks):
    calls = tasks(region, {"f": None})
    held = _core.put_plain(region, 1)
    bare = _core.ObjectID(held.binary())
    record = (next(iter(calls.by_index)), _core.demand_queue(region, 0), 2, 3, 0, 0)
    assert len(_core.submit(region, record, b"arguments", [held, bare])) == 2
    with pytest.raises(ObjectLostError):
        _core.submit(region, record, b"arguments", [held, _core.ObjectID(b"nobody knows this id")])
    region.check()


def test_roots_and_shapes_are_checked(make_region):
    region = make_region()
    with pytest.raises(ValueError, match="20 bytes"):
        _core.set_root(b"short")
    region.close()
    with pytest.raises(RaySystemError):
        _core.demand_queue(region, 1)
