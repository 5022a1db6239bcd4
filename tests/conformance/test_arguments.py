"""Arguments: ids at the top level become values, everything is taken at the call, and nothing is kept
after the task.
"""

import gc

import numpy as np
import pytest

import ray_lite as ray

pytestmark = pytest.mark.usefixtures("ray_session")


@ray.remote
def echo(*positional, **named):
    return positional, named


def test_ids_at_the_top_level_are_replaced():
    one, two = ray.put(1), ray.remote(lambda: 2).remote()
    assert ray.get(echo.remote(one, two, one)) == ((1, 2, 1), {})
    assert ray.get(echo.remote(k=one, m=two)) == ((), {"k": 1, "m": 2})
    assert ray.get(echo.remote(one, "plain", k=two)) == ((1, "plain"), {"k": 2})


def test_ids_in_containers_stay_ids():
    one = ray.put(1)
    got = ray.get(echo.remote([one], {"k": one}, (one,)))[0]
    assert got == ([one], {"k": one}, (one,))
    assert all(isinstance(i, ray.ObjectID) for i in (got[0][0], got[1]["k"], got[2][0]))


def test_a_default_that_is_an_id_of_a_nested_call():
    @ray.remote
    def outer(x):
        return ray.get(echo.remote(ray.put(x), k=ray.put(-x)))

    assert ray.get(outer.remote(3)) == ((3,), {"k": -3})


def test_a_task_starts_when_all_arguments_are_ready(gate):
    wait, arrive = gate.wait, gate.arrive

    @ray.remote
    def held(x):
        wait()
        return x

    @ray.remote
    def consumer(*values):
        arrive("consumed")
        return sum(values)

    result = consumer.remote(ray.put(1), held.remote(10), 100, held.remote(1000))
    assert ray.wait([result], timeout=100) == ([], [result])
    assert gate.arrived("consumed") == []
    gate.open()
    assert ray.get(result) == 1111


def test_waiting_arguments_occupy_no_worker(gate):
    wait = gate.wait

    @ray.remote(num_cpus=0)
    def held():
        wait()
        return 1

    first = held.remote()
    dependants = [echo.remote(first, i) for i in range(50)]
    assert ray.get(ray.remote(lambda: "free").remote(), timeout=20) == "free"
    gate.open()
    assert [value[0][1] for value in ray.get(dependants)] == list(range(50))


def test_arguments_are_taken_at_the_call(gate):
    wait = gate.wait

    @ray.remote(num_cpus=2)
    def held():
        wait()

    blocker, value, array = held.remote(), [1], np.zeros(100_000)
    queued = echo.remote(value, array)
    value.append(2)
    array[:] = 5
    gate.open()
    ((got, got_array), _), _ = ray.get([queued, blocker])
    assert got == [1] and not got_array.any()


def test_the_callee_cannot_change_the_callers_object():
    @ray.remote
    def change(values):
        values.append(2)
        return values

    mine = [1]
    assert ray.get(change.remote(mine)) == [1, 2]
    stored = ray.put(mine)
    assert ray.get([change.remote(stored), change.remote(stored)]) == [[1, 2], [1, 2]]
    assert mine == [1] and ray.get(stored) == [1]


def test_sizes():
    for size in [0, 100, 8_000, 90_000, 99_000, 101_000, 110_000, 1_000_000, 20_000_000]:
        blob = bytes(size)
        text = "ß" * (size // 2)
        ((got, got_text), _) = ray.get(echo.remote(blob, text))
        assert got == blob and got_text == text


def test_many_middling_arguments():
    blobs = [bytes([i]) * 20_000 for i in range(30)]
    assert ray.get(echo.remote(*blobs))[0] == tuple(blobs)
    assert ray.get(echo.remote(**{f"k{i}": b for i, b in enumerate(blobs)}))[1]["k29"] == blobs[29]


def test_many_ids_in_one_call():
    ids = [ray.put(i) for i in range(150)] + [ray.remote(lambda i=i: i).remote() for i in range(150, 200)]
    assert ray.get(echo.remote(*ids))[0] == tuple(range(200))
    assert ray.get(echo.remote(*ids[:1] * 100))[0] == (0,) * 100


def test_arrays_are_read_only_views_in_the_task():
    @ray.remote
    def look(array):
        return array.flags.writeable, array.ctypes.data % 64, float(array.sum())

    array = np.ones(100_000)
    stored = ray.put(array)
    assert ray.get([look.remote(array), look.remote(stored)]) == [(False, 0, 100_000.0)] * 2


def test_an_array_passed_ten_times_is_stored_ten_times_unless_put(gate, statistics):
    wait = gate.wait

    @ray.remote(num_cpus=2)
    def held(x):
        wait()
        return len(x)

    array = np.zeros(200_000)
    before = statistics().bytes_used
    ids = [held.remote(array) for _ in range(10)]
    assert statistics().bytes_used - before >= 10 * array.nbytes
    before, stored = statistics().bytes_used, ray.put(array)
    ids += [held.remote(stored) for _ in range(10)]
    assert statistics().bytes_used - before < 2 * array.nbytes
    gate.open()
    assert ray.get(ids) == [200_000] * 20


def test_arguments_are_released_after_the_task(statistics, wait_until):
    length = ray.remote(len)

    def call(items):
        assert ray.get(length.remote(np.zeros(items))) == items
        assert ray.get(length.remote(ray.put(np.zeros(items)))) == items

    call(10)  # from now on the session keeps the function and where it is called
    gc.collect()
    before = statistics()
    for _ in range(5):
        call(200_000)
    wait_until(lambda: statistics().objects <= before.objects, what="the end of the arguments")
    wait_until(
        lambda: statistics().bytes_used <= before.bytes_used + 100_000, what="the return of their bytes"
    )
    wait_until(lambda: statistics().tasks <= before.tasks, what="the end of the task records")


def test_an_argument_is_kept_for_its_queued_task(gate):
    """Nobody but the queued task refers to the object any more."""
    wait = gate.wait

    @ray.remote(num_cpus=2)
    def held():
        wait()

    blocker = held.remote()
    queued = [echo.remote(ray.put(np.full(50_000, i)), [ray.put(i)]) for i in range(10)]
    others = [ray.put(np.full(50_000, -1)) for _ in range(20)]  # would reuse the bytes, were they free
    gate.open()
    ray.get(blocker)
    for i, ((array, (inner,)), _) in enumerate(ray.get(queued)):
        assert (array == i).all() and ray.get(inner) == i
    assert len(others) == 20


def test_functions_classes_and_modules_as_arguments():
    import math

    class Local:
        def __init__(self, x):
            self.x = x

        def __eq__(self, other):
            return self.x == other.x

    @ray.remote
    def use(function, cls, module):
        return function(2), cls(5).x, module.sqrt(16)

    assert ray.get(use.remote(lambda x: x * 3, Local, math)) == (6, 5, 4.0)
    ((got,), _) = ray.get(echo.remote(Local(7)))
    assert got == Local(7)
