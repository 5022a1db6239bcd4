"""`ray-lite doctor`: that it says what `init()` takes, what would make that faster, and why `init()` would fail."""

import json
import os
import resource
import subprocess
import sys

import pytest

from ray_lite.cli import doctor
from ray_lite.cli.advice import MOST, STORE_LEAST, suggestions
from ray_lite.cli.facts import Cpus, Directory, Facts, Feature, HugePages, Limits, Memory, Mount, Pages, Server, Store
from ray_lite.cli.features import FAILS, features
from ray_lite.cli.findings import findings
from ray_lite.config import Config
from ray_lite.control.store_binaries import NO_BINARIES
from ray_lite.system import cgroups, machine, session_dir
from ray_lite.system.machine import Gpus, Limit

MIB = 1 << 20
FINE = Facts(
    version="1", python="3.11", kernel="6.18", root=False, problems=[], settings={},
    cpus=Cpus(64, "the machine", [Limit(64, "the machine"), Limit(64, "the affinity mask")], None, 2),
    memory=Memory(256 << 30, "the machine", [Limit(256 << 30, "the machine")]),
    store=Store(64 << 30, "30 %", 4096),
    huge_pages=HugePages(2 * MIB, [Pages(2 * MIB, 0, 0)], [], "within_size"),
    limits=Limits(1024, 4096, 5000, 6000, None, 0, Limit(1000, "RAY_LITE_MAX_WORKERS"), Limit(1016, "RLIMIT_NOFILE=4,096")),
    features=[Feature("pidfd_open", True, FAILS)], control_store=[Server("/bin/redis-server", "7.0", "")],
    gpus=Gpus(("0", "1"), "CUDA_VISIBLE_DEVICES", "the NVIDIA driver"), directory=Directory("/tmp", "TMPDIR"),
)  # fmt: skip


# ---------------------------------------------------------------- advice from made-up facts


def with_cpus(value, source, limits, job=None):
    return FINE._replace(cpus=Cpus(value, source, [Limit(*one) for one in limits], job, 1))


def with_workers(left, source, **limits):
    return FINE._replace(limits=FINE.limits._replace(workers=Limit(left, source), **limits))


def with_huge_pages(**changes):
    return FINE._replace(huge_pages=FINE.huge_pages._replace(**{"shared_memory": "never", **changes}))


def commands(facts):
    return [one.command for one in suggestions(facts)]


def test_where_nothing_would_help():
    assert suggestions(FINE) == []
    assert findings(FINE, []).endswith("\n\nNo setting that ray-lite knows of would make it faster here.")


@pytest.mark.parametrize("mask, job, wanted", [(1, 8, 8), (4, 8, 8), (8, 8, None), (1, None, None), (1, 1000, 64)])
def test_a_step_with_fewer_cpus_than_its_job(mask, job, wanted):
    facts = with_cpus(mask, "the affinity mask", [(64, "the machine"), (mask, "the affinity mask")], job)
    assert commands(facts) == ([] if wanted is None else [f"srun --ntasks=1 --cpus-per-task={wanted} python script.py"])


def test_a_step_that_srun_did_not_tell_the_cpus_of_its_task():
    facts = with_cpus(1, "the affinity mask", [(64, "the machine"), (1, "the affinity mask"), (16, "SLURM_CPUS_PER_TASK")])
    assert commands(facts) == ["srun --ntasks=1 --cpus-per-task=16 python script.py"]


@pytest.mark.parametrize("job, wanted", [(64, 64), (4, None), (None, None)])
def test_a_job_of_several_tasks(job, wanted):
    facts = with_cpus(4, "SLURM_CPUS_PER_TASK", [(64, "the machine"), (4, "SLURM_CPUS_PER_TASK")], job)
    assert commands(facts) == ([] if wanted is None else [f"sbatch --ntasks=1 --cpus-per-task={wanted} job.sh"])


@pytest.mark.parametrize("source, limits, wanted", [
    ("RLIMIT_NOFILE=100 (ulimit -Hn)", {}, "sudo prlimit --pid $$ --nofile=272:272"),
    ("RLIMIT_NPROC=5,000 (ulimit -u)", {}, "ulimit -Su 5043"),
    ("RLIMIT_NPROC=5,000 (ulimit -u)", {"user_processes_hard": 5000}, "sudo prlimit --pid $$ --nproc=5043:5043"),
    ("RLIMIT_NPROC=5,000 (ulimit -u)", {"user_processes_hard": None}, "ulimit -Su 5043"),
    ("RAY_LITE_MAX_WORKERS", {}, "export RAY_LITE_MAX_WORKERS=64"),
    ("RAY_LITE_SLOTS=24", {}, "export RAY_LITE_SLOTS=67"),
    ("the cgroup's pids.max", {}, "docker run --pids-limit=96 ...  # or TasksMax= of a systemd unit"),
])  # fmt: skip
def test_fewer_workers_than_cpus(source, limits, wanted):
    assert commands(with_workers(21, source, **limits)) == [wanted]
    assert commands(with_workers(64, source, **limits)) == []


