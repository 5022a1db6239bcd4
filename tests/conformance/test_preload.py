"""init(preload=...): packages that are imported once, before any worker is there, and those that are refused."""

import os
import signal
import textwrap

import pytest

import ray_lite as ray
from ray_lite.exceptions import RaySystemError, WorkerCrashedError
from ray_lite.node.preload import gpu_devices

WORKERS = 4


@pytest.fixture
def package(tmp_path, monkeypatch):
    """`package(name, code)`: makes a module that the driver can import; in `code` DIRECTORY is where its files are."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(name, code="pass"):
        head = f"import os, threading, time\nDIRECTORY = {str(tmp_path)!r}\n"
        (tmp_path / f"{name}.py").write_text(head + textwrap.dedent(code))
        return name

    return make


@pytest.fixture
def counted(package, tmp_path):
    """(the name of a module, the function that says which processes have imported it)."""
    code = """
        with open(os.path.join(DIRECTORY, "imports"), "a") as file:
            file.write(f"{os.getpid()}\\n")
    """
    return package("rl_counted", code), lambda: [int(line) for line in (tmp_path / "imports").read_text().split()]


@ray.remote(num_cpus=0)
class Importer:
    """An actor that imports."""

    def pid(self):
        import rl_counted

        assert rl_counted.DIRECTORY
        return os.getpid()


@ray.remote
def importer():
    import rl_counted

    assert rl_counted.DIRECTORY
    return os.getpid()


def test_a_package_is_imported_once_for_all_processes(fresh, counted):
    name, imports = counted
    address = fresh.init(num_cpus=WORKERS, num_workers=WORKERS, preload=[name, "json", name])
    assert imports() == [address["node_pid"]], "init returns when that is done"
    actors = [Importer.remote() for _ in range(WORKERS)]
    pids = {*ray.get([importer.remote() for _ in range(WORKERS)]), *ray.get([actor.pid.remote() for actor in actors])}
    assert len(pids) > WORKERS
    for actor in actors:
        os.kill(ray.get(actor.pid.remote()), signal.SIGKILL)
    assert ray.get([importer.remote(), Importer.remote().pid.remote()])
    assert imports() == [address["node_pid"]]


def test_it_is_gone_with_the_session(fresh, counted):
    name, imports = counted
    fresh.init(num_cpus=1, preload=(name,))
    fresh.shutdown()
    fresh.init(num_cpus=1)
    assert imports() != [ray.get(importer.remote())]
    assert len(imports()) == 2


def test_it_is_found_as_the_driver_would_find_it(fresh, package):
    """Also a module in a package, and beside a module with the name of one that the node has."""
    package("random", "raise AssertionError('the wrong one')")
    fresh.init(num_cpus=1, preload=("xml.dom.minidom", package("rl_late", "import random")))
    import sys

    assert ray.get(ray.remote(lambda: {"rl_late", "xml.dom.minidom"} <= {*sys.modules}).remote())


@pytest.mark.parametrize(("code", "what"), [
    ("import rl_nowhere", "ModuleNotFoundError: No module named 'rl_nowhere'"),
    ("1 / 0", "ZeroDivisionError: division by zero"),
    ("raise SystemExit(3)", "SystemExit: 3"),
    ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ("x = (", "SyntaxError: '(' was never closed"),
    ("raise ImportError('the first line\\nand advice')", "ImportError: the first line"),
])
def test_one_that_can_not_be_imported(fresh, package, code, what):
    name = package("rl_broken", code)
    with pytest.raises(ImportError, match="preload: 'rl_broken' can't be imported: ") as caught:
        fresh.init(num_cpus=1, preload=(name,))
    first, _, trace = str(caught.value).partition("\n")
    assert what in first and ("rl_broken.py" in trace)
    assert not fresh.is_initialized()
    fresh.init(num_cpus=1, preload=("json",))
    assert ray.get(ray.remote(len).remote("abc")) == 3


def test_one_that_does_not_exist(fresh):
    with pytest.raises(ImportError, match="preload: 'rl_nowhere.at_all' can't be imported: ModuleNotFoundError"):
        fresh.init(num_cpus=1, preload=("rl_nowhere.at_all",))


def test_one_that_starts_a_thread(fresh, package):
    name = package("rl_threads", "threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()")
    with pytest.raises(ValueError, match=r"'rl_threads' can't be preloaded, since it starts threads \(.+\) when it is"):
        fresh.init(num_cpus=1, preload=("json", name))


def test_threads_that_end_before_a_fork_are_no_obstacle(fresh, package):
    code = """
        ends = threading.Event()
        thread = threading.Thread(target=ends.wait)
        thread.start()
        os.register_at_fork(before=lambda: (ends.set(), thread.join()))
    """
    fresh.init(num_cpus=1, preload=(package("rl_polite", code),))
    assert ray.get(ray.remote(len).remote("abc")) == 3


@pytest.mark.parametrize("device", ["/dev/nvidia0", "/dev/nvidiactl", "/dev/kfd", "/dev/dri/renderD128"])
def test_an_open_gpu_is_found(tmp_path, device):
    """There may be none here: the descriptors are a directory of links, as in /proc."""
    for number, target in enumerate(("/dev/null", "socket:[17]", device)):
        (tmp_path / str(number)).symlink_to(target)
    assert gpu_devices(str(tmp_path)) == [device]


@pytest.mark.parametrize("code", [
    "import subprocess\nsubprocess.Popen(['sleep', '47'])",
    "import subprocess\nsubprocess.Popen(['sleep', '47'])\nraise OSError('late')",
])
def test_one_that_starts_a_process(fresh, package, code):
    """The process ends with the node."""
    with pytest.raises((ValueError, ImportError), match="it starts processes when|OSError: late"):
        fresh.init(num_cpus=1, preload=(package("rl_parent", code),))


def test_processes_that_have_ended_are_no_obstacle(fresh, package):
    code = """
        pid = os.fork() or os._exit(0)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    """
    fresh.init(num_cpus=1, preload=(package("rl_asks", code),))
    assert ray.get(ray.remote(len).remote("abc")) == 3


def test_pools_that_nobody_can_resize(fresh, package):
    pytest.importorskip("numpy")
    name = package("rl_pools", "import sys\nsys.modules['threadpoolctl'] = None\nimport numpy")
    with pytest.raises(ValueError, match="since numpy has thread pools.*pip install threadpoolctl"):
        fresh.init(num_cpus=1, preload=(name,))


def test_one_that_calls_init(fresh, package):
    name = package("rl_nested", "import ray_lite\nray_lite.init()")
    with pytest.raises(ImportError, match=r"RuntimeError: init\(\) can't be called while a package is imported"):
        fresh.init(num_cpus=1, preload=(name,))


def test_what_it_changes_in_the_process_is_undone(fresh, package, tmp_path):
    code = """
        import gc, signal
        os.chdir("/")
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
        gc.disable()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, lambda *_: None)
        os.environ["RL_OF_A_PACKAGE"] = "stays"
    """
    fresh.init(num_cpus=1, preload=(package("rl_changes", code),))

    def look():
        import gc

        signals = [signal.getsignal(number) for number in (signal.SIGCHLD, signal.SIGUSR1)]
        return os.getcwd(), os.sched_getaffinity(0), gc.isenabled(), signals, os.environ["RL_OF_A_PACKAGE"]

    found = ray.get(ray.remote(look).remote())
    assert found == (os.getcwd(), os.sched_getaffinity(0), True, [signal.SIG_DFL] * 2, "stays")
    with pytest.raises(WorkerCrashedError):
        ray.get(ray.remote(lambda: os._exit(3)).remote())
    assert ray.get(ray.remote(len).remote("abc")) == 3


def test_what_it_prints_comes_once(output_of, package, tmp_path):
    package("rl_prints", "print('imported')")
    script = f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        import ray_lite as ray
        ray.init(num_cpus=2, preload=("rl_prints",))
        pids = ray.get([ray.remote(num_cpus=0)(lambda: __import__("time").sleep(0.1)).remote() for _ in range(4)])
    """
    assert output_of(script, env={"PYTHONUNBUFFERED": None}).count("imported") == 1


