"""kill -9 of the node and of the driver: the others learn of it at once, nothing stays, and a new session
works.
"""

import os
import signal
import subprocess
import time

import psutil
import pytest

import ray_lite as ray
from ray_lite.exceptions import RaySystemError
from ray_lite.system.process import kill_family, started_at

SOON = 3.0  # one second is promised; the rest is for a loaded machine


def kill_node(info):
    tree = psutil.Process(info["node_pid"]).children(recursive=True)
    os.kill(info["node_pid"], signal.SIGKILL)
    return tree


def ended(processes):
    return all(not p.is_running() or p.status() == psutil.STATUS_ZOMBIE for p in processes)


@pytest.fixture
def info(fresh):
    return fresh.init(num_cpus=2)


def test_a_blocked_get_and_wait_are_told(info, gate, blocked, wait_until):
    wait, arrive = gate.wait, gate.arrive

    @ray.remote
    def held():
        arrive("in")
        wait()

    pending = held.remote()
    threads, seen = blocked(
        lambda: ray.get(pending),
        lambda: ray.wait([pending]),
        lambda: ray.get([pending], timeout=100),
    )
    wait_until(lambda: gate.arrived("in"), what="the task")
    workers, killed = kill_node(info), time.monotonic()
    for thread in threads:
        thread.join(20)
    assert [kind for kind, _ in seen] == [RaySystemError] * 3
    assert max(when for _, when in seen) - killed < SOON
    wait_until(lambda: ended(workers), 5, "the workers' end")
    ray.shutdown()


def test_later_calls_are_told_and_a_new_session_works(info, wait_until):
    f = ray.remote(lambda x: x)
    stored, pending = ray.put(1), f.remote(1)
    ray.get(pending)
    kill_node(info)

    def told():
        try:
            f.remote(1)
        except RaySystemError:
            return True

    wait_until(told, SOON, "the news")
    for call in (
        lambda: ray.put(1),
        lambda: ray.put([stored]),
        lambda: f.remote(1),
        lambda: f.remote([stored]),
        lambda: ray.get(stored),
        lambda: ray.wait([stored], timeout=10),
    ):
        with pytest.raises(RaySystemError):
            call()
    ray.shutdown()
    assert not os.path.exists(info["session_dir"])
    assert ray.init(num_cpus=1)["node_pid"] != info["node_pid"]
    assert ray.get(f.remote(2)) == 2
    stored = pending = None  # late releases of the dead session disturb nothing
    assert ray.get(f.remote(3)) == 3


def test_views_outlive_the_node(info, wait_until):
    import numpy as np

    view = ray.get(ray.put(np.arange(100_000)))
    workers = kill_node(info)
    wait_until(lambda: ended(workers), 5, "the workers' end")
    ray.shutdown()
    assert (view == np.arange(100_000)).all()


def block():
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def ignore():
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)


def change_user():
    os.setuid(65534)


@pytest.mark.parametrize("deafen", [block, ignore, change_user])
def test_a_worker_that_hears_no_signal_ends_with_shutdown(info, gate, wait_until, deafen):
    """And its children with it."""
    if deafen is change_user and os.geteuid():
        pytest.skip("this user can't become another")
    arrive = gate.arrive

    @ray.remote
    def deaf():
        child = subprocess.Popen(["sleep", "300"])
        arrive("in")
        deafen()
        os.close(0)  # says that it is done
        child.wait()

    kept = deaf.remote()
    pid, = wait_until(lambda: [int(name.split(".")[1]) for name in gate.arrived("in")], what="the task")
    wait_until(lambda: not os.path.exists(f"/proc/{pid}/fd/0"), what="its deafness")
    tree = kill_node(info)
    with pytest.raises(RaySystemError):
        ray.get(kept)
    ray.shutdown()
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    wait_until(lambda: ended(tree), 5, "the end of its child")


def test_a_pid_that_belongs_to_another_by_now_is_spared():
    with subprocess.Popen(["sleep", "300"], start_new_session=True) as other:
        started = started_at(other.pid)
        for wrong in (started - 1, started + 1, 0):
            assert kill_family(other.pid, wrong) == -1
        assert other.poll() is None
        os.close(kill_family(other.pid, started))
        assert other.wait() == -signal.SIGKILL


def test_a_driver_that_ignores_the_news_ends_cleanly(run_script):
    done = run_script("""
        import os, signal
        import ray_lite as ray
        info = ray.init(num_cpus=2)
        kept = [ray.put(i) for i in range(10)], ray.remote(lambda: 1).remote()
        os.kill(info["node_pid"], signal.SIGKILL)
    """)
    assert done.returncode == 0 and "Traceback" not in done.stderr


