"""lock_watchdog.py: who is stopped inside the lock, and what becomes of him."""

import os
import signal
import threading
import time

import psutil
import pytest

import ray_lite as ray
from ray_lite import _core
from ray_lite.control.lock_watchdog import CLOSE, LOOKS, LockWatchdog

PATIENCE = 1.0


def nobody(pid):
    """Nobody is spared."""
    return False


@pytest.fixture
def stopped(forked, wait_until):
    """A child that is stopped."""
    pid = forked(time.sleep, 100).pid
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    return pid


def looks(dog, count):
    return [dog.look() for _ in range(count)]


def test_a_free_lock_is_looked_at_seldom():
    assert looks(LockWatchdog(lambda: 0, nobody, print, PATIENCE), 5) == [PATIENCE] * 5


def test_an_owner_that_runs_is_left_alone():
    assert looks(LockWatchdog(os.getpid, nobody, print, PATIENCE), 5) == [PATIENCE] * 5


def test_an_owner_that_is_gone_is_left_to_the_kernel(forked):
    child = forked(int)
    child.wait()
    assert looks(LockWatchdog(lambda: child.pid, nobody, print, PATIENCE), 5) == [PATIENCE] * 5


def test_a_stopped_worker_is_killed_at_the_third_look(stopped):
    dog = LockWatchdog(lambda: stopped, nobody, print, PATIENCE)
    assert looks(dog, LOOKS - 1) == [CLOSE] * (LOOKS - 1)
    assert psutil.Process(stopped).status() == psutil.STATUS_STOPPED
    dog.look()
    info = os.waitid(os.P_PID, stopped, os.WEXITED | os.WNOWAIT)
    assert info.si_status == signal.SIGKILL


def test_looks_count_in_a_row_only(stopped):
    owners = [stopped, stopped, 0] * 5
    looks(LockWatchdog(lambda: owners.pop(), nobody, print, PATIENCE), 15)
    assert psutil.Process(stopped).status() == psutil.STATUS_STOPPED


def test_a_stopped_driver_goes_on_until_it_has_left_the_lock(stopped, wait_until):
    seen = []

    def owner():
        state = psutil.Process(stopped).status()
        seen.append(state)
        return 0 if state != psutil.STATUS_STOPPED else stopped

    looks(LockWatchdog(owner, lambda pid: pid == stopped, print, PATIENCE), LOOKS)
    assert seen[-1] != psutil.STATUS_STOPPED, "it went on"
    wait_until(lambda: psutil.Process(stopped).status() == psutil.STATUS_STOPPED, what="its second stop")


def test_nobody_is_blocked_by_a_worker_stopped_inside_the_lock(fresh, wait_until):
    ray.init(num_cpus=1, shutdown_grace=0.2)
    region = ray.session.current().region

    @ray.remote
    def busy():
        while True:
            ray.put(1)

    attempts = busy.remote()
    (pid,) = wait_until(lambda: [p for p in ray.session.current().view.worker_pids() if p])
    worker = psutil.Process(pid)

    def caught():
        worker.suspend()
        wait_until(lambda: worker.status() == psutil.STATUS_STOPPED)
        if _core.lock_owner(region) == pid:
            return True
        worker.resume()
        return False

    wait_until(caught, 30, "a stop inside the lock")
    done = []
    thread = threading.Thread(target=lambda: done.append(ray.get(ray.put(7))))
    thread.start()
    thread.join(10)
    assert done == [7]
    wait_until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    del attempts
