"""Narrow machines: one CPU, no writable home, odd directories, low limits, a small /dev/shm, no network."""

import os
import resource
import subprocess

import pytest

PAGE = os.sysconf("SC_PAGESIZE")
HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
WORKS = """
import os, sys
import numpy as np
import ray_lite as ray
info = ray.init()
cpus = len(os.sched_getaffinity(0))

@ray.remote
def total(array):
    return int(array.sum())

array = np.ones(1_000_000, dtype=np.uint8)
assert ray.get([total.remote(array) for _ in range(5)]) == [1_000_000] * 5

@ray.remote
def parent(n):
    return n + (ray.get(parent.remote(n - 1)) if n else 0)

assert ray.get(parent.remote(6)) == 21
try:
    ray.remote(num_cpus=cpus + 1)(lambda: 1).remote()
except ValueError:
    print("works", cpus)
"""


def allowed(*command):
    return subprocess.run([*command, "true"], capture_output=True).returncode == 0


def test_default_cpus_follow_the_affinity(output_of):
    first = min(os.sched_getaffinity(0))
    assert output_of(WORKS, command=["taskset", "-c", str(first)]) == "works 1\n"


def test_default_cpus_follow_the_machine(output_of):
    if os.path.exists("/sys/fs/cgroup/cpu.max"):
        with open("/sys/fs/cgroup/cpu.max") as file:
            if file.read().split()[0] != "max":
                pytest.skip("a quota makes the default smaller than the mask")
    slurm = {name: None for name in os.environ if name.startswith("SLURM")}
    assert output_of(WORKS, env=slurm) == f"works {len(os.sched_getaffinity(0))}\n"


JOB = "slurm/uid_7/job_9"
GROUPS = {  # by version: what /proc/self/cgroup says, and the files under /sys/fs/cgroup
    1: ([f"8:pids:/{JOB}", f"5:memory:/{JOB}", f"1:cpu,cpuacct:/{JOB}", "0::/"], {
        f"cpu,cpuacct/{JOB}/cpu.cfs_quota_us": "50000", f"cpu,cpuacct/{JOB}/cpu.cfs_period_us": "100000",
        f"memory/{JOB}/memory.limit_in_bytes": "9223372036854771712", "memory/slurm/memory.limit_in_bytes": f"{1 << 28}",
        f"pids/{JOB}/pids.max": "max", f"pids/{JOB}/pids.current": "9",
        "pids/slurm/pids.max": "100", "pids/slurm/pids.current": "79",
    }),
    2: ([f"0::/{JOB}"], {
        f"{JOB}/cpu.max": "50000 100000", f"{JOB}/memory.max": "max", "slurm/memory.max": f"{1 << 28}",
        f"{JOB}/pids.max": "max", f"{JOB}/pids.current": "9", "slurm/pids.max": "100", "slurm/pids.current": "79",
    }),
}


@pytest.fixture(params=GROUPS, ids="version {}".format)
def groups(request, tmp_path):
    """The directories of a job's control groups: half a CPU, 256 MiB, 21 processes; for cgroups.PROC and cgroups.ROOT."""
    lines, files = GROUPS[request.param]
    files = {"proc/self/cgroup": "\n".join(lines), **{f"sys/{path}": text for path, text in files.items()}}
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text + "\n")
    return tmp_path / "proc", tmp_path / "sys"


def test_a_session_follows_its_control_groups(start_script, groups, gate):
    """CPUs, memory, and the workers that there may be: 21 processes less 16 for others."""
    clean = {name: None for name in os.environ if name.startswith(("SLURM_", "RAY_LITE_MAX"))}
    driver = start_script("""
        import os, sys, time
        import ray_lite as ray
        from ray_lite.system import cgroups
        cgroups.PROC, cgroups.ROOT, gate = sys.argv[1:]
        ray.init(verbose=True)

        @ray.remote(num_cpus=0)
        def held():
            end = time.monotonic() + 20
            while not os.path.exists(gate) and time.monotonic() < end:
                time.sleep(0.002)
            return os.getpid()

        ids = [held.remote() for _ in range(30)]
        facts = ray.session.current().view.statistics()
        print(facts.cpus, facts.arena_bytes, len(set(ray.get(ids))))
    """, args=[*groups, gate.path], env=clean)
    said = driver.stderr.readline()
    assert "1 CPUs (the cgroup's CPU quota), " in said and "at most 5 workers (the cgroup's pids.max), " in said
    assert f"(30 % of {1 << 28:,}: the cgroup's memory limit)" in said
    assert driver.stderr.readline() == "ray_lite: the session can have at most 5 workers: the cgroup's pids.max\n"
    gate.open()
    out, err = driver.communicate(timeout=30)
    assert (out, err, driver.returncode) == (f"1.0 {-(-int((1 << 28) * 0.3) // PAGE) * PAGE} 5\n", "", 0)


@pytest.mark.parametrize("home", ["/proc", "/nonexistent", None], ids=str)
def test_a_home_that_cannot_be_written(output_of, home):
    assert output_of(WORKS, env={"HOME": home}).startswith("works")


def test_a_long_tmpdir(output_of, tmp_path):
    long = tmp_path
    while len(str(long)) < 300:
        long /= "d" * 60
    long.mkdir(parents=True)
    assert output_of(WORKS, env={"TMPDIR": str(long), "XDG_RUNTIME_DIR": None}).startswith("works")
    assert list(long.iterdir()) == []


def test_a_long_runtime_directory(output_of, tmp_path):
    long = tmp_path
    while len(str(long)) < 300:
        long /= "d" * 60
    long.mkdir(parents=True)
    assert output_of(WORKS, env={"XDG_RUNTIME_DIR": str(long)}).startswith("works")
    assert list(long.iterdir()) == []


