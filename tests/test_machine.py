"""machine.py: what this machine gives."""

import os

import pytest

from ray_lite import cgroups, machine


def test_cpus_follow_the_affinity_mask():
    allowed = os.sched_getaffinity(0)
    assert 1 <= machine.cpus().value <= len(allowed)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert machine.cpus().value == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No control groups and no Slurm; `nowhere` is monkeypatch, to add some."""
    monkeypatch.setattr(cgroups, "ROOT", str(tmp_path / "no-groups"))
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    return monkeypatch


def test_memory_is_what_the_kernel_says(nowhere):
    with open("/proc/meminfo") as file:
        kilobytes = int(file.readline().split()[1])
    value, source = machine.memory()
    assert abs(value - kilobytes * 1024) < 1 << 20 and source == "the machine"


@pytest.mark.parametrize("variables, cpus", [
    ({"SLURM_CPUS_PER_TASK": "1", "SLURM_CPUS_ON_NODE": "64"}, 1),
    ({"SLURM_CPUS_ON_NODE": "1"}, 1),
    ({"SLURM_JOB_CPUS_PER_NODE": "1(x2),16"}, 1),
    ({"SLURM_CPUS_PER_TASK": "100000"}, None),
    ({"SLURM_CPUS_PER_TASK": "nonsense"}, None),
])
def test_slurms_cpus(nowhere, variables, cpus):
    plain = machine.cpus()
    for name, value in variables.items():
        nowhere.setenv(name, value)
    found = machine.cpus()
    assert found == (plain if cpus is None else (cpus, next(iter(variables))))


@pytest.mark.parametrize("variables, mebibytes", [
    ({"SLURM_MEM_PER_NODE": "512"}, 512),
    ({"SLURM_MEM_PER_CPU": "100", "SLURM_CPUS_ON_NODE": "3"}, 300),
    ({"SLURM_MEM_PER_CPU": "100"}, None),
    ({"SLURM_MEM_PER_NODE": "0"}, None),  # all of the node's
])
def test_slurms_memory(nowhere, variables, mebibytes):
    plain = machine.memory()
    for name, value in variables.items():
        nowhere.setenv(name, value)
    found = machine.memory()
    assert found == (plain if mebibytes is None else (mebibytes << 20, next(iter(variables))))


def test_quotas_of_control_groups(nowhere):
    for quota, cpus in (0.5, 1), (1.7, 1):
        nowhere.setattr(cgroups, "cpus", lambda quota=quota: quota)
        assert machine.cpus() == (cpus, "the cgroup's CPU quota")
    nowhere.setattr(cgroups, "memory", lambda: 123 << 20)
    assert machine.memory() == (123 << 20, "the cgroup's memory limit")


def test_what_a_session_takes(fresh, nowhere, capfd):
    """The least of all by default, and says so when asked; a variable overrides it, init() overrides all."""
    nowhere.setattr(cgroups, "memory", lambda: 1 << 30)
    nowhere.setenv("SLURM_CPUS_PER_TASK", "1")
    fresh.init(verbose=True)
    facts = fresh.session.current().statistics()
    assert facts.cpus == 1 and facts.arena_bytes == int((1 << 30) * 0.3) >> 21 << 21
    assert "1 CPUs (SLURM_CPUS_PER_TASK)" in capfd.readouterr().err
    fresh.shutdown()
    nowhere.setenv("RAY_LITE_NUM_CPUS", "7")
    fresh.init()
    assert fresh.session.current().statistics().cpus == 7
    fresh.shutdown()
    fresh.init(num_cpus=3)
    assert fresh.session.current().statistics().cpus == 3


def test_file_systems():
    assert machine.file_system("/proc/self") == "proc"
    assert machine.file_system("/dev/shm") == "tmpfs"
    assert machine.file_system("/") != "proc"  # in a chroot it can't be told
