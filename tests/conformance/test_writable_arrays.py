"""`get(writable=True)` and `writable_args`: arrays that may be written, while the stored ones stay as they are."""

import gc
import os

import numpy as np
import pytest

import ray_lite as ray

pytestmark = pytest.mark.usefixtures("ray_session")

LARGE = 400_000  # of int64: beyond Config.private_pages


def samples():
    base = np.arange(LARGE).reshape(400, 1000)
    return [base, np.arange(5), np.asfortranarray(base), base[::2, ::3], np.zeros((0, 3)), np.full((), 3.0),
            np.array([{"a": 1}, [2]], dtype=object), np.ma.masked_array([1, 2], mask=[0, 1]), np.array(["text", "more"])]


@pytest.mark.parametrize("k", range(9))
def test_arrays_of_every_kind(k):
    x = ray.put({"here": [samples()[k]]})
    for _ in range(2):  # the second sees nothing of what the first wrote
        array = ray.get(x, writable=True)["here"][0]
        assert array.flags.writeable
        assert np.array_equal(array, samples()[k])
        array[...] = array.flat[0] if array.size else 0
    assert np.array_equal(ray.get(x)["here"][0], samples()[k])


def test_the_default_is_read_only():
    for array in samples()[:7]:
        shared = array.size > 0 and array.dtype != object  # nobody else has the others
        assert ray.get(ray.put(array)).flags.writeable != shared
    with pytest.raises(TypeError, match="writable"):
        ray.get(ray.put(1), writable=1)


def test_lists_of_ids():
    ids = [ray.put(np.arange(n)) for n in (3, LARGE)]
    small, large = ray.get(ids, writable=True)
    small += 1
    large += 1
    assert [array[1] for array in ray.get(ids)] == [1, 1]


def test_a_writable_view_keeps_its_object(statistics):
    before = statistics().objects
    array = ray.get(ray.put(np.arange(LARGE)), writable=True)
    gc.collect()
    assert statistics().objects == before + 1
    array[5] = -1
    assert array[:7].tolist() == [0, 1, 2, 3, 4, -1, 6] and array.sum() == LARGE * (LARGE - 1) // 2 - 6
    del array
    gc.collect()
    assert statistics().objects == before


def test_what_was_read_only_when_it_was_stored():
    x = ray.put(ray.get(ray.put(np.arange(LARGE))))
    array = ray.get(x, writable=True)
    array += 1
    assert array[0] == 1 and ray.get(x)[0] == 0


def test_two_tasks_write_the_same_input():
    @ray.remote(writable_args=True)
    def overwrite(array, value, *, more):
        array[:] = value
        more["deep"][0] = value
        return float(array.sum()), more["deep"].tolist(), os.getpid()

    x = ray.put(np.ones(LARGE))
    got = ray.get([overwrite.remote(x, value, more={"deep": np.zeros(2)}) for value in (2, 3)])
    assert [sums for sums, *_ in got] == [2 * LARGE, 3 * LARGE] and [deep for _, deep, _ in got] == [[2, 0], [3, 0]]
    assert ray.get(x).sum() == LARGE


def test_only_where_it_is_asked_for():
    @ray.remote
    def flags(array):
        return array.flags.writeable

    x = ray.put(np.ones(10))
    assert ray.get([flags.remote(x), flags.options(writable_args=True).remote(x), flags.remote(x)]) == [False, True, False]


def test_python_mode_knows_the_words(fresh):
    ray.shutdown()
    ray.init(driver_mode=ray.PYTHON_MODE)
    assert ray.get(ray.remote(writable_args=True)(lambda a: a).remote(np.ones(2)), writable=True).flags.writeable
