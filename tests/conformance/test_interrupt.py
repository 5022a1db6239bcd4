"""Ctrl-C: `get` and `wait` end at once, the workers don't feel it, and the session goes on."""

import os
import signal
import threading
import time

import pytest

import ray_lite as ray

pytestmark = pytest.mark.usefixtures("ray_session")

AT_ONCE = 0.5  # 50 ms are promised; the rest is for a loaded machine


@pytest.fixture
def pending(gate):
    wait = gate.wait

    @ray.remote
    def held():
        wait()
        return "held"

    return held.remote()


@pytest.fixture
def interrupt():
    """`interrupt()` sends SIGINT to this process a moment later and gives a list with the time of it."""
    timers = []

    def later(delay=0.1):
        sent = []

        def send():
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

        timers.append(threading.Timer(delay, send))
        timers[-1].start()
        return sent

    yield later
    for timer in timers:
        timer.join()


CALLS = {
    "get": lambda one: ray.get(one),
    "get of a list": lambda one: ray.get([ray.put(1), one]),
    "get with a timeout": lambda one: ray.get(one, timeout=30),
    "wait": lambda one: ray.wait([one]),
    "wait with a timeout": lambda one: ray.wait([one], timeout=30_000),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_blocked_call_ends_at_once(pending, gate, interrupt, call):
    with pytest.raises(KeyboardInterrupt):
        sent = interrupt()
        CALLS[call](pending)
    assert time.monotonic() - sent[0] < AT_ONCE
    f = ray.remote(lambda x: x)
    assert ray.get([f.remote(i) for i in range(20)]) == list(range(20)), "the session is usable"
    gate.open()
    assert ray.get(pending) == "held", "and the task went on"


def test_again_and_again(pending, gate, interrupt):
    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            interrupt(0.02)
            ray.get(pending)
    gate.open()
    assert ray.get(pending) == "held"


def test_another_signal_does_not_end_the_call(pending, gate):
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda *_: (seen.append(ray.get(ray.put(5))), gate.open()))
    try:
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        assert ray.get(pending) == "held", "the handler ran during the call, and used the session itself"
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [5]


def test_a_handlers_exception_comes_out_of_the_call(pending, gate):
    class Alarm(Exception):
        pass

    def handler(*_):
        raise Alarm

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(Alarm):
            ray.wait([pending])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    gate.open()
    assert ray.get(pending) == "held"


def test_a_get_in_another_thread_goes_on(pending, gate, interrupt):
    got = []
    thread = threading.Thread(target=lambda: got.append(ray.get(pending)))
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        interrupt()
        ray.get(pending)
    gate.open()
    thread.join(20)
    assert got == ["held"]


def test_handlers_in_a_worker():
    handlers = ray.get(
        ray.remote(lambda: [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]).remote()
    )
    assert handlers == [signal.SIG_IGN, signal.SIG_DFL]


def test_ctrl_c_at_a_terminal_reaches_only_the_driver(start_script, wait_until, tmp_path):
    """The whole foreground group gets the signal, as from a keyboard; it happens in the middle of a
    running task.
    """
    ready, go_on = tmp_path / "ready", tmp_path / "go-on"
    driver = start_script(
        """
        import os, sys, time
        import ray_lite as ray
        ray.init(num_cpus=2)
        ready, go_on = sys.argv[1:]

        @ray.remote(max_retries=0)
        def held():
            open(ready, "w").close()
            while not os.path.exists(go_on):
                time.sleep(0.002)
            return os.getpid()

        one = held.remote()
        workers = set()
        try:
            ray.get(one)
        except KeyboardInterrupt:
            open(go_on, "w").close()
            print("interrupted", flush=True)
        pid = ray.get(one)
        print(pid in ray.session.current().view.worker_pids(), len(ray.get([held.remote() for _ in range(10)])))
    """,
        args=[ready, go_on],
    )
    wait_until(ready.exists, 20, "the task")
    os.killpg(driver.pid, signal.SIGINT)
    out, err = driver.communicate(timeout=20)
    assert (driver.returncode, out, err) == (0, "interrupted\nTrue 10\n", "")


def test_an_interrupted_driver_ends_as_usual(start_script, wait_until, tmp_path):
    ready = tmp_path / "ready"
    driver = start_script(
        """
        import sys, time
        import ray_lite as ray
        ray.init(num_cpus=2, shutdown_grace=0.1)

        @ray.remote
        def endless():
            open(sys_argv, "w").close()
            time.sleep(300)

        sys_argv = sys.argv[1]
        ray.get(endless.remote())
    """,
        args=[ready],
    )
    wait_until(ready.exists, 20, "the task")
    os.killpg(driver.pid, signal.SIGINT)
    _, err = driver.communicate(timeout=20)
    # The interpreter itself says 1 instead of the signal when exit handlers have run Python code.
    assert driver.returncode in (1, -signal.SIGINT) and err.splitlines()[-1] == "KeyboardInterrupt"


def test_ctrl_c_while_it_starts_leaves_nothing(start_script, wait_until):
    """The node is held up, so that `init` waits; the session after it works."""
    driver = start_script("""
        import os, signal, sys, threading, time
        import psutil
        import ray_lite as ray

        def hold_and_interrupt():
            while not psutil.Process().children():
                time.sleep(0.001)
            [node] = psutil.Process().children()
            node.suspend()
            time.sleep(0.2)  # until `init` waits for it, which can't be seen from here
            os.kill(os.getpid(), signal.SIGINT)

        ray.init(num_cpus=1)
        ray.shutdown()
        before = sorted(os.listdir("/proc/self/fd"))
        place = os.environ["XDG_RUNTIME_DIR"]
        for _ in range(3):
            helper = threading.Thread(target=hold_and_interrupt)
            helper.start()
            try:
                ray.init(num_cpus=1)
            except KeyboardInterrupt:
                pass
            helper.join()
            assert not ray.is_initialized() and not psutil.Process().children()
            assert sorted(os.listdir("/proc/self/fd")) == before
            assert not [name for name in os.listdir(place) if f"-{os.getpid()}-" in name]
        ray.init(num_cpus=1)
        print(ray.get(ray.remote(lambda: 1).remote()))
    """)
    out, err = driver.communicate(timeout=30)
    assert (out, err) == ("1\n", "")


def test_ctrl_c_while_it_ends_leaves_nothing(start_script):
    """A task takes its grace; the second thoughts of the user end it."""
    driver = start_script("""
        import os, signal, sys, threading, time
        import psutil
        import ray_lite as ray

        ray.init(num_cpus=1)
        ray.shutdown()
        before = sorted(os.listdir("/proc/self/fd"))
        place = ray.init(num_cpus=1, shutdown_grace=60)["session_dir"]
        x = ray.remote(lambda: (open(os.path.join(place, "running"), "w"), time.sleep(100))).remote()
        while not os.path.exists(os.path.join(place, "running")):
            time.sleep(0.001)
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            ray.shutdown()
        except KeyboardInterrupt:
            print("interrupted")
        assert not psutil.Process().children() and not os.path.exists(place) and not ray.is_initialized()
        del x
        assert sorted(os.listdir("/proc/self/fd")) == before
    """)
    out, err = driver.communicate(timeout=30)
    assert (out, err) == ("interrupted\n", "")
