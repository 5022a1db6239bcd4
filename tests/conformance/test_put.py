"""`put`: a new id each time, the value as it was at the call, and the end of an object with its last
reference.
"""

import gc
import os

import numpy as np
import pytest

import ray_lite as ray
from ray_lite import _core
from ray_lite.config import Config

pytestmark = pytest.mark.usefixtures("ray_session")


def test_a_new_id_each_time():
    ids = [ray.put("same") for _ in range(100)]
    assert len(set(ids)) == 100 and ray.get(ids) == ["same"] * 100


def test_none_and_falsy_values():
    for value in (None, False, 0, "", b"", [], {}, ()):
        got = ray.get(ray.put(value))
        assert got == value and type(got) is type(value)


def test_the_value_is_taken_at_the_call():
    value, array = {"k": [1]}, np.zeros(50_000)
    stored, stored_array = ray.put(value), ray.put(array)
    value["k"].append(2)
    array[:] = 7
    assert ray.get(stored) == {"k": [1]}
    assert not ray.get(stored_array).any()


def test_an_id_is_refused():
    with pytest.raises(TypeError):
        ray.put(ray.put(1))
    with pytest.raises(TypeError):
        ray.put(ray.remote(lambda: 1).remote())
    assert ray.get(ray.get(ray.put([ray.put(1)]))[0]) == 1, "inside a container it is fine"


def test_worker_argument_is_ignored():
    assert ray.get(ray.put(1, None)) == 1
    assert ray.get(ray.put(1, worker=object())) == 1


def test_from_a_task():
    @ray.remote
    def store(value):
        return ray.put(value), [ray.put(value)]

    one, (two,) = ray.get(store.remote("v"))
    assert one != two and ray.get([one, two]) == ["v", "v"], "the ids outlive the task that made them"


def test_large_and_small():
    large = np.random.default_rng(1).integers(0, 255, 60_000_000, dtype=np.uint8)
    assert (ray.get(ray.put(large)) == large).all()
    blob = large[:20_000_000].tobytes()
    assert ray.get(ray.put(blob)) == blob
    ids = [ray.put(i) for i in range(10_000)]
    assert ray.get(ids) == list(range(10_000))


SIZES = [0, 1, 63, 64, 65, 127, 128, 255, 256, 4095, 4096, 4097, 65535, 65536, 1 << 20, (1 << 21) + 1]


def test_every_size_class():
    for size in SIZES:
        blob = bytes(i & 255 for i in range(min(size, 4096))) * (size // 4096 + 1)
        blob = blob[:size]
        assert ray.get(ray.put(blob)) == blob
        assert bytes(ray.get(ray.put(np.frombuffer(blob, dtype=np.uint8)))) == blob


def test_the_last_reference_frees_the_object(statistics, wait_until):
    ray.get(ray.put(np.ones(100)))
    gc.collect()
    before = statistics()
    kept = [ray.put(np.ones(200_000)) for _ in range(5)]
    assert statistics().objects == before.objects + 5
    assert statistics().bytes_used >= before.bytes_used + 5 * 1_600_000
    again = list(kept)
    del kept
    assert statistics().objects == before.objects + 5
    del again
    wait_until(lambda: statistics().objects == before.objects, what="the objects' end")
    wait_until(lambda: statistics().bytes_used <= before.bytes_used, what="the return of their bytes")


def test_a_view_keeps_the_bytes(statistics, wait_until):
    before = statistics().bytes_used
    view = ray.get(ray.put(np.arange(200_000)))  # the id is gone at once
    assert statistics().bytes_used >= before + view.nbytes
    others = [ray.put(np.full(200_000, -1)) for _ in range(4)]
    assert (view == np.arange(200_000)).all()
    del view, others
    wait_until(lambda: statistics().bytes_used <= before, what="the return of the bytes")


def test_ids_inside_a_value_keep_their_objects(statistics, wait_until):
    before = statistics().objects
    outer = ray.put({"inner": [ray.put("deep")]})
    gc.collect()
    assert statistics().objects == before + 2
    inner = ray.get(outer)["inner"][0]
    del outer
    assert ray.get(inner) == "deep"
    del inner
    wait_until(lambda: statistics().objects == before, what="the end of both")


def test_put_and_forget_does_not_fill_the_store(fresh, statistics):
    ray.shutdown()
    ray.init(num_cpus=1, object_store_memory=64 << 20)
    for i in range(200):
        assert ray.get(ray.put(np.full(250_000, i)))[-1] == i
    assert statistics().bytes_used < 32 << 20


def test_large_arrays_are_copied_by_as_many_threads_as_the_task_has_cpus():
    threads = _core.set_copy_policy(1, 1, 1, 1)[0]
    sizes = Config().copy_large, Config().copy_uncached, Config().private_pages
    _core.set_copy_policy(threads, *sizes)
    cores = len(os.sched_getaffinity(0))
    assert threads == min(2, cores)

    @ray.remote
    def copying():
        found = _core.set_copy_policy(1, 1, 1, 1)
        _core.set_copy_policy(*found)
        return found

    one, two = copying.remote(), copying._submit(args=[], num_cpus=2)
    assert ray.get([one, two]) == [(1, *sizes), (min(2, cores), *sizes)]
