"""pool.py: workers on demand, retired when long idle; what bounds them, and what a user reads then; pinning, threads."""

import os
import subprocess
import time

import psutil
import pytest

import ray_lite as ray


def workers():
    return ray.session.current().view.worker_pids()


def test_workers_beyond_the_cpus_end_when_long_idle(fresh, monkeypatch, gate, wait_until):
    monkeypatch.setenv("RAY_LITE_RETIRE_AFTER", "0.2")
    fresh.init(num_cpus=2)
    wait, arrive = gate.wait, gate.arrive
    held = ray.remote(num_cpus=0)(lambda: (arrive("in"), wait()))
    ids = [held.remote() for _ in range(9)]
    wait_until(lambda: len(gate.arrived("in")) == 9, 20)
    gate.open()
    ray.get(ids)
    wait_until(lambda: len(workers()) == 2, 20, "two workers stay warm")
    assert ray.get([ray.remote(lambda k: k).remote(k) for k in range(100)]) == list(range(100))
    assert len(workers()) == 2


@pytest.mark.slow
def test_no_more_than_max_workers_and_a_deadlock_is_said(output_of):
    output = output_of("""
        import ray_lite as ray
        ray.init(num_cpus=2, max_workers=4, driver_mode=ray.SILENT_MODE)
        nest = ray.remote(inline=False)(lambda me, n: n and ray.get(me.remote(me, n - 1)))
        print(ray.get(nest.remote(nest, 3)))
        try:
            ray.get(nest.remote(nest, 20))
        except ray.exceptions.DeadlockError as error:
            print("can have at most 4 (max_workers)" in str(error))
        while ray.session.current().view.statistics().tasks:  # the inner ones go on, and fail in their turn
            pass
        print(ray.get(nest.remote(nest, 3)), len(ray.session.current().view.worker_pids()))
    """)
    assert output == "0\nTrue\n0 4\n"


@pytest.mark.slow
def test_a_deadlock_is_seen_by_a_node_that_slept(fresh, gate, wait_until):
    """All workers that can be are busy for a while, and nothing waits for them; then they wait."""
    node = psutil.Process(fresh.init(num_cpus=1, max_workers=1, driver_mode=ray.SILENT_MODE)["node_pid"])
    wait, arrive = gate.wait, gate.arrive
    child = ray.remote(inline=False)(lambda: 1)
    x = ray.remote(inline=False)(lambda: (arrive("in"), wait(), ray.get(child.remote()))).remote()
    wait_until(lambda: gate.arrived("in"))
    looks = [node.num_ctx_switches().voluntary]

    def sleeps():
        time.sleep(0.3)  # three looks
        looks.append(node.num_ctx_switches().voluntary)
        return looks[-1] == looks[-2]

    wait_until(sleeps, what="the node's sleep")
    gate.open()
    with pytest.raises(ray.exceptions.DeadlockError):
        ray.get(x, timeout=20)


@pytest.mark.parametrize("parent, child, what", [
    ({"num_gpus": 1}, {"num_gpus": 0.5}, "GPU"),
    ({"resources": {"disk": 1}}, {"resources": {"disk": 2}}, "disk"),
    ({"resources": {"disk": 2, "tape": 1}}, {"num_cpus": 0, "resources": {"tape": 1}}, "tape"),
])
def test_a_child_that_needs_what_only_its_parent_holds_is_a_deadlock(fresh, parent, child, what):
    """Whoever waits for it is told, and gives up what it held; the child runs then."""
    fresh.init(num_cpus=2, num_gpus=1, resources={"disk": 2, "tape": 1}, driver_mode=ray.SILENT_MODE)
    children = ray.remote(**child, inline=False)(lambda: "ran")

    @ray.remote(**parent, inline=False)
    def waits():
        x = children.remote()
        try:
            return ray.get(x)
        except ray.exceptions.DeadlockError as error:
            return str(error), x

    text, x = ray.get(waits.remote(), timeout=20)
    assert f"need resources that waiting tasks hold ({what})" in text
    assert ray.get(x, timeout=20) == "ran"
    assert ray.global_state.available_resources() == ray.global_state.cluster_resources()


