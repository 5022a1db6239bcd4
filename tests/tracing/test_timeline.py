"""What a program sees of its own traces: the file, the tables, its own events."""

import gzip
import json
import os
import signal
import textwrap
import time
from collections import Counter
from pathlib import Path

import importer
import pytest

import ray_lite as ray
from ray_lite import _core
from ray_lite.profiling import EVENT_MOST
from ray_lite.tracing.tables import DONE, NONE, QUEUED, RUNNING

EXAMPLES = Path(__file__).parents[2] / "examples"


@ray.remote
def add(x, y=0):
    return x + y


@ray.remote
def outer(n):
    with ray.log_span("all", {"n": n}):
        found = ray.get([add.remote(k) for k in range(n)])
    ray.log_event("over")
    return sum(found)


@ray.remote
class Counting:
    def one(self):
        return os.getpid()


@ray.remote(max_concurrency=4)
class Crowded:
    def meet(self, there, number):
        Path(there, str(number)).touch()
        while len(os.listdir(there)) < 4:
            time.sleep(0.001)


def written(path):
    ray.timeline(path)
    with (gzip.open if str(path).endswith(".gz") else open)(path, "rt") as file:
        whole = json.load(file)
    importer.check(whole["traceEvents"])
    return whole


def slices(whole, category):
    return [one for one in whole["traceEvents"] if one["ph"] in "Xb" and one.get("cat") == category]


@pytest.fixture
def detailed(ray_session):
    ray.timeline(detail=True)
    return ray_session


def test_each_task_is_one_slice_on_the_process_that_ran_it(ray_session, tmp_path):
    actor = Counting.remote()
    ray.get([add.remote(k) for k in range(20)])
    pid = ray.get(actor.one.remote())
    whole = written(tmp_path / "t.json")
    assert Counter(one["name"] for one in slices(whole, "task")) == {"add": 20}
    assert [(one["name"], one["pid"]) for one in slices(whole, "call")] == [("Counting.__init__", pid), ("Counting.one", pid)]
    assert {one["pid"] for one in slices(whole, "task")} <= set(ray.session.current().view.worker_pids())
    assert whole["otherData"] == {"lost": 0}
    assert slices(whole, "submit") == []  # details are off


def test_arrows_lead_from_submissions_and_values_to_the_runs(detailed, tmp_path):
    x, y = ray.put(1), ray.put(list(range(10_000)))
    ray.get([add.remote(add.remote(x)), outer.remote(3), ray.remote(len).remote(y)])
    whole = written(tmp_path / "t.json.gz")
    found = Counter((one["cat"], one["ph"]) for one in whole["traceEvents"] if one["ph"] in "sf")
    assert found == {("submit_task", "s"): 7, ("submit_task", "f"): 7, ("obj_dependency", "s"): 3, ("obj_dependency", "f"): 3}
    assert Counter(one["name"] for one in slices(whole, "put")) == {"put": 2}
    assert Counter(one["name"] for one in slices(whole, "queued")) == {"add": 5, "outer": 1, "len": 1}
    assert {one["pid"] for one in slices(whole, "submit")} > {os.getpid()}  # the nested ones are the worker's
    assert {"outer:execute", "outer:get_arguments"} <= {one["name"] for one in whole["traceEvents"]}


def test_details_can_be_switched_off_again(detailed, tmp_path):
    ray.get(add.remote(1))
    ray.timeline(detail=False)
    ray.get(add.remote(2))
    whole = written(tmp_path / "t.json")
    assert (len(slices(whole, "submit")), len(slices(whole, "task"))) == (1, 2)


def test_more_records_than_a_ring_holds_are_collected_meanwhile(fresh, tmp_path, monkeypatch, wait_until):
    monkeypatch.setenv("RAY_LITE_TRACE_RECORDS", "64")
    monkeypatch.setenv("RAY_LITE_TRACE", "1")
    ray.init(num_cpus=1)
    for k in range(10):
        ray.get([add.remote(j) for j in range(10)])
        wait_until(lambda k=k: len(ray.global_state.task_profiles()) == 10 * (k + 1))
    assert written(tmp_path / "t.json")["otherData"] == {"lost": 0}
    ray.timeline(detail=False)
    ray.get([add.remote(k) for k in range(300)])
    whole = written(tmp_path / "t.json")
    assert (len(slices(whole, "task")), whole["otherData"]) == (100 + 64, {"lost": 300 - 64})


def test_calls_at_a_time_are_all_there(detailed, tmp_path):
    (tmp_path / "there").mkdir()
    crowded = Crowded.remote()
    ray.get([crowded.meet.remote(str(tmp_path / "there"), k) for k in range(4)])
    whole = written(tmp_path / "t.json")
    assert Counter(one["name"] for one in slices(whole, "call")) == {"Crowded.meet": 4, "Crowded.__init__": 1}
    assert {one["ph"] for one in slices(whole, "call")} == {"X", "b"}