def test_directories_that_are_missing(output_of, tmp_path):
    missing = str(tmp_path / "missing")
    assert output_of(WORKS, env={"TMPDIR": missing, "XDG_RUNTIME_DIR": missing}).startswith("works")
    assert not os.path.exists(missing)


@pytest.mark.parametrize(
    "limit, value",
    [
        ("RLIMIT_NOFILE", 48),
        ("RLIMIT_STACK", 1 << 20),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_MEMLOCK", 0),
        ("RLIMIT_MSGQUEUE", 0),
    ],
)
def test_low_limits(output_of, limit, value):
    number = getattr(resource, limit)
    soft = f"import resource\nresource.setrlimit({number}, ({value}, resource.getrlimit({number})[1]))\n"
    assert output_of(soft + WORKS).startswith("works")


@pytest.mark.skipif(0 <= HARD < 1_300, reason=f"no more than {HARD} descriptors here (ulimit -Hn)")
def test_a_driver_with_many_open_files(output_of):
    """The session's descriptors are beyond what select.select takes."""
    assert output_of("""
        import os, resource
        import ray_lite as ray
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1_100)]
        ray.init(num_cpus=2)
        print(ray.get(ray.remote(lambda: 1).remote()))
        ray.shutdown()
        print(held[-1] > 1_024 and all(os.fstat(fd) for fd in held))
    """) == "1\nTrue\n"


def test_an_address_space_limit_is_named(run_script):
    """The tables are mapped sparsely and large: what the limit forbids must be an error that names
    it, or just work.
    """
    done = run_script("import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 31, 1 << 31))\n" + WORKS)
    if done.returncode == 0:
        assert done.stdout.startswith("works")
    else:
        assert "RLIMIT_AS" in done.stderr.splitlines()[-1]


def test_core_files_are_off_in_workers(output_of):
    """Their mappings are the whole store; a soft limit of 1 also stops cores that go to a program."""
    assert (
        output_of("""
        import resource
        import ray_lite as ray
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        ray.init(num_cpus=1)
        print(ray.get(ray.remote(lambda: resource.getrlimit(resource.RLIMIT_CORE)[0] <= 1).remote()))
    """)
        == "True\n"
    )


@pytest.mark.skipif(not allowed("unshare", "-m"), reason="mount namespaces are not allowed here")
def test_a_small_dev_shm(output_of):
    large = WORKS + "big = np.ones(200_000_000, dtype=np.uint8)\nassert ray.get(ray.put(big))[-1] == 1\n"
    mount = 'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$@"'
    assert output_of(large, command=["unshare", "-m", "sh", "-c", mount, "sh"]).startswith("works")


@pytest.mark.skipif(not allowed("unshare", "-n"), reason="network namespaces are not allowed here")
def test_without_any_network(output_of):
    assert output_of(WORKS, command=["unshare", "-n"]).startswith("works")


def test_another_locale_and_no_terminal(output_of):
    assert output_of(WORKS, env={"LC_ALL": "C", "LANG": None, "TERM": None}).startswith("works")


def test_a_nearly_empty_environment(output_of):
    names = [
        name
        for name in os.environ
        if name not in ("PYTHONPATH", "TMPDIR", "XDG_RUNTIME_DIR", "LD_LIBRARY_PATH")
        and not name.startswith("RAY_LITE_TEST")
    ]
    assert output_of(WORKS, env=dict.fromkeys(names)).startswith("works")


@pytest.mark.slow
def test_many_sessions_at_once(start_script):
    drivers = [start_script(WORKS) for _ in range(6)]
    for driver in drivers:
        out, err = driver.communicate(timeout=50)
        assert (driver.returncode, err) == (0, "") and out.startswith("works")


def test_ignored_signals_of_children(run_script):
    """By the driver, or by the shell that started it: workers' deaths are noticed all the same."""
    deaths = """
        import os, signal
        import ray_lite as ray
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        ray.init(num_cpus=1)
        try:
            ray.get(ray.remote(lambda: os._exit(3)).remote())
        except ray.exceptions.WorkerCrashedError as error:
            print(error.exit_code)
        print(ray.get(ray.remote(lambda: 1).remote()))
        ray.shutdown()
    """
    done = run_script(deaths)
    assert (done.stdout, done.stderr) == ("3\n1\n", "")
    done = run_script(deaths.replace("signal.signal(", "("), command=["sh", "-c", 'trap "" CHLD; exec "$@"', "sh"])
    assert (done.stdout, done.stderr) == ("3\n1\n", "")


def test_a_long_command_line(output_of):
    many = ["x" * 1000] * 1500
    assert output_of("""
        import sys
        import ray_lite as ray
        ray.init(num_cpus=1)
        print(ray.get(ray.remote(lambda: len(sys.argv)).remote()))
    """, args=many) == "1501\n"


def test_a_relative_directory_for_temporary_files(output_of, tmp_path):
    (tmp_path / "here").mkdir()
    assert output_of("""
        import os
        import ray_lite as ray
        place = ray.init(num_cpus=1)["session_dir"]
        os.chdir("/")
        print(os.path.isdir(place), ray.get(ray.remote(lambda: 1).remote()))
    """, env={"TMPDIR": "here", "XDG_RUNTIME_DIR": None}, cwd=tmp_path) == "True 1\n"
    assert os.listdir(tmp_path / "here") == []


def test_a_file_size_limit_is_named(output_of):
    assert "ulimit -f" in output_of("""
        import ray_lite as ray
        try:
            ray.init(num_cpus=1)
        except OSError as error:
            print(error)
    """, command=["sh", "-c", 'ulimit -f 1000; exec "$@"', "sh"])
