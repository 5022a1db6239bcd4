"""machine.py: what this machine gives."""

import math
import os

import psutil
import pytest

from ray_lite.config import Config
from ray_lite.system import cgroups, machine


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
    """Two CPUs, no control groups, and no Slurm; `nowhere` is monkeypatch, to add some."""
    monkeypatch.setattr(psutil, "cpu_count", lambda: 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
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
    facts = fresh.session.current().view.statistics()
    assert facts.cpus == 1 and facts.arena_bytes == math.ceil((1 << 30) * 0.3 / facts.page_bytes) * facts.page_bytes
    said = capfd.readouterr().err
    assert "1 CPUs (SLURM_CPUS_PER_TASK)" in said
    assert "bytes of object store (30 % of 1,073,741,824: the cgroup's memory limit) on pages of" in said
    fresh.shutdown()
    for text in "7", "1.5", "0":
        nowhere.setenv("RAY_LITE_NUM_CPUS", text)
        fresh.init(verbose=True)
        assert fresh.session.current().view.statistics().cpus == float(text)
        assert f"{text} CPUs (RAY_LITE_NUM_CPUS)" in capfd.readouterr().err
        fresh.shutdown()
    fresh.init(num_cpus=3)
    assert fresh.session.current().view.statistics().cpus == 3


def test_file_systems():
    assert machine.file_system("/proc/self") == "proc"
    assert machine.file_system("/dev/shm") == "tmpfs"
    assert machine.file_system("/") != "proc"  # in a chroot it can't be told


# ---------------------------------------------------------------- GPUs and processes


@pytest.fixture
def no_gpus(nowhere, tmp_path):
    for name in (*machine.GPU_VARIABLES, *machine.SLURM_GPUS):
        nowhere.delenv(name, raising=False)
    nowhere.setattr(machine, "GPUS", str(tmp_path / "gpus"))
    return nowhere


def test_gpus_of_the_driver(no_gpus, tmp_path):
    assert machine.gpus() == ((), "CUDA_VISIBLE_DEVICES", "the machine")
    for name in ("0000:07:00.0", "0000:0f:00.0"):
        (tmp_path / "gpus" / name).mkdir(parents=True)
    assert machine.gpus() == (("0", "1"), "CUDA_VISIBLE_DEVICES", "the NVIDIA driver")
    assert machine.gpus(5) == (tuple("01234"), "CUDA_VISIBLE_DEVICES", "num_gpus")


@pytest.mark.parametrize("text, count", [("0,1", 2), ("2-5", 4), ("0,2-3,7", 4), ("gpu:1,3", 2), ("gpu:a100:0-1", 2), ("", 0)])
def test_gpus_of_slurm(no_gpus, text, count):
    """Slurm's numbers are the machine's; inside the job's constraint they begin at 0."""
    no_gpus.setenv("SLURM_JOB_GPUS", text)
    assert machine.gpus().ids == tuple(map(str, range(count)))
    no_gpus.setenv("SLURM_STEP_GPUS", "3")
    assert machine.gpus().ids == ("0",)


@pytest.mark.parametrize("variables, count, source", [
    ({"SLURM_JOB_GPUS": "GPU-1,GPU-2"}, 0, "the machine"),
    ({"SLURM_JOB_GPUS": "GPU-1,GPU-2", "SLURM_GPUS_ON_NODE": "2"}, 2, "SLURM_GPUS_ON_NODE"),
    ({"SLURM_STEP_GPUS": "0,GPU-2", "SLURM_JOB_GPUS": "2-4", "SLURM_GPUS_ON_NODE": "4"}, 3, "SLURM_JOB_GPUS"),
    ({"SLURM_JOB_GPUS": "0,1-", "SLURM_GPUS_ON_NODE": "2"}, 2, "SLURM_GPUS_ON_NODE"),
    ({"SLURM_JOB_GPUS": "0,0-1,"}, 2, "SLURM_JOB_GPUS"),
    ({"SLURM_GPUS_ON_NODE": "3"}, 3, "SLURM_GPUS_ON_NODE"),
    ({"SLURM_GPUS_ON_NODE": "0"}, 0, "SLURM_GPUS_ON_NODE"),
    ({"SLURM_GPUS_ON_NODE": "nonsense"}, 0, "the machine"),
])
def test_what_slurm_says_first_and_can_be_read_holds(no_gpus, variables, count, source):
    for name, value in variables.items():
        no_gpus.setenv(name, value)
    assert machine.gpus() == (tuple(map(str, range(count))), "CUDA_VISIBLE_DEVICES", source)


def test_an_unreadable_list_of_slurms_does_not_hide_the_drivers(no_gpus, tmp_path):
    (tmp_path / "gpus/0000:07:00.0").mkdir(parents=True)
    no_gpus.setenv("SLURM_JOB_GPUS", "GPU-1,GPU-2")
    assert machine.gpus() == (("0",), "CUDA_VISIBLE_DEVICES", "the NVIDIA driver")


@pytest.mark.parametrize("variable", machine.GPU_VARIABLES)
def test_gpus_of_a_variable(no_gpus, variable):
    no_gpus.setenv("SLURM_JOB_GPUS", "0-7")
    no_gpus.setenv(variable, "GPU-a,MIG-b")
    assert machine.gpus() == (("GPU-a", "MIG-b"), variable, variable)
    assert machine.gpus(1).ids == ("GPU-a",)
    with pytest.raises(ValueError, match=f"num_gpus=3, but {variable}='GPU-a,MIG-b' shows 2"):
        machine.gpus(3)


@pytest.mark.parametrize("text, ids", [
    ("0,0", ("0",)), ("1,0, 1,2", ("1", "0", "2")), ("GPU-a,MIG-b,GPU-a", ("GPU-a", "MIG-b")),
])
def test_a_gpu_that_a_variable_names_twice_is_one(no_gpus, text, ids):
    no_gpus.setenv("CUDA_VISIBLE_DEVICES", text)
    assert machine.gpus().ids == ids
    with pytest.raises(ValueError, match=f"'{text}' shows {len(ids)}"):
        machine.gpus(len(ids) + 1)


def test_workers_are_bounded_by_what_the_machine_allows(no_gpus):
    config = Config()
    no_gpus.setattr(machine, "_processes_left", lambda enough: [])
    no_gpus.setattr(machine.resource, "getrlimit", lambda which: (1 << 20, 1 << 20))
    assert machine.workers(config) == (1_000, "RAY_LITE_MAX_WORKERS")
    assert machine.workers(config, 7) == (7, "max_workers")
    assert machine.workers(config._replace(slots=50)) == (50 - machine.OTHER_SLOTS, "RAY_LITE_SLOTS=50")
    no_gpus.setattr(machine, "_processes_left", lambda enough: [machine.Limit(300, "the cgroup's pids.max")])
    assert machine.workers(config) == (300 - machine.OTHERS, "the cgroup's pids.max")
    no_gpus.setattr(machine, "_processes_left", lambda enough: [machine.Limit(-5, "the cgroup's pids.max")])
    assert machine.workers(config).value == 1, "init says why no process can be started"
    no_gpus.setattr(machine, "_processes_left", lambda enough: [])
    no_gpus.setattr(machine.resource, "getrlimit", lambda which: (64, 256))
    assert machine.workers(config) == ((256 - machine.OTHERS) // machine.FILES_EACH, "RLIMIT_NOFILE=256 (ulimit -Hn)")
    assert machine.processes(config).value == (256 - machine.OTHERS) // machine.FILES_EACH


def test_processes_of_workers_and_actors_are_not_bounded_by_max_workers(no_gpus):
    config = Config()
    no_gpus.setattr(machine, "_processes_left", lambda enough: [])
    no_gpus.setattr(machine.resource, "getrlimit", lambda which: (1 << 20, 1 << 20))
    assert machine.processes(config) == (config.slots - machine.OTHER_SLOTS, f"RAY_LITE_SLOTS={config.slots}")
    assert machine.processes(config).value >= config.max_workers + 1_000, "so many workers and 1,000 actors"
    no_gpus.setattr(machine, "_processes_left", lambda enough: [machine.Limit(300, "the cgroup's pids.max")])
    assert machine.processes(config) == (300 - machine.OTHERS, "the cgroup's pids.max")


def test_limits_of_processes(no_gpus):
    no_gpus.setattr(cgroups, "processes", lambda: 123)
    no_gpus.setattr(machine.resource, "getrlimit", lambda which: (300, 300))
    no_gpus.setattr(machine.os, "geteuid", lambda: 1000)
    no_gpus.setattr(machine, "_threads_of", lambda user: 40)
    assert machine._processes_left(1000) == [(123, "the cgroup's pids.max"), (260, "RLIMIT_NPROC=300 (ulimit -u)")]
    assert "pids.max leaves 123" in machine.why_no_process()
    no_gpus.setattr(machine.os, "geteuid", lambda: 0)
    assert machine._processes_left(1000) == [(123, "the cgroup's pids.max")], "root has no such limit"


def test_threads_are_counted():
    assert 0 < machine._threads_of(os.getuid()) <= machine._threads_here() + 50


# ---------------------------------------------------------------- what is seen, and not followed


@pytest.fixture
def kernel(monkeypatch, tmp_path):
    """`kernel(path, text)`: a file that the kernel has."""
    monkeypatch.setattr(machine, "TRANSPARENT", str(tmp_path))
    monkeypatch.setattr(machine, "HUGE_PAGES", str(tmp_path))
    monkeypatch.setattr(machine, "NUMA_NODES", str(tmp_path / "online"))
    monkeypatch.setattr(machine, "OVERCOMMIT", str(tmp_path / "overcommit"))

    def write(path, text):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text + "\n")

    return write


def test_transparent_huge_pages_for_shared_memory(kernel):
    assert machine.shared_huge_pages() is None
    kernel("shmem_enabled", "always within_size advise [never] deny force")
    assert machine.shared_huge_pages() == "never"
    kernel("hpage_pmd_size", "2097152")
    for own, found in ("inherit", "never"), ("always", "always"):
        kernel("hugepages-2048kB/shmem_enabled", f"some [{own}] other")
        assert machine.shared_huge_pages() == found
    kernel("shmem_enabled", "never [deny]")
    assert machine.shared_huge_pages() == "deny", "that holds for all sizes"


def test_sizes_of_huge_pages(kernel):
    kernel("hugepages-2048kB/free_hugepages", "0")
    kernel("hugepages-1048576kB/free_hugepages", "0")
    kernel("nonsense/x", "0")
    assert machine.huge_page_sizes() == [2 << 20, 1 << 30]


def test_nodes_and_promises(kernel):
    assert (machine.numa_nodes(), machine.overcommit()) == (None, None)
    kernel("online", "0-3,8")
    kernel("overcommit", "2")
    assert (machine.numa_nodes(), machine.overcommit()) == (5, 2)


def test_the_cpus_of_a_job(nowhere):
    assert machine.job_cpus() is None
    nowhere.setenv("SLURM_CPUS_PER_TASK", "4")
    assert machine.job_cpus() is None
    nowhere.setenv("SLURM_JOB_CPUS_PER_NODE", "32(x2),16")
    assert machine.job_cpus() == 32
