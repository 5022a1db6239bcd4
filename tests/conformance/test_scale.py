"""Many and large: counts beyond any section's length, and objects beyond 2 and 4 GiB (RAY_LITE_FULL=1: they take memory)."""

import os

import numpy as np
import psutil
import pytest

import ray_lite as ray
from ray_lite.config import Config

GIB = 1 << 30


def test_ten_thousand_arguments(ray_session):
    ids = [ray.put(k) for k in range(10_000)]
    assert ray.get(ray.remote(lambda *values: sum(values)).remote(*ids)) == sum(range(10_000))
    assert ray.get(ray.remote(lambda *values: len(values)).remote(*range(10_000))) == 10_000


def test_three_thousand_returns(ray_session):
    ids = ray.remote(num_return_vals=3_000)(lambda: list(range(3_000))).remote()
    assert ray.get(ids) == list(range(3_000))


def test_ten_thousand_objects_in_one_get(ray_session):
    ids = [ray.put(np.full(3, k)) for k in range(10_000)]
    assert [int(array[2]) for array in ray.get(ids)] == list(range(10_000))


def test_a_hundred_thousand_ids_in_one_object(ray_session, statistics):
    inner = [ray.put(k) for k in range(100_000)]
    outer = ray.put(inner)
    del inner
    assert statistics().objects == 100_001
    assert ray.get(ray.get(outer)[77_777]) == 77_777
    del outer
    assert statistics().objects == 0


def test_a_death_does_not_wait_for_the_end_of_many_cancelled_tasks(fresh, gate, wait_until):
    """The node hears of both at once: the killed worker's task runs again long before the last of them has ended."""
    wait, arrive = gate.wait, gate.arrive
    node = psutil.Process(fresh.init(num_cpus=1)["node_pid"])
    never = ray.remote(lambda: 1)
    held = ray.remote(lambda: (arrive(str(ray.session.current().view.statistics().tasks)), wait())).remote()
    first, = wait_until(lambda: gate.arrived())
    node.suspend()
    ids = [never.remote() for _ in range(100_000)]
    assert all(ray.cancel(x) for x in ids)
    psutil.Process(int(first.split(".")[1])).kill()
    node.resume()
    wait_until(lambda: len(gate.arrived()) == 2)
    again, = set(gate.arrived()) - {first}
    assert int(again.split(".")[0]) > 10_000
    gate.open()
    ray.get(held)
    ray.shutdown()
    assert len(ids) == 100_000


@pytest.mark.skipif(not os.environ.get("RAY_LITE_FULL"), reason="runs in .ci/full: RAY_LITE_FULL=1")
@pytest.mark.watchdog(300)
@pytest.mark.parametrize("size", [2 * GIB - 1, 2 * GIB + 1, 4 * GIB - 1, 4 * GIB + 4097])
def test_objects_beyond_powers_of_two(fresh, size):
    if psutil.virtual_memory().available < 3 * size + GIB:
        pytest.skip(f"not enough memory for three times {size:,} bytes")
    ray.init(num_cpus=1, object_store_memory=size + (64 << 20))
    array = np.zeros(size, "u1")
    array[0], array[size // 2], array[-1] = 1, 2, 3
    x = ray.put(array)
    del array

    def look(a):
        return a.nbytes, int(a[0]), int(a[size // 2]), int(a[-1])

    assert look(ray.get(x)) == ray.get(ray.remote(look).remote(x)) == (size, 1, 2, 3)
    mine = ray.get(x, writable=True)
    mine[-1] = 9
    assert int(ray.get(x)[-1]) == 3
    with pytest.raises(ray.exceptions.ObjectStoreFullError):
        ray.put(np.zeros(128 << 20, "u1"))


@pytest.mark.skipif(not os.environ.get("RAY_LITE_FULL"), reason="runs in .ci/full: RAY_LITE_FULL=1")
@pytest.mark.watchdog(300)
def test_a_million_small_objects(ray_session, statistics):
    ids = [ray.put(k) for k in range(1_000_000)]
    facts = statistics()
    ahead = Config().preallocate  # what the node keeps ready, whatever is stored
    assert facts.objects == 1_000_000 and facts.region_bytes - ahead < 128 * 1_100_000 + Config().commit_step
    assert ray.get(ids[::1000]) == list(range(0, 1_000_000, 1000))
    del ids
    assert statistics().objects == 0
