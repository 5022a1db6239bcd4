"""`shutdown`, by hand and at exit: idempotent, complete when it returns, harmless to what the user still
holds.
"""

import os
import signal
import threading
import time

import numpy as np
import psutil
import pytest

import ray_lite as ray
from ray_lite.config import Config
from ray_lite.system import machine

MANY = 360  # workers


def mapped():
    with open("/proc/self/maps") as maps:
        return [line for line in maps if "memfd:" in line and "ray_lite" in line]


def test_idempotent_and_legal_without_a_session(fresh):
    ray.shutdown()
    ray.shutdown()
    ray.init(num_cpus=1)
    ray.shutdown()
    ray.shutdown()


def test_everything_is_gone_when_it_returns(fresh, worker_pids):
    info = ray.init(num_cpus=2)
    ray.get([ray.remote(lambda: 1).remote() for _ in range(10)])
    pids = [info["node_pid"], *worker_pids()]
    assert len(pids) >= 2
    ray.shutdown()
    # No polling: the promise is that shutdown returns after the end, not before it.
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []
    assert not os.path.exists(info["session_dir"])
    assert mapped() == []


def test_no_thread_and_no_handler_stays(fresh):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)]
    kernel_threads, threads = set(os.listdir("/proc/self/task")), threading.active_count()
    ray.init(num_cpus=1)
    assert signal.getsignal(signal.SIGINT) is handlers[0], "the driver's own handlers are not touched"
    ray.get(ray.remote(lambda: 1).remote())
    ray.shutdown()
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)] == handlers
    assert threading.active_count() == threads
    assert set(os.listdir("/proc/self/task")) <= kernel_threads, "a thread of an earlier test may end meanwhile"


@pytest.mark.parametrize(
    "call",
    [
        lambda: ray.put(1),
        lambda: ray.get(ray.ObjectID(bytes(20))),
        lambda: ray.wait([ray.ObjectID(bytes(20))]),
        lambda: ray.remote(lambda: 1).remote(),
        lambda: ray.session.current(),
    ],
    ids=["put", "get", "wait", "remote", "current"],
)
def test_calls_without_a_session(fresh, call):
    with pytest.raises(ray.exceptions.RaySystemError, match="init"):
        call()


def test_views_outlive_the_session(fresh):
    ray.init(num_cpus=1)
    original = np.arange(500_000)
    view = ray.get(ray.put(original))
    part = ray.get(ray.put({"inner": original}))["inner"][10:20]
    ray.shutdown()
    assert (view == original).all() and part.tolist() == list(range(10, 20))
    assert mapped(), "the views are what keeps the mapping"
    ray.init(num_cpus=1)
    assert ray.get(ray.put(1)) == 1
    assert (view == original).all(), "a new session does not disturb the old views"
    ray.shutdown()
    del view, part
    assert mapped() == [], "the last view takes the mapping with it"


def test_ids_of_an_ended_session(fresh):
    ray.init(num_cpus=1)
    old = [ray.put(i) for i in range(10)]
    ray.shutdown()
    assert len(old[0].binary()) == 20 and old[0] == ray.ObjectID(old[0].binary())
    ray.init(num_cpus=1)
    with pytest.raises(ray.exceptions.ObjectLostError):
        ray.get(old[0])
    new = [ray.put(i) for i in range(10)]
    del old  # late releases must not reach the new session's objects
    assert ray.get(new) == list(range(10))


def test_running_and_queued_tasks_are_dropped(fresh, wait_until, tmp_path):
    started = tmp_path / "started"

    @ray.remote
    def endless(path):

        open(path, "w").close()
        time.sleep(1000)

    ray.init(num_cpus=1, shutdown_grace=0.2)
    ids = [endless.remote(str(started)) for _ in range(300)]
    wait_until(started.exists, what="the first task")
    children = psutil.Process().children(recursive=True)
    ray.shutdown()
    assert len(ids) == 300
    assert [c for c in children if c.is_running() and c.status() != psutil.STATUS_ZOMBIE] == []


def test_a_call_blocked_in_another_thread_is_told(fresh, gate, blocked, wait_until):
    ray.init(num_cpus=1, shutdown_grace=0.2)
    wait, arrive = gate.wait, gate.arrive

    @ray.remote
    def held():
        arrive("in")
        wait()

    pending = held.remote()
    threads, seen = blocked(lambda: ray.get(pending), lambda: ray.wait([pending]))
    wait_until(lambda: gate.arrived("in"), what="the task")
    ray.shutdown()
    for thread in threads:
        thread.join(10)
    assert [kind for kind, _ in seen] == [ray.exceptions.RaySystemError] * 2