def test_blocked_workers_whose_tasks_end_are_no_deadlock(fresh, monkeypatch):
    """All workers wait, and tasks end all the time in between."""
    monkeypatch.setenv("RAY_LITE_DEADLOCK", "0.2")
    fresh.init(num_cpus=1, max_workers=3)
    slow = ray.remote(lambda: time.sleep(0.05))

    @ray.remote(inline=False)
    def parent():
        for _ in range(10):
            ray.get(slow.options(inline=False).remote())
        return 1

    assert ray.get([parent.remote() for _ in range(2)], timeout=50) == [1, 1]


@pytest.mark.slow
def test_calls_with_a_timeout_end_by_themselves(output_of):
    """Both run before either submits its child, which would else go before the other."""
    assert output_of("""
        import os, tempfile, time
        import ray_lite as ray
        ray.init(num_cpus=2, max_workers=2)
        never = ray.remote(num_cpus=0)(lambda: 1)

        @ray.remote(num_cpus=0)
        def waits(place, seconds):
            os.mkdir(f"{place}/{seconds}")
            while len(os.listdir(place)) < 2:
                pass
            x = never.remote()
            try:
                ray.get(x, timeout=seconds)
            except ray.exceptions.GetTimeoutError:
                return "timeout"

        with tempfile.TemporaryDirectory() as place:  # who gives up leaves a worker to the other
            print("timeout" in ray.get([waits.remote(place, 1.6), waits.remote(place, 1.7)]))
    """) == "True\n"


@pytest.mark.slow
def test_short_tasks_that_need_no_cpu_are_no_reason_for_a_storm(fresh):
    fresh.init(num_cpus=2)
    brief = ray.remote(num_cpus=0)(lambda: time.sleep(0.001))
    ids = [brief.remote() for _ in range(10_000)]
    most = 0
    while len(ray.wait(ids, num_returns=len(ids), timeout=5)[0]) < len(ids):
        most = max(most, len(workers()))
    assert most <= 30


def test_long_tasks_that_need_no_cpu_run_all_at_once(fresh, gate, wait_until):
    fresh.init(num_cpus=1)
    wait, arrive = gate.wait, gate.arrive
    held = ray.remote(num_cpus=0)(lambda: (arrive("in"), wait()))
    ids = [held.remote() for _ in range(60)]
    wait_until(lambda: len(gate.arrived("in")) == 60, 30)
    gate.open()
    ray.get(ids)


CAPABILITIES = "+dac_read_search,+dac_override"  # a user who may read whatever this Python is made of
USER = ["prlimit", "--nproc=40", "setpriv", f"--reuid={100_000 + os.getpid()}", "--regid=100000", "--clear-groups",
        f"--inh-caps={CAPABILITIES}", f"--ambient-caps={CAPABILITIES}"]


@pytest.mark.slow
@pytest.mark.skipif(subprocess.run([*USER, "true"], capture_output=True).returncode != 0,
                    reason="this user can't become one with few processes")
@pytest.mark.parametrize("fork_fails", [False, True])
def test_a_limit_of_processes_clamps_the_pool_and_is_named(run_script, fork_fails):
    """RLIMIT_NPROC, known before, or met only when a fork fails: work goes on, and what limits it is said."""
    done = run_script(f"""
        import ray_lite as ray
        from ray_lite.system import machine
        if {fork_fails}:
            machine._processes_left = lambda enough: []
        ray.init(num_cpus=256)
        held = ray.remote(lambda k: (__import__("time").sleep(0.01), k)[1])
        assert ray.get([held.remote(k) for k in range(300)], timeout=40) == list(range(300))
        print(2 < len(ray.session.current().view.worker_pids()) <= 40)
        nest = ray.remote(inline=False)(lambda me, n: n and ray.get(me.remote(me, n - 1)))
        try:
            ray.get(nest.remote(nest, 50), timeout=30)
        except ray.exceptions.DeadlockError as error:
            print(error)
    """, command=USER)
    assert done.stdout.startswith("True\n"), done.stdout + done.stderr
    assert "no worker is left to run these tasks" in done.stdout
    if fork_fails:
        assert "the machine can start no more processes" in done.stdout
    else:
        assert "RLIMIT_NPROC=40 (ulimit -u)" in done.stdout and "RLIMIT_NPROC=40 (ulimit -u)" in done.stderr


