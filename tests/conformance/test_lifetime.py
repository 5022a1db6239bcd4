"""Lifetime is exact: for each kind of thing that keeps an object, it is there as long as that thing, and gone with it."""

import gc
import os
import signal

import numpy as np
import pytest

import ray_lite as ray

SIZE = 300_000


@pytest.fixture
def alive(ray_session, statistics, wait_until):
    """`alive(n)`: there are so many objects, soon and then still."""
    ray.get(ray.remote(lambda: 0).remote())

    def check(count, what=""):
        gc.collect()
        wait_until(lambda: statistics().objects == count, what=f"{count} objects {what}")

    check(0)
    return check


def array(k=0):
    return np.full(SIZE, k, np.uint8)


def test_handles(alive):
    x = ray.put(array())
    same, copy = x, ray.ObjectID(x.binary())
    alive(1)
    del x, same
    alive(1, "by a handle made of bytes")
    del copy
    alive(0)


def test_bare_bytes_hold_nothing(alive):
    x = ray.put(array())
    binary = x.binary()
    del x
    alive(0)
    with pytest.raises(ray.exceptions.ObjectLostError):
        ray.get(ray.ObjectID(binary))


def test_views(alive):
    x = ray.put([array(1), array(2)])
    first, second = ray.get(x)
    part = second[10:20:3]
    del x, first, second
    alive(1, "by a part of one of its arrays")
    assert part.tolist() == [2] * 4
    del part
    alive(0)


def test_private_views(alive):
    large = ray.get(ray.put(np.zeros(2_000_000, np.uint8)), writable=True)
    small = ray.get(ray.put(array(3)), writable=True)
    large[0] = small[0] = 9
    alive(1, "the one that is mapped; the other is a copy")
    del large
    alive(0)
    assert small[1] == 3


def test_arguments_in_flight(alive, gate):
    wait, arrive = gate.wait, gate.arrive

    @ray.remote
    def hold(*arrays):
        arrive("in")
        wait()

    running = hold.remote(ray.put(array()), array())
    queued = [hold.options(num_cpus=2).remote(ray.put(array())) for _ in range(3)]
    alive(2 + 3 + 4, "arguments and results")
    gate.open()
    ray.get([running, *queued])
    alive(4, "results")
    del running, queued
    alive(0)


def test_results_that_nobody_wants(alive):
    make = ray.remote(array)
    for k in range(5):
        make.remote(k)
    alive(0)


def test_ids_inside_objects(alive):
    inner = ray.put(array(1))
    middle = ray.put({"ids": [inner]})
    outer = ray.put([middle, middle])
    del inner, middle
    alive(3)
    (one, _), two = ray.get(outer), None
    del outer, _
    alive(2, "the outer one is gone, what it named is held here")
    two, = ray.get(one)["ids"]
    del one
    alive(1)
    assert ray.get(two)[0] == 1
    del two
    alive(0)


def test_ids_that_tasks_return_and_keep(alive):
    @ray.remote
    def make():
        return [ray.put(array(k)) for k in range(3)]

    @ray.remote
    def first(ids):
        return ids[0]

    ids = make.remote()
    one = first.remote(ids)
    ray.wait([one])
    alive(3 + 2)
    del ids
    alive(1 + 1, "the first of them, by the result that names it")
    inner = ray.get(one)
    del one
    alive(1)
    assert ray.get(inner)[0] == 0
    del inner
    alive(0)


def test_closures_keep_what_they_capture_for_the_session(alive):
    """Functions that were called stay until the session ends, and so does what they capture."""

    def capturing(x):
        return ray.remote(lambda: int(ray.get(x)[0]))

    assert ray.get(capturing(ray.put(array(5))).remote()) == 5
    alive(1)


def test_exceptions_that_hold_ids_and_arrays(alive):
    @ray.remote
    def fail():
        error = ValueError("with cargo")
        error.cargo = [ray.put(array(1)), array(2)]
        raise error

    x = fail.remote()
    with pytest.raises(ValueError, match="with cargo") as caught:
        ray.get(x)
    cargo = caught.value.cargo
    alive(2)
    del x, caught
    alive(1, "by its id: the array is the error's own")
    assert cargo[1][0] == 2 and ray.get(cargo[0])[0] == 1
    del cargo
    alive(0)


def test_a_worker_that_keeps_an_id(alive, worker_pids):
    """A global of a worker holds until the worker ends."""
    @ray.remote
    def keep(ids):
        import builtins

        builtins.ray_lite_kept = ids

    x = ray.put(array())
    ray.get(keep.remote([x]))
    del x
    alive(1)
    holders = [row["Holders"] for row in ray.global_state.object_table().values() if row["DataSize"] > SIZE]
    assert len(holders) == 1 and {kind for _, kind in holders[0]} == {"worker"}
    for pid in worker_pids():
        os.kill(pid, signal.SIGKILL)
    alive(0)


def test_circles_stay_until_the_session_ends(alive, fresh, tmp_path, wait_until):
    """As the README says: here an object that names itself."""
    path = tmp_path / "id"

    @ray.remote
    def me():
        wait_until(path.exists, what="my own id")
        return [ray.ObjectID(path.read_bytes())]

    x = me.remote()
    (tmp_path / "new").write_bytes(x.binary())
    (tmp_path / "new").rename(path)
    ray.wait([x])
    assert ray.get(x) == [x]
    del x
    alive(1)
    ray.shutdown()
    fresh.init(num_cpus=1)
    alive(0)
