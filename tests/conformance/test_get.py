"""`get`: one id or a list, order, timeouts, failures in a list, and ids whose object is gone."""

import os
import time
from decimal import Decimal

import pytest
from shapes import fails_as

import ray_lite as ray

pytestmark = pytest.mark.usefixtures("ray_session")


@ray.remote
def echo(x):
    return x


def test_one_and_many():
    assert ray.get(echo.remote("a")) == "a"
    assert ray.get([echo.remote(i) for i in range(20)]) == list(range(20))
    assert ray.get([]) == []


def test_order_is_that_of_the_list(gate):
    wait = gate.wait

    @ray.remote
    def late():
        wait()
        return "late"

    slow, fast = late.remote(), echo.remote("fast")
    assert ray.get(fast) == "fast"
    gate.open()
    assert ray.get([slow, fast, slow]) == ["late", "fast", "late"]


def test_duplicates():
    one = echo.remote(1)
    assert ray.get([one] * 50) == [1] * 50


def test_every_get_gives_a_fresh_object():
    box = ray.put([1])
    first = ray.get(box)
    first.append(2)
    assert ray.get(box) == [1]
    a, b = ray.get([box, box])
    a.append(3)
    assert b == [1]


def test_many_ids_at_once():
    ids = [echo.remote(i) for i in range(5000)]
    assert ray.get(ids) == list(range(5000))


def test_wrong_types():
    for wrong in [None, 1, "id", b"x" * 20, 1.5, {}]:
        with pytest.raises(TypeError):
            ray.get(wrong)
        with pytest.raises(TypeError):
            ray.get([ray.put(1), wrong])


def test_containers_other_than_lists():
    one = ray.put(1)
    for wrong in ((one,), {one}, iter([one]), [[one]], {one: 1}):
        with pytest.raises(TypeError):
            ray.get(wrong)


def test_worker_argument_is_ignored():
    one = ray.put(1)
    assert ray.get(one, None) == 1
    assert ray.get(one, worker=object()) == 1
    assert ray.get([one], object()) == [1]


def test_timeout_zero_polls(gate):
    wait = gate.wait

    @ray.remote
    def held():
        wait()
        return "done"

    pending = held.remote()
    with pytest.raises(ray.exceptions.GetTimeoutError):
        ray.get(pending, timeout=0)
    with pytest.raises(ray.exceptions.GetTimeoutError):
        ray.get([ray.put(1), pending], timeout=0)
    gate.open()
    assert ray.get(pending) == "done"
    assert ray.get(pending, timeout=0) == "done"
    assert ray.get([pending], timeout=0) == ["done"]


def test_timeout_in_seconds(gate):
    wait = gate.wait

    @ray.remote
    def held():
        wait()

    pending, before = held.remote(), time.monotonic()
    with pytest.raises(ray.exceptions.GetTimeoutError):
        ray.get(pending, timeout=0.15)
    assert 0.15 <= time.monotonic() - before < 10
    gate.open()
    assert ray.get(pending, timeout=20) is None


def test_wrong_timeouts():
    for wrong, error in [("1", TypeError), (-1, ValueError), (float("nan"), ValueError)]:
        with pytest.raises(error):
            ray.get(ray.put(1), timeout=wrong)


def test_first_failure_in_list_order(gate):
    wait = gate.wait

    @ray.remote
    def late_failure():
        wait()
        raise KeyError("late")

    late, early = late_failure.remote(), ray.remote(fails_as).remote(ValueError)
    assert ray.wait([early]) == ([early], [])
    gate.open()
    with pytest.raises(KeyError):
        ray.get([ray.put(0), late, early])
    with pytest.raises(ValueError):
        ray.get([ray.put(0), early, late])


def test_a_failure_in_a_list_does_not_cut_the_wait_short(gate):
    wait = gate.wait

    @ray.remote
    def held():
        wait()

    failed, pending = ray.remote(fails_as).remote(ValueError), held.remote()
    ray.wait([failed])
    with pytest.raises(ray.exceptions.GetTimeoutError):
        ray.get([failed, pending], timeout=0.1)
    gate.open()
    with pytest.raises(ValueError):
        ray.get([failed, pending])


def test_a_failure_can_be_fetched_again():
    failed = ray.remote(fails_as).remote(ValueError)
    texts = set()
    for _ in range(3):
        with pytest.raises(ValueError, match="this is ValueError") as caught:
            ray.get(failed)
        texts.add(str(caught.value))
    assert len(texts) == 1, "each get raises the same report, not a longer one"


def test_an_id_that_never_was():
    before = time.monotonic()
    with pytest.raises(ray.exceptions.ObjectLostError):
        ray.get(ray.ObjectID(os.urandom(20)))
    with pytest.raises(ray.exceptions.ObjectLostError):
        ray.get([ray.put(1), ray.ObjectID(os.urandom(20))])
    assert time.monotonic() - before < 10, "at once"


def test_an_object_that_is_gone():
    kept = ray.put("gone")
    name = kept.hex()
    assert ray.get(ray.ObjectID.from_hex(name)) == "gone"
    del kept
    with pytest.raises(ray.exceptions.ObjectLostError, match=name):
        ray.get(ray.ObjectID.from_hex(name))


def test_a_polling_get_does_not_disturb_a_blocking_one(gate):
    wait = gate.wait

    @ray.remote
    def held():
        wait()
        return 9

    pending = held.remote()
    for _ in range(200):
        with pytest.raises(ray.exceptions.GetTimeoutError):
            ray.get(pending, timeout=0)
    gate.open()
    assert ray.get(pending) == 9


def test_an_id_that_is_there_twice_wakes_as_fast(ray_session, monkeypatch):
    """With sleeps without end, only the wake-up itself can end the call."""
    ray.shutdown()
    monkeypatch.setenv("RAY_LITE_PARK", "100")
    ray.init(num_cpus=1)
    x = ray.remote(lambda: time.sleep(0.05) or 5).remote()
    assert ray.get([x, x, ray.ObjectID(x.binary())]) == [5] * 3


@pytest.mark.parametrize("timeout", [1e10, float("inf"), Decimal(10), 10**400])
def test_long_timeouts_and_those_of_other_types(ray_session, timeout):
    x = ray.remote(lambda: 1).remote()
    assert ray.get(x, timeout=timeout) == 1
    assert ray.wait([x], timeout=timeout) == ([x], [])