def test_failures_retries_and_deaths(ray_session, tmp_path):
    @ray.remote(max_retries=1)
    def dies():
        if ray.get_attempt_number() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        raise ValueError("after all")

    with pytest.raises(ValueError, match="after all"):
        ray.get(dies.remote())
    whole = written(tmp_path / "t.json")
    (task,) = slices(whole, "task")
    assert (task["name"].endswith("dies"), task["args"]["outcome"]) == (True, "failed")
    assert [one["name"] for one in whole["traceEvents"] if one["ph"] == "i"] == ["process died"]
    (row,) = ray.global_state.task_table().values()
    assert (row["State"], row["Failed"]) == (DONE, True)


def test_what_is_spilled_and_loaded(fresh, tmp_path):
    ray.init(num_cpus=1, object_store_memory=8 << 20, spill_directory=str(tmp_path))
    ray.timeline(detail=True)
    held = [ray.put(bytes(2 << 20)) for _ in range(8)]
    assert len(ray.get(held[0])) == 2 << 20
    assert {one["name"] for one in slices(written(tmp_path / "t.json"), "spill")} == {"spill"}


@pytest.mark.parametrize("mode", ["SCRIPT_MODE", "PYTHON_MODE"])
def test_events_of_a_program(fresh, mode, tmp_path):
    ray.init(driver_mode=getattr(ray, mode), num_cpus=1)
    before = time.time()
    assert outer.remote(3) == 3 if mode == "PYTHON_MODE" else ray.get(outer.remote(3)) == 3
    with pytest.raises(KeyError), ray.log_span("fails", {1: None}):
        raise KeyError("gone")
    assert ray.flush_log() is None
    found = ray.global_state.events()
    if mode == "PYTHON_MODE":
        assert found == []
        return
    assert [(one["type"], one["contents"]) for one in found[:2]] == [("all", {"n": "3"}), ("over", None)]
    assert all(before - 0.1 <= one["start"] <= one["end"] <= time.time() + 0.1 for one in found)
    assert found[2]["contents"].items() >= {"1": "None", "type": "KeyError", "value": "'gone'"}.items()
    assert 'raise KeyError("gone")' in found[2]["contents"]["traceback"]
    assert {one["name"] for one in slices(written(tmp_path / "t.json"), "event")} == {"all", "fails"}


@pytest.mark.parametrize(("arguments", "error", "says"), [
    ((1,), TypeError, "must be a str, got 1"),
    (("a", [1]), TypeError, "must be a dict or None, got list"),
    (("a", {"x": "y" * EVENT_MOST}), ValueError, "at most 4,000 bytes, this one 4,0"),
])
def test_wrong_events_are_refused_before_anything_is_recorded(ray_session, arguments, error, says):
    with pytest.raises(error, match=says):
        ray.log_event(*arguments)
    with pytest.raises(error, match=says), ray.log_span(*arguments):
        pytest.fail("the block ran")
    assert ray.global_state.events() == []


def test_the_largest_event_and_a_failure_in_it(ray_session):
    text = "x" * (EVENT_MOST - 70)
    with pytest.raises(RuntimeError), ray.log_span("full", {"x": text}):
        raise RuntimeError("y" * 10_000)
    (found,) = ray.global_state.events()
    assert found["contents"]["x"] == text


def test_the_table_of_tasks_has_those_that_have_not_ended_too(detailed, gate, wait_until):
    @ray.remote
    def held(gate):
        gate.wait()

    done = add.remote(1, 2)
    ray.get(done)
    running = [held.remote(gate) for _ in range(2)]
    queued = add.remote(done)
    states = lambda: Counter(row["State"] for row in ray.global_state.task_table().values())  # noqa: E731
    wait_until(lambda: states() == {DONE: 1, RUNNING: 2, QUEUED: 1})
    table = ray.global_state.task_table()
    (waits,) = (row for row in table.values() if row["State"] == QUEUED)
    assert waits["TaskSpec"]["FunctionName"] == "add"
    (ended,) = (row for row in table.values() if row["State"] == DONE)
    assert (ended["TaskSpec"]["ReturnObjectIDs"], ended["TaskSpec"]["ActorID"]) == ([done], NONE)
    assert ray.global_state.task_table(ended["TaskSpec"]["TaskID"]) == ended
    with pytest.raises(KeyError):
        ray.global_state.task_table("00" * 20)
    gate.open()
    ray.get([*running, queued])
    wait_until(lambda: states() == {DONE: 4})
    (row,) = (row for row in ray.global_state.task_table().values() if row["TaskSpec"]["ReturnObjectIDs"] == [queued])
    assert row["TaskSpec"]["Args"] == [done]


