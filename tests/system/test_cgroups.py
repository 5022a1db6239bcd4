"""cgroups.py over trees as the kernel would show them, versions 1 and 2, and over the real one."""

import pytest

from ray_lite.system import cgroups


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """`tree(lines, {path: text})`: /proc/self/cgroup with these lines, and these files under /sys/fs/cgroup."""
    def make(lines, files):
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text("".join(f"{line}\n" for line in lines))
        for path, text in files.items():
            (tmp_path / "sys" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "sys" / path).write_text(text + "\n")

    monkeypatch.setattr(cgroups, "PROC", str(tmp_path / "proc"))
    monkeypatch.setattr(cgroups, "ROOT", str(tmp_path / "sys"))
    return make


JOB = "slurm/uid_7/job_9/step_0"


def test_version_2(tree):
    tree([f"0::/{JOB}"], {
        f"{JOB}/cpu.max": "max 100000", "slurm/uid_7/job_9/cpu.max": "150000 100000", "slurm/cpu.max": "800000 100000",
        f"{JOB}/memory.max": "max", "slurm/uid_7/memory.max": "5000000",
    })
    assert (cgroups.cpus(), cgroups.memory()) == (1.5, 5_000_000)


def test_version_1(tree):
    tree([f"4:memory:/{JOB}", f"1:cpu,cpuacct:/{JOB}", "0::/"], {
        f"cpu,cpuacct/{JOB}/cpu.cfs_quota_us": "-1", f"cpu,cpuacct/{JOB}/cpu.cfs_period_us": "100000",
        "cpu,cpuacct/slurm/cpu.cfs_quota_us": "50000", "cpu,cpuacct/slurm/cpu.cfs_period_us": "100000",
        f"memory/{JOB}/memory.limit_in_bytes": "9223372036854771712", "memory/slurm/memory.limit_in_bytes": "7000000",
    })
    assert (cgroups.cpus(), cgroups.memory()) == (0.5, 7_000_000)


def test_a_container_that_sees_its_own_group_as_the_root(tree):
    tree(["1:cpu:/docker/abc", "2:memory:/docker/abc"], {
        "cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000", "memory/memory.limit_in_bytes": "9000000",
    })
    assert (cgroups.cpus(), cgroups.memory()) == (2, 9_000_000)


def test_both_at_once(tree):
    """Hybrid: limits of version 1, and a unified tree beside them."""
    tree(["2:memory:/a", "0::/a"], {"memory/a/memory.limit_in_bytes": "9000000", "unified/a/memory.max": "8000000"})
    assert cgroups.memory() == 8_000_000
    assert [version for version, _ in cgroups.own("self", "memory")] == [1, 2]


@pytest.mark.parametrize("lines, files", [
    ([], {}),
    (["0::/gone (deleted)"], {"cpu.max": "max 100000"}),
    (["0::/"], {"cpu.max": "nonsense", "memory.max": ""}),
    (["0::/"], {"cpu.max": "100000 0"}),
])
def test_without_limits(tree, lines, files):
    tree(lines, files)
    assert (cgroups.cpus(), cgroups.memory()) == (None, None)


def test_the_real_tree():
    assert cgroups.cpus() is None or cgroups.cpus() > 0
    assert cgroups.memory() is None or cgroups.memory() > 0
    assert list(cgroups.own("no-such-pid", "memory")) == []


def test_processes(tree):
    tree([f"0::/{JOB}"], {
        f"{JOB}/pids.max": "max", f"{JOB}/pids.current": "3", "slurm/pids.max": "500", "slurm/pids.current": "120",
    })
    assert cgroups.processes() == 380


def test_processes_in_version_1(tree):
    """A group above ours may have less left than ours."""
    tree([f"8:pids:/{JOB}", "0::/"], {
        f"pids/{JOB}/pids.max": "600", f"pids/{JOB}/pids.current": "20", "pids/slurm/pids.max": "500",
        "pids/slurm/pids.current": "120", "pids/slurm/uid_7/pids.max": "max", "pids/slurm/uid_7/pids.current": "60",
    })
    assert cgroups.processes() == 380


def test_processes_of_a_container_in_version_1(tree):
    tree(["8:pids:/docker/abc"], {"pids/pids.max": "100", "pids/pids.current": "30"})
    assert cgroups.processes() == 70


def test_processes_without_a_limit(tree):
    tree(["0::/"], {"pids.current": "9"})
    assert cgroups.processes() is None
