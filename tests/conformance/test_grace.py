"""The time that `shutdown` gives running tasks: only the driver's end cuts it short, and calls of other threads are told."""

import os
import select
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

import ray_lite as ray


@pytest.fixture
def in_the_grace(fresh, gate, wait_until):
    """Runs `meanwhile(before())` in a thread of its own while `shutdown` waits for a task, then lets that go on: whether it
    came to its end.
    """
    wait, arrive = gate.wait, gate.arrive

    @ray.remote
    def held():
        region = ray.session.current().region
        arrive("in")
        while not ray._core.is_closing(region):
            time.sleep(0.001)
        ray.cancel(quick.remote())  # rings the node
        arrive("closing")
        wait()
        arrive("out")

    quick = ray.remote(lambda: 1)

    def run(meanwhile, before=lambda: None):
        kept = ray.get(quick.remote()), held.remote()
        wait_until(lambda: gate.arrived("in"), what="the task")
        known = before()

        def helper():
            try:
                wait_until(lambda: gate.arrived("closing"), what="the grace")
                meanwhile(known)
            finally:
                gate.open()

        with ThreadPoolExecutor(1) as threads:
            done = threads.submit(helper)
            ray.shutdown()
            done.result()
        assert kept
        return len(gate.arrived("out")) == 1

    return run


def test_an_answer_of_the_control_process_does_not_end_the_grace(in_the_grace, worker_pids, control_process, gate,
                                                                 wait_until):
    """The last words of a worker that was killed just before, which come in the grace."""
    ray.init(num_cpus=2, num_workers=2, shutdown_grace=30)

    def kill_another():
        control, busy = control_process(), int(gate.arrived("in")[0].split(".")[1])
        control.suspend()
        other = wait_until(lambda: [pid for pid in worker_pids() if pid != busy])[0]
        end = os.pidfd_open(other)
        os.kill(other, signal.SIGKILL)
        select.select([end], [], [])
        os.close(end)
        return control

    def answer(control):
        control.resume()
        time.sleep(0.2)  # silence can't be waited for

    assert in_the_grace(answer, kill_another)


def test_the_end_of_the_control_process_does_not_end_the_grace(in_the_grace, control_process):
    ray.init(num_cpus=1, shutdown_grace=30)

    def kill(control):
        control.kill()
        time.sleep(0.2)  # silence can't be waited for

    assert in_the_grace(kill, control_process)


def test_the_node_sleeps_in_the_grace(in_the_grace, wait_until):
    """A doorbell that was rung keeps nobody awake: a process that never sleeps never gives up its CPU by itself."""
    node = psutil.Process(ray.init(num_cpus=1, shutdown_grace=30)["node_pid"])

    def sleeps(_):
        before = node.num_ctx_switches().voluntary
        wait_until(lambda: node.num_ctx_switches().voluntary >= before + 5, 5, "the node's sleep")

    assert in_the_grace(sleeps)


def test_calls_in_the_grace_are_told(in_the_grace, blocked):
    """Those that wait already, and new ones; of a function that was called before, too."""
    ray.init(num_cpus=1, shutdown_grace=30)
    f = ray.remote(lambda x: x)

    def wait_for_one_that_is_queued():
        queued = f.remote(1)
        return queued, *blocked(lambda: ray.get(queued), lambda: ray.wait([queued]))

    def call(known):
        queued, threads, seen = known
        for made in (lambda: f.remote(2), lambda: f.remote([2]), lambda: ray.get(queued), lambda: ray.put(1)):
            with pytest.raises(ray.exceptions.RaySystemError):
                made()
        for thread in threads:
            thread.join(10)
        assert [kind for kind, _ in seen] == [ray.exceptions.RaySystemError] * 2

    assert in_the_grace(call, wait_for_one_that_is_queued)


def test_init_in_another_thread_waits_for_the_end(in_the_grace):
    old = ray.init(num_cpus=1, shutdown_grace=30)
    there = []
    starter = threading.Thread(target=lambda: there.append((ray.init(num_cpus=1), os.path.exists(old["session_dir"]))))

    def start(_):
        starter.start()
        starter.join(0.3)  # silence can't be waited for

    assert in_the_grace(start)
    starter.join()
    (info, left), = there
    assert not left and info["session_dir"] != old["session_dir"]
    assert ray.get(ray.remote(lambda: 1).remote()) == 1


def test_a_child_forked_in_the_grace_may_start_its_own(in_the_grace, forked):
    ray.init(num_cpus=1, shutdown_grace=30)

    def child():
        ray.init(driver_mode=ray.PYTHON_MODE)
        ray.shutdown()

    def fork(_):
        assert forked(child).wait() == 0

    assert in_the_grace(fork)


def test_a_task_that_waits_for_one_that_ends_meanwhile_ends_in_time(fresh, gate, wait_until):
    """Neither takes all the time that running tasks get."""
    ray.init(num_cpus=2, shutdown_grace=30)
    arrive = gate.arrive

    @ray.remote(inline=False)
    def child():
        from ray_lite import _core, session

        arrive("in")
        while not _core.is_closing(session.current().region):
            time.sleep(0.002)

    x = ray.remote(lambda: ray.get(child.remote())).remote()
    wait_until(lambda: gate.arrived("in"))
    began = time.monotonic()
    ray.shutdown()
    assert time.monotonic() - began < 15
    del x
