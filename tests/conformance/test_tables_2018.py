"""global_state's tables in the shapes of Ray of 2018: objects, functions, clients, workers, log files."""

import os

import pytest

import ray_lite as ray

OF_2018 = {"ManagerIDs", "TaskID", "IsPut", "DataSize", "Hash"}
OURS = {"State", "Holders", "Pins", "CallSite", "Kept"}


@ray.remote
def f(x):
    return x


@pytest.fixture
def state(fresh):
    fresh.init(num_cpus=2, num_gpus=1, resources={"disk": 1.5}, node_ip_address="10.0.0.1")
    return fresh.global_state


def test_the_object_table_has_the_programs_objects(state, gate):
    assert state.object_table() == {}
    x, wait = ray.put([1]), gate.wait
    y = f.remote(x)
    ray.get(y)
    late = ray.remote(lambda: wait()).remote()
    table = state.object_table()
    assert table.keys() == {x, y, late} and all(facts.keys() == OF_2018 | OURS for facts in table.values())
    [manager] = [row["DBClientID"] for row in state.client_table()["10.0.0.1"] if row["ClientType"] == "plasma_manager"]
    assert table[x]["ManagerIDs"] == table[y]["ManagerIDs"] == [manager] and table[x]["DataSize"] > 0
    assert [table[late][name] for name in ("ManagerIDs", "DataSize")] == [None, -1]
    small = ray.put(1)
    assert [state.object_table(one)["IsPut"] for one in (x, small, y, late)] == [True, True, False, False]
    assert state.object_table(x) == state.object_table(x.hex()) == table[x]


def test_what_the_session_keeps_is_shown_when_asked_for(state):
    ray.get(f.remote(1))
    kept = state.object_table(kept=True)
    assert any(facts["CallSite"] == "function f" for facts in kept.values()) and all(facts["Kept"] for facts in kept.values())
    x = next(iter(kept))
    assert state.object_table(x) == kept[x]


def test_the_function_table(state):
    assert state.function_table() == {}
    ray.get([f.remote(1), f.options(num_cpus=2).remote(2)])
    [(id, facts)] = state.function_table().items()
    driver = ray.worker.global_worker.worker_id.hex()
    assert facts == {"DriverID": driver, "Module": __name__, "Name": f"{__name__}.f"} and len(id) == 40
    assert state.function_table(id) == facts

    @ray.remote
    class Calls:
        def table(self):
            ray.get(ray.remote(len).remote("x"))
            return ray.global_state.function_table()

    inside = ray.get(Calls.remote().table.remote())
    assert {one["Name"] for one in inside.values()} == {f"{__name__}.f", "builtins.len"}, "methods are none"
    assert {one["DriverID"] for one in inside.values()} == {driver}


def test_clients(state):
    [rows] = state.client_table().values()
    assert [row["ClientType"] for row in rows] == ["plasma_manager", "local_scheduler"]
    assert not any(row["Deleted"] for row in rows) and len({row["DBClientID"] for row in rows}) == 2
    [scheduler] = state.local_schedulers()
    assert scheduler == rows[1] and {name: scheduler[name] for name in ("CPU", "GPU", "disk")} == state.cluster_resources()
    assert ray.get(ray.remote(lambda: ray.global_state.client_table()).remote()) == state.client_table()


def test_workers_and_their_files(fresh, wait_until):
    fresh.init(num_cpus=2, redirect_worker_output=True)
    pid = ray.get(ray.remote(lambda: print("some words") or os.getpid()).remote())
    actor = ray.remote(type("Actor", (), {"pid": lambda self: os.getpid()})).remote()
    actor_pid = ray.get(actor.pid.remote())
    table = {row["Pid"]: row for row in fresh.global_state.workers().values()}
    assert table[pid]["Kind"] == "worker" and table[actor_pid]["Kind"] == "actor"
    assert set(table[pid]) == {"node_ip_address", "Pid", "Kind", "stdout_file", "stderr_file"}
    wait_until(lambda: fresh.global_state.log_files()["127.0.0.1"].get(f"worker-{pid}.out") == ["some words"])
    with open(table[pid]["stdout_file"]) as file:
        assert file.read() == "some words\n"


def test_without_redirection_there_is_no_file(state):
    ray.get(f.remote(1))
    assert [set(row) for row in state.workers().values()] == [{"node_ip_address", "Pid", "Kind"}]
    assert list(state.log_files()) == ["10.0.0.1"]


def test_in_python_mode_tables_are_empty(python_mode):
    f.remote(1)
    for table in ("object_table", "function_table", "client_table", "local_schedulers", "workers", "log_files", "actors",
                  "cluster_resources", "available_resources"):
        assert not getattr(python_mode.global_state, table)()