def test_a_task_whose_get_has_returned_is_in_the_table(ray_session):
    for k in range(1, 100):
        ray.get(add.remote(k))
        assert len(ray.global_state.task_table()) == k


def test_profiles_and_the_trace_file_of_2018(detailed, tmp_path):
    before = time.time()
    ray.get([add.remote(k) for k in range(5)])
    profiles = ray.global_state.task_profiles(3)
    assert len(profiles) == 3
    assert list(profiles) == list(ray.global_state.task_profiles())[:3]
    assert list(ray.global_state.task_profiles(2, fwd=False)) == list(ray.global_state.task_profiles())[3:]
    assert ray.global_state.task_profiles(start=time.time() + 10) == ray.global_state.task_profiles(end=before - 10) == {}
    for profile in profiles.values():
        phases = ("get_arguments", "execute", "store_outputs")
        times = [profile[f"{phase}_{edge}"] for phase in phases for edge in ("start", "end")]
        assert times == sorted(times)
        assert before - 0.1 < times[0] < time.time() + 0.1
        assert profile["function_name"] == "add"
    ray.global_state.dump_catapult_trace(tmp_path / "t.json", profiles, breakdowns=False, task_dep=False)
    found = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    assert Counter(one["ph"] for one in found if one["ph"] in "Xsf") == {"X": 6}  # three runs, three submissions
    ray.global_state.dump_catapult_trace(tmp_path / "t.json", profiles)
    importer.check(json.loads((tmp_path / "t.json").read_text())["traceEvents"])


def test_python_mode_has_an_empty_trace(python_mode, tmp_path):
    assert add.remote(1) == 1
    ray.timeline(detail=True)
    whole = written(tmp_path / "t.json")
    assert [one["ph"] for one in whole["traceEvents"]] == ["M"]
    assert ray.global_state.task_table() == ray.global_state.task_profiles() == {}


def test_wrong_arguments_and_no_session(fresh, tmp_path):
    for call in (ray.timeline, ray.flush_log, lambda: ray.log_event("a"), ray.global_state.task_table, ray.global_state.events):
        with pytest.raises(ray.exceptions.RaySystemError, match="not initialised"):
            call()
    ray.init(num_cpus=1)
    with pytest.raises(TypeError, match="detail must be True, False or None, got 1"):
        ray.timeline(detail=1)
    with pytest.raises(FileNotFoundError):
        ray.timeline(tmp_path / "no" / "t.json")


def test_the_census_shows_each_task_once_with_its_arrows(run_script, tmp_path):
    done = run_script(f"""
        import runpy, sys
        import ray_lite as ray

        ended = ray.shutdown
        def shutdown():
            if ray.is_initialized():
                ray.timeline({str(tmp_path / "t.json")!r})
            ended()
        ray.shutdown = shutdown
        sys.argv = ["census", "--limit", "60", "--no-serial", "--num-cpus", "2"]
        try:
            runpy.run_path({str(EXAMPLES / "stdlib_census.py")!r}, run_name="__main__")
        finally:
            shutdown()
        """, env={"RAY_LITE_TRACE": "1"})
    assert "identifiers" in done.stdout, done
    whole = json.loads((tmp_path / "t.json").read_text())
    importer.check(whole["traceEvents"])
    tasks = slices(whole, "task")
    counted = Counter(one["name"] for one in tasks)
    assert counted["census_of_file"] == 60
    assert len({one["args"]["task"] for one in tasks}) == len(tasks) == len(slices(whole, "submit"))
    arrows = Counter((one["cat"], one["ph"]) for one in whole["traceEvents"] if one["ph"] in "sf")
    assert arrows["submit_task", "f"] == len(tasks)
    assert arrows["obj_dependency", "f"] == 60 + counted["merge"] - 1
    assert whole["otherData"] == {"lost": 0}


def test_return_ids_are_those_that_a_call_returns(detailed):
    ids = ray.remote(num_return_vals=3)(lambda: (1, 2, 3)).remote()
    ray.get(ids)
    (row,) = ray.global_state.task_table().values()
    assert row["TaskSpec"]["ReturnObjectIDs"] == ids
    assert _core.return_id(bytes.fromhex(row["TaskSpec"]["TaskID"]), 2) == ids[2].binary()


def test_scripts_end_quietly_while_details_are_recorded(run_script):
    source = """
        import ray_lite as ray
        ray.init(num_cpus=1)
        ray.timeline(detail=True)
        print(ray.get(ray.remote(len).remote("ab")))
    """
    done = run_script(textwrap.dedent(source))
    assert (done.returncode, done.stdout, done.stderr) == (0, "2\n", "")
