"""resource_env.py: variables, and thread pools that can or can't follow; whole sessions are in conformance/test_pool.py."""

import os
import sys
import types

import pytest

from ray_lite.policy.resources import Resources
from ray_lite.workers import resource_env

CPU = 10_000


@pytest.fixture
def clean(monkeypatch):
    """No thread variables, and no library with pools; monkeypatch."""
    for name in resource_env.THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name in resource_env.WITH_POOLS:
        monkeypatch.delitem(sys.modules, name, raising=False)
    before = dict(os.environ)
    yield monkeypatch
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def core(monkeypatch):
    """What the core is told."""
    told = []
    fake = types.SimpleNamespace(fix_threads=lambda region, threads: told.append(threads), held_gpus=lambda region: [1])
    monkeypatch.setattr(resource_env, "_core", fake)
    return told


def test_variables_follow_the_cpus(clean, core):
    one = resource_env.ResourceEnv(None, Resources(), None)
    for cpus, threads in ((CPU, "1"), (3 * CPU, "3"), (CPU // 2, "1"), (0, "1"), (CPU * 3 // 2, "2")):
        assert one.change(cpus, True)
        assert {os.environ[name] for name in resource_env.THREAD_VARIABLES} == {threads}


def test_the_users_variables_stay(clean, core):
    clean.setenv("MKL_NUM_THREADS", "7")
    one = resource_env.ResourceEnv(None, Resources(), None)
    assert one.change(2 * CPU, True)
    assert os.environ["MKL_NUM_THREADS"] == "7" and os.environ["OMP_NUM_THREADS"] == "2"


def test_loaded_pools_that_can_not_follow_are_declined(clean, core):
    clean.setitem(sys.modules, "threadpoolctl", None)  # it can't be imported
    one = resource_env.ResourceEnv(None, Resources(), None)
    assert one.change(CPU, True)
    clean.setitem(sys.modules, "numpy", types.ModuleType("numpy"))
    assert one.change(CPU, True) and core == []
    assert not one.change(2 * CPU, True) and core == [1]
    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert one.change(2 * CPU, False), "an inline task runs all the same"


def test_loaded_pools_follow_by_threadpoolctl(clean, core):
    given = []
    controller = types.SimpleNamespace(limit=lambda limits: given.append(limits))
    module = types.ModuleType("threadpoolctl")
    module.ThreadpoolController = lambda: controller
    clean.setitem(sys.modules, "threadpoolctl", module)
    clean.setitem(sys.modules, "numpy", types.ModuleType("numpy"))
    one = resource_env.ResourceEnv(None, Resources(), None)
    for cpus in (CPU, 2 * CPU, 2 * CPU, CPU):
        assert one.change(cpus, True)
    assert given == [2, 1] and core == []


def test_gpus_are_shown_by_the_variable_that_named_them(clean, core):
    clean.delenv("ROCR_VISIBLE_DEVICES", raising=False)
    one = resource_env.ResourceEnv(None, Resources(1, ("4", "6"), "ROCR_VISIBLE_DEVICES"), None)
    assert one.change(CPU, True) and os.environ["ROCR_VISIBLE_DEVICES"] == "6"


def test_cores_are_the_workers_own_and_their_neighbours(clean, core):
    every = sorted(os.sched_getaffinity(0))
    try:
        one = resource_env.ResourceEnv(None, Resources(), 1)
        assert one.change(CPU, True)
        assert os.sched_getaffinity(0) == {every[1 % len(every)]}
        assert one.change(len(every) * CPU * 2, True)
        assert os.sched_getaffinity(0) == set(every)
    finally:
        os.sched_setaffinity(0, every)
