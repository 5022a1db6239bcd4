"""GPUs: which ids a task gets, and what CUDA_VISIBLE_DEVICES says in it. No GPU is needed: any number may be claimed."""

import os

import pytest

import ray_lite as ray

VARIABLES = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ZE_AFFINITY_MASK", "SLURM_JOB_GPUS",
             "SLURM_STEP_GPUS", "SLURM_GPUS_ON_NODE")


@pytest.fixture
def bare(fresh, monkeypatch):
    """No variable says anything of GPUs; monkeypatch, to let one."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def seen(**options):
    return ray.remote(**{"num_gpus": 0, **options})(lambda: (ray.get_gpu_ids(), os.environ.get("CUDA_VISIBLE_DEVICES")))


def test_ids_are_counted_from_zero_where_nothing_names_them(bare):
    ray.init(num_cpus=2, num_gpus=3)
    assert ray.get(seen(num_gpus=1).remote()) == ([0], "0")
    assert ray.get(seen(num_gpus=3).remote()) == ([0, 1, 2], "0,1,2")
    assert ray.get(seen().remote()) == ([], "")
    assert ray.get_gpu_ids() == [] and "CUDA_VISIBLE_DEVICES" not in os.environ


MANY = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, range(257))), "SLURM_STEP_GPUS": "0-256"}


@pytest.mark.parametrize("variable, text", MANY.items(), ids=MANY)
def test_more_than_a_session_can_have(bare, variable, text):
    bare.setenv(variable, text)
    with pytest.raises(ValueError, match=f"{variable} shows 257 GPUs, but a session has at most 256"):
        ray.init(num_cpus=1)
    if variable == "CUDA_VISIBLE_DEVICES":
        ray.init(num_cpus=1, num_gpus=256)
        assert ray.get(seen(num_gpus=256).remote())[0] == list(range(256))


@pytest.mark.parametrize("text, ids", [
    ("2,5", [2, 5]), ("GPU-8f3a,GPU-77", ["GPU-8f3a", "GPU-77"]), ("MIG-GPU-1/2/3", ["MIG-GPU-1/2/3"]), (" 3 , 1", [3, 1]),
    ("0,-1,2", [0]),
])
def test_ids_are_those_of_the_variable(bare, text, ids):
    bare.setenv("CUDA_VISIBLE_DEVICES", text)
    ray.init(num_cpus=1)
    assert ray.get(seen(num_gpus=len(ids)).remote()) == (ids, ",".join(map(str, ids)))
    assert os.environ["CUDA_VISIBLE_DEVICES"] == text, "the driver's is left alone"
    with pytest.raises(ValueError, match=f"has {len(ids)} in all"):
        seen(num_gpus=len(ids) + 1).remote()


@pytest.mark.parametrize("text", ["", "-1", "NoDevFiles", "none"])
def test_a_variable_that_shows_none(bare, text):
    """A session without GPUs leaves it alone."""
    bare.setenv("CUDA_VISIBLE_DEVICES", text)
    ray.init(num_cpus=1)
    assert ray.get(seen().remote()) == ([], text)
    with pytest.raises(ValueError, match="has 0 in all"):
        seen(num_gpus=1).remote()


def test_a_session_without_gpus_leaves_the_variable_alone(bare):
    bare.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    ray.init(num_cpus=1, num_gpus=0)
    assert ray.get(seen().remote()) == ([], "0,1")


def test_no_more_than_the_variable_shows_can_be_claimed(bare):
    bare.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(ValueError, match="num_gpus=3, but CUDA_VISIBLE_DEVICES='0,1' shows 2"):
        ray.init(num_cpus=1, num_gpus=3)
    ray.init(num_cpus=1, num_gpus=1)
    assert ray.get(seen(num_gpus=1).remote()) == ([0], "0")


def test_other_makers_variables(bare):
    bare.setenv("ROCR_VISIBLE_DEVICES", "4,6")
    ray.init(num_cpus=1)
    f = ray.remote(num_gpus=1)(lambda: (ray.get_gpu_ids(), os.environ["ROCR_VISIBLE_DEVICES"]))
    assert ray.get(f.remote()) == ([4], "4")


def test_ten_tasks_on_ten_gpus_get_all_ten(bare, gate, wait_until):
    ray.init(num_cpus=10, num_gpus=10)
    wait, arrive = gate.wait, gate.arrive

    @ray.remote(num_gpus=1)
    def held():
        arrive("in")
        wait()
        return ray.get_gpu_ids()

    ids = [held.remote() for _ in range(12)]
    wait_until(lambda: len(gate.arrived("in")) == 10, 20)
    assert ray.session.current().view.statistics().tasks == 12
    gate.open()
    found = ray.get(ids)
    assert sorted(sum(found[:10], [])) == list(range(10))


def test_parts_share_a_gpu_and_whole_ones_do_not(bare, gate, wait_until):
    ray.init(num_cpus=8, num_gpus=2)
    wait, arrive = gate.wait, gate.arrive

    @ray.remote
    def held():
        arrive("in")
        wait()
        return ray.get_gpu_ids()

    parts = [held.options(num_gpus=0.25).remote() for _ in range(4)]
    wait_until(lambda: len(gate.arrived("in")) == 4, 20)
    whole = held.options(num_gpus=1).remote()
    wait_until(lambda: len(gate.arrived("in")) == 5, 20)
    last = held.options(num_gpus=0.1).remote()
    assert ray.wait([last], timeout=100)[0] == []
    gate.open()
    assert len({tuple(ids) for ids in ray.get(parts)}) == 1
    assert ray.get(whole) not in ray.get(parts)


def test_a_worker_that_has_seen_gpus_keeps_to_them(bare):
    """A loaded CUDA does not look at its variable again: each process sees the same GPUs, or none, all its life."""
    ray.init(num_cpus=2, num_gpus=3)
    look = ray.remote(lambda: (os.getpid(), os.environ["CUDA_VISIBLE_DEVICES"]))
    calls = [look, look.options(num_gpus=1), look.options(num_gpus=2), look.options(num_gpus=0.5)]
    found = {}
    for k in range(200):
        pid, shown = ray.get(calls[k % 4].remote(), timeout=20)
        assert found.setdefault(pid, shown) == shown
    assert len(found) <= 8


def test_a_task_that_changes_the_variable_changes_nothing_for_the_next(bare):
    ray.init(num_cpus=1, num_gpus=1)

    @ray.remote(num_gpus=1)
    def spoil():
        found = os.environ["CUDA_VISIBLE_DEVICES"]
        os.environ["CUDA_VISIBLE_DEVICES"] = "spoilt"
        return found

    assert [ray.get(spoil.remote()) for _ in range(3)] == ["0"] * 3


def test_nor_does_one_that_ran_another_inline(bare):
    ray.init(num_cpus=1, num_gpus=1, max_workers=1)
    child = ray.remote(lambda: None)

    @ray.remote
    def spoil():
        found = os.environ["CUDA_VISIBLE_DEVICES"]
        ray.get(child.remote())
        os.environ["CUDA_VISIBLE_DEVICES"] = "spoilt"
        return found

    assert [ray.get(spoil.remote(), timeout=10) for _ in range(3)] == [""] * 3