def test_the_limit_that_is_advised_is_enough(monkeypatch):
    """As the code that follows the limit counts."""
    [command] = commands(with_workers(21, "RLIMIT_NOFILE=100 (ulimit -Hn)"))
    files, none = int(command.rpartition(":")[2]), resource.RLIM_INFINITY
    monkeypatch.setattr(cgroups, "processes", lambda: None)
    monkeypatch.setattr(resource, "getrlimit", lambda one: (files, files) if one == resource.RLIMIT_NOFILE else (none, none))
    assert machine.workers(Config()) == Limit(64, f"RLIMIT_NOFILE={files:,} (ulimit -Hn)")


@pytest.mark.parametrize("setting, helps", [
    ("never", True), ("advise", True), ("within_size", False), ("always", False), ("force", False), ("deny", False),
    (None, False),
])  # fmt: skip
def test_transparent_huge_pages(setting, helps):
    facts = with_huge_pages(shared_memory=setting)
    wanted = "echo within_size | sudo tee /sys/kernel/mm/transparent_hugepage/shmem_enabled"
    assert commands(facts) == ([wanted] if helps else [])
    assert commands(facts._replace(root=True)) == ([wanted.replace("sudo ", "")] if helps else [])
    assert commands(facts._replace(store=Store(STORE_LEAST - 1, "", 4096))) == []


def test_huge_pages_that_are_there_come_first():
    enough, few = (64 << 30) // (2 * MIB), 100
    assert commands(with_huge_pages(reserved=[Pages(2 * MIB, enough, enough)])) == ["ray_lite.init(huge_pages=True)"]
    assert "tee" in commands(with_huge_pages(reserved=[Pages(2 * MIB, few, enough)]))[0]
    assert "tee" in commands(with_huge_pages(reserved=[Pages(1 << 30, 64, 64)]))[0], "no mount has pages of that size"
    mounted = with_huge_pages(reserved=[Pages(2 * MIB, few, few)], mounts=[Mount("/huge", 1 << 30, 64)])
    assert commands(mounted) == ["ray_lite.init(huge_pages=True, plasma_directory='/huge')"]


def test_there_are_two_at_most():
    facts = with_workers(1, "RAY_LITE_MAX_WORKERS")._replace(
        cpus=Cpus(4, "SLURM_CPUS_PER_TASK", FINE.cpus.limits, 64, 1), huge_pages=with_huge_pages().huge_pages)
    assert len(suggestions(facts)) == MOST and not any("tee" in one for one in commands(facts))


# ---------------------------------------------------------------- texts


def test_the_text_says_all_of_it():
    text = findings(FINE._replace(settings={"RAY_LITE_SLOTS": "9"}), suggestions(with_huge_pages()))
    for part in ("64 (the machine)", "NUMA nodes: 2", "274.9 GB", "68.7 GB (30 %), on pages of 4 KiB", "0 of 0 pages of 2 MiB",
                 "at most 1,000 (RAY_LITE_MAX_WORKERS)", "hard 4,096", "/bin/redis-server, version 7.0", "/tmp (TMPDIR)",
                 "2 GPUs (the NVIDIA driver): 0, 1", "RAY_LITE_SLOTS=9", "To make it faster", "    echo within_size"):
        assert part in text, part


def test_what_is_lacking_is_said():
    lacking = FINE._replace(control_store=[], features=[Feature("a", True, "x"), Feature("b", False, "slower")],
                            problems=["OSError: full"])
    text = findings(lacking, [])
    assert text.startswith("init() would fail: OSError: full\n\n") and "No setting" not in text
    assert NO_BINARIES in text and "lacking: b; without it slower" in text and "used: a" in text


# ---------------------------------------------------------------- this machine


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No /sys, and of /proc only what `init` can't do without."""
    for module, name in ((machine, "HUGE_PAGES"), (machine, "TRANSPARENT"), (machine, "NUMA_NODES"), (machine, "OVERCOMMIT"),
                         (machine, "LOAD"), (cgroups, "ROOT"), (cgroups, "PROC")):
        monkeypatch.setattr(module, name, str(tmp_path / "nowhere"))
    return monkeypatch


def test_what_can_not_be_read_is_unknown(nowhere):
    facts = doctor.examined()
    assert (facts.problems, facts.cpus.numa_nodes, facts.limits.overcommit) == ([], None, None)
    assert facts.huge_pages.reserved is None and facts.huge_pages.shared_memory is None
    text = findings(facts, suggestions(facts))
    assert "reserved: unknown" in text and "shared memory: unknown" in text and "NUMA nodes: unknown" in text


