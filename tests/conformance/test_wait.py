"""`wait`: milliseconds, two lists in input order, its checks, and draining."""

import time

import pytest

import ray_lite as ray

pytestmark = pytest.mark.usefixtures("ray_session")


@ray.remote
def echo(x):
    return x


@pytest.fixture
def held(gate):
    """A remote function whose tasks end when the gate opens."""
    wait = gate.wait

    @ray.remote(num_cpus=0)
    def held(x=None):
        wait()
        return x

    return held


def test_one_of_several(held):
    pending, done = held.remote(), echo.remote(1)
    assert ray.wait([pending, done]) == ([done], [pending])
    assert ray.wait([done, pending]) == ([done], [pending])


def test_lists_are_in_input_order(held):
    ids = [held.remote() if i % 3 == 0 else echo.remote(i) for i in range(12)]
    expected = [one for i, one in enumerate(ids) if i % 3]
    ready, remaining = ray.wait(ids, num_returns=8)
    assert (ready, remaining) == (expected, [one for i, one in enumerate(ids) if i % 3 == 0])
    assert type(ready) is list and type(remaining) is list


def test_no_more_than_asked_for():
    ids = [echo.remote(i) for i in range(10)]
    ray.get(ids)
    ready, remaining = ray.wait(ids, num_returns=3)
    assert ready == ids[:3] and remaining == ids[3:]
    assert ray.wait(ids) == (ids[:1], ids[1:])
    assert ray.wait(ids, num_returns=10) == (ids, [])


def test_timeout_is_in_milliseconds(held):
    pending, before = held.remote(), time.monotonic()
    assert ray.wait([pending], timeout=150) == ([], [pending])
    assert 0.15 <= time.monotonic() - before < 10


def test_timeout_zero_polls(held):
    pending, done = held.remote(), ray.put(1)
    assert ray.wait([pending], timeout=0) == ([], [pending])
    assert ray.wait([pending, done], timeout=0) == ([done], [pending])
    assert ray.wait([pending, done], num_returns=2, timeout=0) == ([done], [pending])


def test_fewer_than_asked_for_at_the_timeout(held):
    ids = [echo.remote(1), held.remote(), echo.remote(2), held.remote()]
    ray.get([ids[0], ids[2]])
    assert ray.wait(ids, num_returns=3, timeout=50) == ([ids[0], ids[2]], [ids[1], ids[3]])


def test_without_a_timeout_it_waits_for_all_that_were_asked_for(held, gate):
    ids = [held.remote(i) for i in range(4)]
    assert ray.wait(ids, num_returns=4, timeout=20) == ([], ids)
    gate.open()
    assert ray.wait(ids, num_returns=4) == (ids, [])


def test_more_than_there_are_with_a_timeout():
    for timeout in [0, 30, 10_000, 12.5]:
        ids = [ray.put(1), ray.put(2)]
        assert ray.wait(ids, num_returns=5, timeout=timeout) == (ids, [])


def test_more_than_there_are_with_a_timeout_waits_for_all(held):
    ids = [ray.put(1), held.remote()]
    assert ray.wait(ids, num_returns=5, timeout=50) == ([ids[0]], [ids[1]])


def test_more_than_there_are_could_never_return():
    with pytest.raises(ValueError):
        ray.wait([ray.put(1)], num_returns=2)


def test_an_empty_list():
    for how in [
        {},
        dict(num_returns=1),
        dict(num_returns=7),
        dict(timeout=0),
        dict(num_returns=3, timeout=5),
    ]:
        assert ray.wait([], **how) == ([], [])


def test_wrong_lists():
    one = ray.put(1)
    for wrong in (one, (one,), {one}, iter([one]), None, 3, "ids"):
        with pytest.raises(TypeError):
            ray.wait(wrong)
    for wrong in (1, None, b"x" * 20, [one]):
        with pytest.raises(TypeError):
            ray.wait([one, wrong])


def test_duplicates_are_refused():
    one, two = ray.put(1), ray.put(2)
    with pytest.raises(ValueError):
        ray.wait([one, two, one])
    with pytest.raises(ValueError):  # equal, though another handle
        ray.wait([one, ray.ObjectID(one.binary())])
    assert ray.wait([one, two], num_returns=2) == ([one, two], []), "a refused call leaves no mark"


def test_wrong_counts():
    for wrong, error in [(0, ValueError), (-1, ValueError), ("1", TypeError), (1.5, TypeError)]:
        with pytest.raises(error):
            ray.wait([ray.put(1)], num_returns=wrong)


def test_wrong_timeouts():
    for wrong, error in [(-1, ValueError), ("1", TypeError), (float("nan"), ValueError)]:
        with pytest.raises(error):
            ray.wait([ray.put(1)], timeout=wrong)


def test_worker_argument_is_ignored():
    one = ray.put(1)
    assert ray.wait([one], 1, None, object()) == ([one], [])
    assert ray.wait([one], worker=object()) == ([one], [])


def test_an_error_is_ready():
    failed = ray.remote(lambda: 1 / 0).remote()
    assert ray.wait([failed]) == ([failed], [])
    with pytest.raises(ZeroDivisionError):
        ray.get(failed)


def test_draining_one_by_one():
    remaining, seen = [echo.remote(i) for i in range(2000)], []
    while remaining:
        ready, remaining = ray.wait(remaining)
        assert len(ready) == 1
        seen += ray.get(ready)
    assert sorted(seen) == list(range(2000))


def test_draining_while_more_is_submitted():
    running, finished = [echo.remote(i) for i in range(8)], 0
    for _ in range(300):
        ready, running = ray.wait(running, num_returns=2)
        finished += len(ready)
        running += [echo.remote(0), echo.remote(1)]
    ready, running = ray.wait(running, num_returns=len(running))
    assert (finished, len(ready), running) == (600, 8, [])


def test_inside_a_task_the_cpu_is_given_back(fresh):
    ray.shutdown()
    ray.init(num_cpus=1)

    @ray.remote
    def parent():
        children = [echo.remote(i) for i in range(3)]
        ready, remaining = ray.wait(children, num_returns=3)
        return ray.get(ready), remaining

    assert ray.get(parent.remote(), timeout=30) == ([0, 1, 2], [])
