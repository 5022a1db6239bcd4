"""Names of Ray of 2018: those that stand for ours, and those that are left out and say what takes their place."""

import importlib
import os
import re
import sys

import pytest

import ray_lite as ray
from ray_lite import names_2018

SAME = ["error_info", "flush_log", "get", "get_gpu_ids", "get_webui_url", "global_state", "init", "log_event", "log_span",
        "put", "register_custom_serializer", "remote", "wait"]
LEFT_OUT = [(where, name) for where, names in names_2018._LEFT_OUT.items() for name in names]


@pytest.fixture(params=["PYTHON_MODE", "SILENT_MODE"])
def backend(fresh, request):
    fresh.init(driver_mode=getattr(fresh, request.param), num_cpus=2)
    return fresh


def fail():
    raise ValueError("mine")


def test_re_exports_are_ours():
    assert all(getattr(ray.worker, name) is getattr(ray, name) for name in SAME)
    assert ray.worker.cleanup is ray.shutdown and ray.local_scheduler.ObjectID is ray.ObjectID


def test_they_can_be_imported():
    from ray_lite.local_scheduler import ObjectID
    from ray_lite.worker import RayTaskError, global_worker

    assert importlib.import_module("ray_lite.worker") is ray.worker is sys.modules["ray_lite.worker"]
    assert RayTaskError is ray.exceptions.RayTaskError and ObjectID is ray.ObjectID
    assert global_worker is ray.worker.global_worker


def test_what_is_left_out_says_what_takes_its_place():
    for where, name in LEFT_OUT:
        place = eval(where, {"ray_lite": ray})
        with pytest.raises(AttributeError, match=rf"^{re.escape(where)} has no {name}: \w"):
            getattr(place, name)
        assert not hasattr(place, name)


def test_other_names_are_missing_as_anywhere():
    for where in {where for where, _ in LEFT_OUT}:
        with pytest.raises(AttributeError, match=f"'{where}' has no attribute 'nonsense'"):
            eval(where, {"ray_lite": ray}).nonsense  # noqa: B018  # the look is the point


def test_no_advice_for_what_is_there():
    assert not [(where, name) for where, name in LEFT_OUT if where == "ray_lite" and name in ray.__all__]


def test_a_failure_is_caught_by_the_names_of_2018(backend):
    worker = backend.worker
    task = ray.remote(fail)
    if worker.global_worker.mode == ray.PYTHON_MODE:
        with pytest.raises(ValueError, match="mine"):
            task.remote()
        return
    for error in (worker.RayGetError, worker.RayTaskError, worker.RayGetArgumentError):
        with pytest.raises(error, match="mine"):
            worker.get(ray.remote(len).remote(task.remote()))
    with pytest.raises(worker.RayGetError, match="exit"):
        ray.get(ray.remote(os._exit).remote(1))


def test_calls_through_the_names(backend):
    worker = backend.worker
    assert ray.get(ray.remote(lambda: worker.global_worker.connected).remote()) is True  # a module that is captured
    x = worker.put(1, worker=worker.global_worker)
    assert worker.get(x, worker=worker.global_worker) == worker.get(worker.remote(lambda: 1).remote()) == 1
    assert worker.wait([x], worker=worker.global_worker) == ([x], [])
    assert worker.error_info(worker=worker.global_worker) == [] and worker.get_gpu_ids() == []
    assert worker.get_webui_url() is None and ray.get_webui_url() is None


def test_global_worker(backend):
    me = backend.worker.global_worker
    mode, own = me.mode, me.worker_id
    assert me.connected and mode in (ray.PYTHON_MODE, ray.SILENT_MODE) and type(own) is bytes and len(own) == 20
    facts = ray.remote(lambda: (me.connected, me.mode, me.worker_id, os.getpid()))
    seen = [ray.get(facts.remote()) for _ in range(3)]
    assert {connected for connected, *_ in seen} == {True}
    if mode == ray.PYTHON_MODE:
        assert set(seen) == {(True, mode, own, os.getpid())}
    else:
        assert {one for _, one, *_ in seen} == {ray.WORKER_MODE}
        ids = {pid: one for _, _, one, pid in seen}
        assert own not in ids.values() and {len(one) for one in ids.values()} == {20}
        assert {one.hex() for one in ids.values()} <= ray.global_state.workers().keys()
    backend.worker.cleanup(worker=me)
    assert not me.connected and me.mode is None and len(me.worker_id) == 20
    backend.worker.cleanup()


def test_each_process_has_an_id_of_its_own(fresh, gate, wait_until):
    fresh.init(num_cpus=2)
    wait, arrive = gate.wait, gate.arrive

    def own():
        arrive("here")
        wait()
        return ray.worker.global_worker.worker_id

    ids = [ray.remote(own).remote() for _ in range(2)]
    wait_until(lambda: len(gate.arrived("here")) == 2)
    gate.open()
    found = [*ray.get(ids), ray.worker.global_worker.worker_id]
    ray.shutdown()
    assert len({*found, ray.worker.global_worker.worker_id}) == 4


def test_a_forked_child_is_not_connected(ray_session, forked):
    own = ray.worker.global_worker.worker_id

    def look():
        me = ray.worker.global_worker
        assert not me.connected and me.mode is None and me.worker_id != own and len(me.worker_id) == 20

    forked(look).wait()


CALLS = [
    "get(None)", "put(1)", "wait([])", "error_info()", "get_gpu_ids()", "get_webui_url()", "global_state.object_table()",
    "global_state.function_table()", "global_state.client_table()", "global_state.local_schedulers()",
    "global_state.workers()", "global_state.log_files()", "global_state.actors()", "global_state.cluster_resources()",
    "global_state.available_resources()", "memory()", "cancel(None)", "get_attempt_number()", "get_actor('x')",
    "remote(len).remote('x')",
]


def test_without_a_session_each_call_says_so(fresh):
    for _ in range(2):
        for call in CALLS:
            with pytest.raises(ray.worker.RayConnectionError, match="not initialised; call ray_lite.init"):
                eval(f"ray.{call}")
        ray.init(driver_mode=ray.PYTHON_MODE)
        ray.shutdown()
