"""error_info: failures, deaths and checkpoints, from the driver and from workers, in every mode."""

import importlib
import os
import signal
import time

import pytest
from ledgers import Ledger, kill

import ray_lite as ray
from ray_lite.exceptions import RayActorError, RaySystemError, WorkerCrashedError


@pytest.fixture(params=["SCRIPT_MODE", "SILENT_MODE"])
def session(fresh, request):
    fresh.init(num_cpus=2, driver_mode=getattr(fresh, request.param))
    return fresh


@ray.remote
def fail(x):
    raise ValueError(f"no {x}")


def failed(x):
    with pytest.raises(ValueError):
        ray.get(x)


def types():
    return [entry["type"] for entry in ray.error_info()]


def test_no_errors(session):
    assert ray.error_info() == [] and ray.error_info(worker=None) == []
    assert ray.get(ray.remote(len).remote("abc")) == 3 and ray.error_info() == []


def test_a_failure_is_there_when_get_has_raised_it(session):
    before = time.time()
    for number in range(3):
        failed(fail.remote(number))
    entries = ray.error_info()
    assert [entry["type"] for entry in entries] == ["task"] * 3
    for number, entry in enumerate(entries):
        assert set(entry) == {"type", "message", "data", "timestamp"}
        assert entry["message"].endswith(f"ValueError: no {number}\n") and entry["message"].startswith("Traceback")
        assert entry["data"]["function_name"] == "fail" and len(entry["data"]["task_id"]) == 40
        assert before - 1 < entry["timestamp"] < time.time() + 1
    assert ray.error_info() == entries, "reading clears nothing"


def test_one_that_nobody_gets_is_there_within_a_second(session, wait_until):
    x = fail.remote(1)
    wait_until(lambda: types() == ["task"], deadline=1)
    del x


def test_workers_and_actors_see_the_same(session):
    failed(fail.remote(1))

    @ray.remote
    class Asker:
        def ask(self):
            return ray.error_info()

    answers = ray.get([ray.remote(ray.error_info).remote(), Asker.remote().ask.remote()])
    assert answers == [ray.error_info()] * 2 and len(answers[0]) == 1


def test_deaths(session):
    @ray.remote(max_retries=1)
    def dies():
        os.kill(os.getpid(), signal.SIGKILL if ray.get_attempt_number() == 1 else signal.SIGSEGV)

    with pytest.raises(WorkerCrashedError):
        ray.get(dies.remote())
    died, crashed = ray.error_info()
    assert died["type"] == "worker_died" and "SIGKILL" in died["message"] and died["data"]["attempts"] == 1
    assert crashed["type"] == "worker_crash" and "SIGSEGV" in crashed["message"]
    assert crashed["data"]["signal"] == signal.SIGSEGV and crashed["data"]["function_name"].endswith("dies")


def test_an_actors_death_with_a_call_and_without(session, gate, wait_until):
    actor, idle = ray.remote(Ledger).remote(), ray.remote(Ledger).remote()
    os.kill(ray.get(idle.pid.remote()), signal.SIGKILL)
    held = actor.hold.remote(gate.arrive, gate.wait, "x")
    [name] = wait_until(lambda: gate.arrived("in"))
    os.kill(int(name.split("-")[2]), signal.SIGKILL)
    with pytest.raises(RayActorError):
        ray.get(held)
    [entry] = ray.error_info()
    assert entry["type"] == "worker_crash" and entry["data"]["class_name"] == "Ledger"
    gate.open()


def test_checkpoints(session, wait_until):
    @ray.remote(checkpoint_interval=2)
    class Unsaved(Ledger):
        def __ray_save__(self):
            raise OSError("nowhere to save it")

    actor = Unsaved.remote()
    ray.get([actor.note.remote(number) for number in range(2)])
    wait_until(lambda: types() == ["checkpoint"])
    assert "nowhere to save it" in ray.error_info()[0]["message"]
    kill(actor)


def test_a_function_that_a_worker_can_not_load(session, tmp_path, monkeypatch):
    """Once a worker, beside the failures of the tasks."""
    name = f"only_in_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text("def f():\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    broken = ray.remote(importlib.import_module(name).f)
    (tmp_path / f"{name}.py").write_text("raise ImportError('not any more')\n")
    for _ in range(3):
        with pytest.raises(ImportError):
            ray.get(broken.remote())
    found = types()
    assert found.count("task") == 3 and 1 <= found.count("register_remote_function") <= 2


def test_the_newest_are_kept(fresh, monkeypatch):
    monkeypatch.setenv("RAY_LITE_ERRORS", "10")
    fresh.init(num_cpus=2, driver_mode=fresh.SILENT_MODE)
    ids = [fail.remote(number) for number in range(30)]
    ray.wait(ids, num_returns=30)
    assert len(ray.error_info()) == 10
    failed(fail.remote("last"))
    assert "no last" in ray.error_info()[-1]["message"]


def test_in_python_mode_errors_are_raised_at_the_call(python_mode):
    with pytest.raises(ValueError):
        fail.remote(1)
    assert python_mode.error_info() == []


def test_without_a_session(fresh):
    with pytest.raises(RaySystemError, match="init"):
        fresh.error_info()


def test_entries_of_an_earlier_session_are_gone(session):
    failed(fail.remote(1))
    session.shutdown()
    session.init(num_cpus=1)
    assert session.error_info() == []


def test_no_error_is_lost_with_a_control_process(fresh, monkeypatch, control_process):
    monkeypatch.setenv("RAY_LITE_CONTROL_RESTART", "0.05")
    fresh.init(num_cpus=1)
    failed(fail.remote(1))
    for number in range(2, 5):
        control_process().kill()
        failed(fail.remote(number))
        assert [entry["message"][-2:-1] for entry in ray.error_info()] == [str(k) for k in range(1, number + 1)]