def test_shutdown_inside_a_task_is_refused(ray_session):
    with pytest.raises(RuntimeError):
        ray.get(ray.remote(lambda: ray.shutdown()).remote())
    assert ray.get(ray.put(1)) == 1


PRELUDE = """
import sys, os, atexit, threading, time
import ray_lite as ray
ray.init(num_cpus=2)

@ray.remote
def f(x):
    return x + 1

assert ray.get(f.remote(1)) == 2
kept = [f.remote(i) for i in range(10)]
value = ray.put(bytes(1000000))
"""


@pytest.mark.parametrize(
    "ending, code",
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("os._exit(4)", 4),
        ("ray.shutdown()", 0),
        ("del ray, f", 0),
        ("import signal; os.kill(os.getpid(), signal.SIGKILL)", -9),
        ("os.execv(sys.executable, [sys.executable, '-c', 'raise SystemExit(5)'])", 5),
    ],
    ids=["end", "sys.exit", "os._exit", "shutdown", "names-deleted", "kill", "exec"],
)
def test_ends_of_a_driver(run_script, ending, code):
    done = run_script(PRELUDE + ending)  # that nothing is left is proven for every test, at its end
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


def test_an_exception_ends_the_driver_as_usual(run_script):
    done = run_script(PRELUDE + "raise LookupError('the end')")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "LookupError: the end"
    assert done.stderr.count("Traceback") == 1


def test_the_users_exit_handlers_may_use_the_session(output_of):
    assert (
        output_of(
            PRELUDE
            + """
atexit.register(lambda: print(ray.get(f.remote(41)), ray.is_initialized()))
"""
        )
        == "42 True\n"
    )


def test_user_threads_end_before_the_session(output_of):
    assert (
        output_of(
            PRELUDE
            + """
def later():
    threading.main_thread().join()
    print(ray.get(f.remote(1)))
threading.Thread(target=later).start()
"""
        )
        == "2\n"
    )


def test_views_and_ids_held_at_exit(output_of):
    output_of(
        PRELUDE
        + """
import numpy
view = ray.get(ray.put(numpy.zeros(100000)))
sys.modules["keeper"] = keeper = type(sys)("keeper")
keeper.things = [view, value, kept, f]
"""
    )


@pytest.mark.slow
@pytest.mark.skipif(machine.workers(Config()).value < MANY, reason=f"no {MANY} workers here: {machine.workers(Config())}")
def test_more_workers_than_select_has_descriptors(output_of):
    """Each takes three of the node's: the last ones' are beyond 1,024. They sleep, so the node ends them itself."""
    assert output_of(f"""
        import time
        import ray_lite as ray
        ray.init(num_cpus={MANY}, shutdown_grace=0.1)
        sleep = ray.remote(lambda: time.sleep(60))
        ids = [sleep.remote() for _ in range({MANY})]
        while len(ray.session.current().view.worker_pids()) < {MANY}:
            time.sleep(0.01)
        ray.shutdown()
        print("ended")
    """, timeout=50) == "ended\n"


def test_sigterm_ends_the_driver_and_its_session(start_script, wait_until, tmp_path):
    ready = tmp_path / "ready"
    driver = start_script(
        PRELUDE
        + f"""
open({str(ready)!r}, "w").close()
while True:  # a signal just before a sleep is handled after it
    time.sleep(0.1)
"""
    )
    wait_until(ready.exists, what="the driver")
    children = psutil.Process(driver.pid).children(recursive=True)
    driver.terminate()
    assert driver.wait(10) in (-signal.SIGTERM, 128 + signal.SIGTERM)
    assert driver.stderr.read() == ""
    wait_until(lambda: not any(c.is_running() for c in children), 5, "the end of the session's processes")


def test_the_users_sigterm_handler_stays(output_of):
    assert (
        output_of("""
        import os, signal
        import ray_lite as ray
        handler = lambda *_: print("mine", flush=True)
        signal.signal(signal.SIGTERM, handler)
        ray.init(num_cpus=1)
        assert signal.getsignal(signal.SIGTERM) is handler
        os.kill(os.getpid(), signal.SIGTERM)
        print(ray.get(ray.put("on")))
    """)
        == "mine\non\n"
    )
