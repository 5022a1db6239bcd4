"""SIGTERM of a driver: running tasks get their grace, queued ones don't begin, nothing stays, the signal is the cause of death.
And whole trees: grandchildren end with a killed driver.
"""

import ctypes
import os
import signal
import sys
import time

import psutil
import pytest

import ray_lite as ray

BEGIN = """
import os, signal, sys, time
import ray_lite as ray

@ray.remote
def work(path, seconds):
    open(path + ".begun", "w").close()
    time.sleep(seconds)
    open(path, "w").close()

"""


@pytest.fixture
def terminated(start_script, tmp_path, wait_until):
    """Starts a driver, waits until its first task has begun, sends SIGTERM: (seconds to its end, exit status)."""

    def run(body, path="first"):
        script = start_script(BEGIN + body, args=[tmp_path])
        wait_until((tmp_path / f"{path}.begun").exists, 20)
        before = time.monotonic()
        script.terminate()
        script.wait(30)
        assert script.stderr.read() == ""
        return time.monotonic() - before, script.returncode

    return run


def test_running_tasks_get_their_grace_and_queued_ones_do_not_begin(terminated, tmp_path):
    seconds, status = terminated("""
ray.init(num_cpus=1, shutdown_grace=10)
work.remote(sys.argv[1] + "/first", 0.5)
ids = [work.remote(f"{sys.argv[1]}/later{k}", 0) for k in range(5)]
ray.get(ids)
""")
    assert status == -signal.SIGTERM and seconds < 5
    assert sorted(path.name for path in tmp_path.iterdir() if "script" not in path.name) == ["first", "first.begun"]


def test_the_grace_has_an_end(terminated, tmp_path):
    seconds, status = terminated("""
ray.init(num_cpus=1, shutdown_grace=0.3)
work.remote(sys.argv[1] + "/first", 300)
while True:  # a signal just before a sleep is handled after it
    time.sleep(0.1)
""")
    assert status == -signal.SIGTERM and seconds < 5
    assert not (tmp_path / "first").exists()


def test_a_second_one_ends_the_driver_at_once(start_script, tmp_path, wait_until):
    script = start_script(BEGIN + """
ray.init(num_cpus=1, shutdown_grace=100)
work.remote(sys.argv[1] + "/first", 300)
while True:  # a signal just before a sleep is handled after it
    time.sleep(0.1)
""", args=[tmp_path])
    wait_until((tmp_path / "first.begun").exists, 20)
    script.terminate()
    wait_until(lambda: script.terminate() or script.poll() is not None, 20, "the end")
    assert script.returncode == -signal.SIGTERM


def test_a_users_handler_stays(terminated):
    _, status = terminated("""
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
ray.init(num_cpus=1, shutdown_grace=0.1)
work.remote(sys.argv[1] + "/first", 300)
while True:  # a signal just before a sleep is handled after it
    time.sleep(0.1)
""")
    assert status == 7


def test_the_default_comes_back(fresh):
    before = signal.getsignal(signal.SIGTERM)
    ray.init(num_cpus=1)
    assert signal.getsignal(signal.SIGTERM) is not before
    ray.shutdown()
    assert signal.getsignal(signal.SIGTERM) is before is signal.SIG_DFL


def test_tasks_and_children_have_the_default(ray_session, forked):
    import subprocess

    def forked_child():
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL

    assert forked(forked_child).wait() == 0
    assert ray.get(ray.remote(lambda: signal.getsignal(signal.SIGTERM)).remote()) == signal.SIG_DFL
    child = subprocess.run([sys.executable, "-c", "import signal; print(signal.getsignal(15) == 0)"], capture_output=True)
    assert child.stdout == b"True\n"


def test_a_forked_child_that_blocks_outside_of_python_is_ended_by_it(ray_session, forked, wait_until):
    libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    libc.pthread_mutex_lock(mutex)
    child = forked(libc.pthread_mutex_lock, mutex)  # for ever: no signal ends this wait, no handler of Python's runs in it
    wait_until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_SLEEPING)
    os.kill(child.pid, signal.SIGTERM)
    wait_until(child.ended, what="its end")
    assert child.wait() == -signal.SIGTERM


def test_a_killed_driver_takes_workers_and_their_children_along(start_script, tmp_path, wait_until):
    script = start_script("""
        import os, subprocess, sys, time
        import ray_lite as ray

        @ray.remote
        def busy(k):
            child = subprocess.Popen(["sleep", "300"])
            with open(f"{sys.argv[1]}/pid{k}", "w") as file:
                file.write(f"{os.getpid()} {child.pid} ")
            child.wait()

        info = ray.init(num_cpus=8)
        ids = [busy.remote(k) for k in range(8)]
        with open(f"{sys.argv[1]}/info", "w") as file:
            file.write(f"{info['session_dir']} {info['node_pid']} ")
        ray.get(ids)
    """, args=[tmp_path])
    names = [*(f"pid{k}" for k in range(8)), "info"]
    texts = [wait_until(lambda name=name: read(tmp_path / name), 30) for name in names]
    directory, node = texts.pop().split()
    pids = [int(pid) for text in texts for pid in text.split()] + [int(node)]
    assert len(pids) == 17
    os.kill(script.pid, signal.SIGKILL)
    wait_until(lambda: not any(alive(pid) for pid in pids) and not os.path.exists(directory), 2, "the end of all")


def read(path):
    text = path.read_text() if path.exists() else ""
    return text if text.endswith(" ") else ""


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