FAILING = """
import os, sys

def failing(call):
    def instead(*arguments):
        if sys.argv[0] == "-c" and os.path.exists({broken!r} + call.__name__):  # of the node and its children
            with open({tried!r}, "a") as file:
                file.write("x")
            raise BlockingIOError(11, "not for now")
        return call(*arguments)
    return instead

os.fork, os.pidfd_open = failing(os.fork), failing(os.pidfd_open)
"""


@pytest.fixture
def broken(monkeypatch, tmp_path):
    """`broken(name)`: from now on a call of `os` fails in the node; gives what repairs it. `tried()`: and was tried again."""
    path = str(tmp_path / "broken-")
    (tmp_path / "sitecustomize.py").write_text(FAILING.format(broken=path, tried=path + "tried"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("RAY_LITE_FORK_AGAIN", "0.05")

    def break_it(name):
        open(path + name, "w").close()
        return lambda: os.unlink(path + name)

    tries = tmp_path / "broken-tried"
    break_it.tried = lambda: tries.exists() and tries.stat().st_size > 1
    return break_it


@pytest.mark.parametrize("call", ["fork", "pidfd_open"])
def test_the_first_worker_that_can_not_be_started_is_tried_again(fresh, broken, call, gate, wait_until):
    """Nor does one stay that can't be watched, though it may have begun a task."""
    fresh.init(num_cpus=2)
    repair, wait = broken(call), gate.wait
    ids = [ray.remote(max_retries=0)(lambda k: (wait(), k)[1]).remote(k) for k in range(10)]
    wait_until(broken.tried)
    repair()
    gate.open()
    assert ray.get(ids, timeout=20) == list(range(10))


@pytest.mark.slow
def test_tasks_for_which_nobody_can_be_started_fail_with_the_reason(fresh, broken, monkeypatch):
    """Those that wait for others, too; the session is there for what comes later."""
    monkeypatch.setenv("RAY_LITE_START_TIMEOUT", "2")
    fresh.init(num_cpus=2, driver_mode=ray.SILENT_MODE)
    repair = broken("fork")
    f = ray.remote(lambda k: k)
    first = [f.remote(k) for k in range(1_000)]
    for x in (*first, f.remote(first[0])):
        with pytest.raises(ray.exceptions.RaySystemError, match=r"could not begin: no worker could be .* 2 s.*not for now"):
            ray.get(x, timeout=20)
    again = f.remote(1)
    with pytest.raises(ray.exceptions.GetTimeoutError):
        ray.get(again, timeout=0.2)
    repair()
    assert ray.get([again, f.remote(2)], timeout=20) == [1, 2]


def test_a_call_comes_through_after_one_that_nobody_could_be_started_for(fresh, broken, wait_until):
    """The first is cancelled: with nothing to do the node sleeps, and is rung."""
    fresh.init(num_cpus=2)
    repair = broken("fork")
    f = ray.remote(lambda: 1)
    x = f.remote()
    wait_until(broken.tried)
    ray.cancel(x)
    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(x, timeout=20)
    repair()
    assert ray.get(f.remote(), timeout=20) == 1


def test_few_descriptors_clamp_the_pool(output_of):
    assert output_of("""
        import resource
        import ray_lite as ray
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        ray.init(num_cpus=64, driver_mode=ray.SILENT_MODE)
        f = ray.remote(lambda k: (__import__("time").sleep(0.002), k)[1])
        assert ray.get([f.remote(k) for k in range(300)]) == list(range(300))
        print(len(ray.session.current().view.worker_pids()) <= (64 - 16) // 4)
    """) == "True\n"


# ---------------------------------------------------------------- threads and cores

PINNED = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")


@PINNED
def test_pinned_workers_have_cores_of_their_own(fresh, gate, wait_until):
    fresh.init(num_cpus=2, pin=True)
    wait, arrive = gate.wait, gate.arrive
    held = ray.remote(lambda: (arrive("in"), wait(), sorted(os.sched_getaffinity(0)))[2])
    ids = [held.remote() for _ in range(2)]
    wait_until(lambda: len(gate.arrived("in")) == 2)
    gate.open()
    one, other = ray.get(ids)
    assert len(one) == len(other) == 1 and one != other
    both = ray.remote(num_cpus=2)(lambda: sorted(os.sched_getaffinity(0)))
    assert len(ray.get(both.remote())) == 2 and len(ray.get(held.remote())) == 1


@PINNED
def test_actors_are_not_pinned(fresh):
    class Cores:
        def get(self):
            return os.sched_getaffinity(0)

    fresh.init(num_cpus=2, pin=True)
    actors = [ray.remote(Cores).remote(), ray.remote(num_cpus=1)(Cores).remote()]
    assert ray.get([actor.get.remote() for actor in actors]) == [os.sched_getaffinity(0)] * 2


@PINNED
def test_without_pin_workers_are_not_pinned(fresh):
    fresh.init(num_cpus=2)
    assert ray.get(ray.remote(lambda: os.sched_getaffinity(0)).remote()) == os.sched_getaffinity(0)


THREADS = """
    import os
    import ray_lite as ray
    ray.init(num_cpus=4)

    def pools():
        import numpy as np
        from threadpoolctl import threadpool_info
        np.ones((50, 50)) @ np.ones((50, 50))
        return os.getpid(), {pool["num_threads"] for pool in threadpool_info()}, os.environ["OMP_NUM_THREADS"]

    f = ray.remote(pools)
    found = [ray.get(f.options(num_cpus=n).remote()) for n in (4, 1, 2, 4)]
    print(len({pid for pid, _, _ in found}), [threads for _, threads, _ in found], [text for _, _, text in found])
"""


def test_loaded_thread_pools_follow_the_tasks_cpus(output_of):
    pytest.importorskip("threadpoolctl")
    first = min(4, len(os.sched_getaffinity(0)))  # libraries that make their pools by the variables go no further
    clean = {name: None for name in os.environ if name.endswith("_NUM_THREADS")}
    output = output_of(THREADS, env=clean)
    assert output == f"1 [{{{first}}}, {{1}}, {{2}}, {{4}}] ['4', '1', '2', '4']\n"


def test_without_threadpoolctl_a_worker_with_loaded_pools_keeps_to_one_size(output_of):
    clean = {name: None for name in os.environ if name.endswith("_NUM_THREADS")}
    assert output_of("""
        import os
        import sys
        sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/none")
        import ray_lite as ray
        ray.init(num_cpus=4)

        def hide():
            import importlib.abc

            class Hidden(importlib.abc.MetaPathFinder):
                def find_spec(self, name, path=None, target=None):
                    if name == "threadpoolctl":
                        raise ModuleNotFoundError(name)

            sys.meta_path.insert(0, Hidden())
            import numpy
            return os.getpid()

        f = ray.remote(hide)
        one = ray.get(f.remote())
        other = ray.get(f.options(num_cpus=2).remote())
        print(one != other, *[ray.get(f.remote()) != other for _ in range(9)], ray.get(f.options(num_cpus=2).remote()) != one)
    """, env=clean) == " ".join(["True"] * 11) + "\n"


def test_what_the_user_set_is_left_alone(output_of):
    assert output_of("""
        import os
        import ray_lite as ray
        ray.init(num_cpus=4)
        f = ray.remote(lambda: os.environ["OMP_NUM_THREADS"])
        print([ray.get(f.options(num_cpus=n).remote()) for n in (1, 2, 4)])
    """, env={"OMP_NUM_THREADS": "3"}) == "['3', '3', '3']\n"


