"""global_state.py: the object table shows size, state, holders, pins and where an object is from, and holds nothing itself."""

import gc
import os

import numpy as np
import pytest


def here(text):
    with open(__file__) as file:
        return f"{__file__}:{next(number for number, line in enumerate(file, 1) if text in line)}"


def test_what_a_table_says(ray_session, gate):
    ray = ray_session
    before = set(ray.global_state.object_table(kept=True))
    wait = gate.wait
    array = ray.put(np.ones(100_000))
    outer = ray.put([array])
    late = ray.remote(lambda x: wait()).remote(array)
    table = ray.global_state.object_table(kept=True)
    driver = [(os.getpid(), "driver")]
    assert table[array]["DataSize"] > 800_000 and table[array]["State"] == "sealed"
    assert table[array]["Pins"] == 2  # the container and the task
    assert table[late]["State"] == "pending" and table[late]["Holders"] == driver
    assert table[outer]["CallSite"] == f"{here('outer = ray.put')} in test_what_a_table_says"
    assert table[late]["CallSite"] == f"{here('late = ray.remote')} in test_what_a_table_says"
    others = table.keys() - {array, outer, late} - before
    assert not table[array]["Kept"] and all(table[x]["Kept"] for x in others)
    assert ray.global_state.object_table(array) == ray.global_state.object_table(array.hex())


def test_holders_in_other_processes(ray_session, gate, wait_until):
    ray, wait, arrive = ray_session, gate.wait, gate.arrive

    def hold(ids):
        arrive("here")
        wait()

    x = ray.put(np.ones(1000))
    task = ray.remote(hold).remote([x])
    wait_until(lambda: gate.arrived("here"), what="the task")
    holders = ray.global_state.object_table(x)["Holders"]
    assert sorted(kind for _, kind in holders) == ["driver", "worker"]
    gate.open()
    ray.get(task)


def test_the_table_holds_nothing(ray_session, statistics):
    x = ray_session.put(np.ones(1000))
    table = ray_session.global_state.object_table()
    assert x in table
    count = statistics().objects
    del x
    gc.collect()
    assert statistics().objects == count - 1
    gone = [y for y in table if not table[y]["Kept"]][0]
    with pytest.raises(KeyError):
        ray_session.global_state.object_table(gone)
    with pytest.raises(ray_session.exceptions.ObjectLostError):
        ray_session.get(gone)


def test_without_a_session_there_is_no_table(fresh):
    with pytest.raises(AttributeError):
        fresh.global_state.no_such_table  # noqa: B018  # the look is the point
    with pytest.raises(fresh.exceptions.RaySystemError):
        fresh.global_state.object_table()
    fresh.init(driver_mode=fresh.PYTHON_MODE)
    assert fresh.global_state.object_table() == {}


def test_resources_by_name(fresh, gate, wait_until):
    """What there is, and what is free: numbers as they were given, nothing that was not."""
    fresh.init(num_cpus=4, num_gpus=2, resources={"disk": 1.5})
    state, wait, arrive = fresh.global_state, gate.wait, gate.arrive
    assert state.cluster_resources() == state.available_resources() == {"CPU": 4, "GPU": 2, "disk": 1.5}
    held = fresh.remote(num_cpus=0.5, num_gpus=0.25, resources={"disk": 1})(lambda: (arrive("in"), wait()))
    x = held.remote()
    wait_until(lambda: gate.arrived("in"))
    assert state.available_resources() == {"CPU": 3.5, "GPU": 1.75, "disk": 0.5}
    assert state.cluster_resources() == {"CPU": 4, "GPU": 2, "disk": 1.5}
    gate.open()
    fresh.get(x)
    wait_until(lambda: state.available_resources() == state.cluster_resources())
    fresh.shutdown()
    fresh.init(num_cpus=1)
    assert state.cluster_resources() == {"CPU": 1}