DRIVER = """
import subprocess, sys, time
import ray_lite as ray
info = ray.init(num_cpus=2)
ready = sys.argv[1]

@ray.remote
def busy(i):
    subprocess.Popen(["sleep", "300"])
    open(f"{ready}.{i}", "w").close()
    time.sleep(300)

@ray.remote
def quick(x):
    return x

def say(text):
    with open(ready, "w") as file:
        file.write(text)
"""
MOMENTS = {
    "idle": "ray.get(quick.remote(1)); say('now'); time.sleep(300)",
    "tasks running": """
kept = [busy.remote(i) for i in range(6)]
import os
while not (os.path.exists(ready + ".0") and os.path.exists(ready + ".1")): time.sleep(0.01)
say('now'); ray.get(kept)""",
    "submitting": """
say('now')
while True: kept = [quick.remote(i) for i in range(1000)]""",
    "storing": """
say('now')
while True: kept = [ray.put(bytes(300000)) for i in range(20)]""",
    "starting and ending": "ray.shutdown(); say('now')\nwhile True: ray.init(num_cpus=2); ray.shutdown()",
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_kill_of_the_driver_leaves_nothing(start_script, wait_until, tmp_path, moment):
    """That no process and no file is left is proven after every test, here with children of the
    workers as well.
    """
    ready = tmp_path / "ready"
    driver = start_script(DRIVER + MOMENTS[moment], args=[ready])
    wait_until(lambda: ready.exists() and ready.read_text() == "now", 20, "the driver's moment")
    tree = psutil.Process(driver.pid).children(recursive=True)
    if moment in ("submitting", "storing"):
        wait_until(lambda: psutil.Process(driver.pid).cpu_times().user > 0.3, what="some work")
    driver.kill()
    driver.wait(10)
    wait_until(lambda: ended(tree), 5, "the end of all that the driver had started")
    if moment == "starting and ending":
        sweep()


def sweep():
    """With every process of a session killed its directory may stay, until the same user's next session."""
    ray.init(num_cpus=1)
    ray.shutdown()


def test_a_worker_that_sees_the_nodes_death_before_its_signal_ends_without_a_word(run_script):
    """The moment between the two is made longer: the task holds all signals up, and what it says would be shown."""
    done = run_script("""
        import contextlib, os, select, signal, threading, time
        import psutil
        import ray_lite as ray

        def until(condition):
            while not condition():
                time.sleep(0.001)

        @ray.remote
        def busy(began, over):
            def let_signals_come():
                until(lambda: os.path.exists(over))
                signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())

            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            threading.Thread(target=let_signals_come, daemon=True).start()
            open(began, "w").close()
            while True:
                ray.put(1)

        info = ray.init(num_cpus=1, driver_mode=ray.SILENT_MODE)
        began, over = (f"{info['session_dir']}/{name}" for name in ("began", "over"))
        kept, node = busy.remote(began, over), psutil.Process(info["node_pid"])
        def controls():
            with contextlib.suppress(ProcessLookupError):  # one has ended meanwhile
                return [child for child in node.children() if os.getpgid(child.pid) == os.getpgid(node.pid)]

        until(lambda: os.path.exists(began) and len(controls() or ()) == 1)
        control, = controls()
        end = os.pidfd_open(control.pid)
        control.suspend()
        node.kill()
        time.sleep(0.2)  # silence can't be waited for
        control.resume()
        select.select([end], [], [])
        open(over, "w").close()
    """)
    assert done.returncode == 0 and done.stderr == ""


def test_a_driver_that_dies_before_the_node_watches_it(start_script, wait_until):
    """The node, held up until then, finds nobody: it ends without a word, and the directory with it."""
    driver = start_script("""
        import os, signal, socket
        import psutil
        import ray_lite as ray
        send = socket.send_fds

        def send_and_die(*message):
            node, = psutil.Process().children()
            node.suspend()
            send(*message)
            print(node.pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

        socket.send_fds = send_and_die
        ray.init()
    """)
    node = psutil.Process(int(driver.stdout.readline()))
    driver.wait(10)
    node.resume()
    wait_until(lambda: ended([node]), 5, "the node's end")
    assert driver.stderr.read() == ""


def test_kill_of_driver_and_node_at_once(start_script, wait_until, tmp_path):
    ready = tmp_path / "ready"
    driver = start_script(
        DRIVER + "ray.get(quick.remote(1)); say(str(info['node_pid'])); time.sleep(300)", args=[ready]
    )
    wait_until(lambda: ready.exists() and ready.read_text(), 20, "the driver")
    tree = psutil.Process(driver.pid).children(recursive=True)
    os.kill(int(ready.read_text()), signal.SIGKILL)
    driver.kill()
    driver.wait(10)
    wait_until(lambda: ended(tree), 5, "the workers' end")
    sweep()