@pytest.mark.slow
def test_the_driver_may_die_meanwhile(fresh, start_script, package, tmp_path, wait_until):
    """The node ends with it, however long the import takes; the next session removes the directory."""
    package("rl_slow", "open(os.path.join(DIRECTORY, f'node-{os.getpid()}'), 'w').close()\ntime.sleep(3600)")
    script = start_script(f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        import ray_lite as ray
        ray.init(num_cpus=1, preload=("rl_slow",))
    """)
    [found] = wait_until(lambda: list(tmp_path.glob("node-*")))
    script.kill()
    script.wait()
    wait_until(lambda: not os.path.exists(f"/proc/{found.name.partition('-')[2]}"), what="the end of the node")
    fresh.init(num_cpus=1)


def test_one_that_ends_the_process(fresh, package):
    with pytest.raises(RaySystemError, match="the node process ended while it preloaded rl_exits, or started"):
        fresh.init(num_cpus=1, preload=(package("rl_exits", "os._exit(5)"),))


@pytest.mark.slow
def test_one_that_takes_too_long(fresh, package, monkeypatch):
    monkeypatch.setenv("RAY_LITE_START_TIMEOUT", "0.5")
    monkeypatch.setenv("RAY_LITE_PRELOAD_TIMEOUT", "2")
    with pytest.raises(RaySystemError, match=r"did not answer within 2 s \(RAY_LITE_PRELOAD_TIMEOUT\)"):
        fresh.init(num_cpus=1, preload=(package("rl_slow", "time.sleep(3600)"),))


@pytest.mark.parametrize(("names", "error"), [
    ("numpy", TypeError), (("numpy", 3), TypeError), (3, TypeError), (None, TypeError), ({"numpy": 1}, TypeError),
    (("",), ValueError), (("a b",), ValueError), (("json.",), ValueError), (("-c",), ValueError),
])
def test_wrong_names(fresh, names, error):
    with pytest.raises(error, match="preload"):
        fresh.init(num_cpus=1, preload=names)
    assert not fresh.is_initialized()


def test_in_python_mode_there_is_nothing_to_import(python_mode):
    python_mode.shutdown()
    assert python_mode.init(driver_mode=python_mode.PYTHON_MODE, preload=("rl_nowhere",))["node_pid"] is None
    with pytest.raises(TypeError, match="preload"):
        python_mode.shutdown()
        python_mode.init(driver_mode=python_mode.PYTHON_MODE, preload="numpy")


@pytest.mark.parametrize("chosen", [(), ("OMP_NUM_THREADS",), ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")])
def test_thread_pools_are_made_for_the_tasks(fresh, monkeypatch, chosen):
    pytest.importorskip("numpy")
    pytest.importorskip("threadpoolctl")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    for variable in chosen:
        monkeypatch.setenv(variable, "2")
    fresh.init(num_cpus=2, preload=("numpy",))

    @ray.remote
    def pools():
        import numpy as np
        from threadpoolctl import threadpool_info

        ones = np.ones((300, 300))
        assert (ones @ ones)[0, 0] == 300
        return {pool["num_threads"] for pool in threadpool_info()}

    most = len(os.sched_getaffinity(0))
    for cpus in (1, 2, 1):
        [found] = ray.get(pools.options(num_cpus=cpus).remote())
        assert found == (min(2, most) if chosen else cpus)