def test_a_plan_that_can_not_be_made(nowhere):
    def missing():
        raise FileNotFoundError(2, "No such file or directory", "/proc/meminfo")

    nowhere.setattr(machine, "memory_limits", missing)
    facts = doctor.examined()
    assert facts.problems == ["FileNotFoundError: [Errno 2] No such file or directory: '/proc/meminfo'"]
    assert (facts.store, facts.memory.value, facts.gpus, facts.cpus.value) == (None, None, None, None)
    assert facts.features[0].works is None
    assert "object store   unknown" in findings(facts, [])


def test_a_directory_that_can_not_be_made(nowhere, tmp_path):
    nowhere.setattr(session_dir, "private_parent", lambda: str(tmp_path / "gone"))
    [problem] = doctor.examined().problems
    assert problem.startswith("FileNotFoundError: ") and str(tmp_path / "gone") in problem


@pytest.mark.skipif(subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0,
                    reason="this user can't hide file systems")
def test_machines_that_hide_what_they_have():
    hide = "mount -t tmpfs none /sys && mount -t tmpfs none /proc"
    line = ["unshare", "-m", "sh", "-c", f"{hide} && {sys.executable} -m ray_lite doctor"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("init() would fail: ") and "/proc/meminfo" in done.stdout and done.stdout.count("unknown") > 8


def test_features_that_a_kernel_lacks(monkeypatch):
    assert all(one.works in (True, False) for one in features())

    def refused(*arguments):
        raise PermissionError("seccomp")

    monkeypatch.setattr(os, "pidfd_open", refused)
    monkeypatch.setattr(os, "memfd_create", refused)
    works = {one.name.split()[0]: one.works for one in features()}
    assert (works["pidfd_open"], works["MFD_NOEXEC_SEAL"]) == (False, False)
    facts = doctor.examined()
    assert "PermissionError: seccomp" in facts.problems and "pidfd_open does not work here" in facts.problems


TAKES = """
import json, os, subprocess, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
done = subprocess.run([sys.executable, "-m", "ray_lite", "doctor", "--json"], capture_output=True, text=True)
assert (done.returncode, done.stderr) == (0, ""), done
facts = json.loads(done.stdout)
assert os.listdir(os.environ["TMPDIR"]) == [], "it left something"
import ray_lite as ray
info = ray.init()
there = ray.session.current().view.statistics()
assert (facts["cpus"]["value"], facts["cpus"]["source"]) == (there.cpus, "the affinity mask") and there.cpus == 1
assert facts["store"]["bytes"] == there.arena_bytes and facts["store"]["page_bytes"] == there.page_bytes
assert facts["directory"] == {"path": os.path.dirname(info["session_dir"]), "source": "TMPDIR"}
assert bool(facts["control_store"]) == (info["redis_address"] is not None)
assert len(facts["gpus"]["ids"]) == ray.global_state.cluster_resources().get("GPU", 0)
"""


def test_it_says_what_a_session_takes(run_script, tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    clean = {name: "" for name in os.environ if name.startswith(("SLURM_", "XDG_RUNTIME"))}
    done = run_script(TAKES, env={**clean, "TMPDIR": str(place)})
    assert done.returncode == 0, done.stderr


def test_json_and_text_without_a_session(command):
    code, out, err = command("doctor", "--json")
    facts = json.loads(out)
    assert (code, err) == (0, "") and set(facts) == {*Facts._fields, "suggestions"}
    assert {"value", "source", "limits", "job", "numa_nodes"} == set(facts["cpus"])
    code, out, err = command("doctor")
    assert (code, err) == (0, "") and "\033" not in out
    assert f"{facts['cpus']['value']} ({facts['cpus']['source']})" in out
    assert "doctor" in command("completion", "bash")[1]


@pytest.mark.parametrize("changes, text", [
    ({"RAY_LITE_SLOTS": "many"}, "ValueError: RAY_LITE_SLOTS='many': expected a whole number"),
    ({"CUDA_VISIBLE_DEVICES": ",".join(map(str, range(300)))}, "shows 300 GPUs"),
])  # fmt: skip
def test_why_init_would_fail(command, changes, text):
    code, out, err = command("doctor", **changes)
    assert (code, err) == (1, "") and out.startswith("init() would fail: ") and text in out.splitlines()[0]
    code, out, err = command("doctor", "--json", **changes)
    assert code == 1 and [text in one for one in json.loads(out)["problems"]] == [True]


def test_a_limit_that_leaves_no_room_for_the_store():
    line = f"ulimit -v 4000000; exec {sys.executable} -m ray_lite doctor"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "ulimit -v" in done.stdout.splitlines()[0], done


def test_it_imports_nothing_heavy():
    code = ("import sys; from ray_lite.cli.main import main; main(['doctor']); "
            "print({'numpy', 'redis', 'cloudpickle', 'asyncio'} & set(sys.modules))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith("\nset()\n"), done.stdout
