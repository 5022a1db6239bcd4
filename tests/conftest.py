"""Fixtures of every test: sessions, drivers in processes of their own, a watchdog, proof that nothing stays.

- `ray_session`: a session with 2 CPUs; `fresh`: the module without one, for tests that call `init`.
- `run_script`, `start_script`: a driver in a process of its own, for what can't be done to the test process.
- `forked`: a function in a forked child, which never outlives the test.
- `blocked`: calls in threads of their own, and what they raise.
- `wait_until`: the only way to wait for a condition; `gate`: holds tasks until the test lets them go.
- `statistics`, `worker_pids`: what the live session says about itself.
- Autouse: after each test the invariants hold; processes, descriptors, mappings and files are as before.

leftovers.py says what counts as left behind.
"""

import contextlib
import faulthandler
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import types

import psutil
import pytest
from children import Child
from leftovers import Places, Traces

WATCHDOG_S = 60
PROOFS = {"crash", "sanitize", "failpoints", "models", "soak"}  # folders whose tests are slow
SETTLE_S = 3.0  # how long after a test the machine may still be busy ending things


def pytest_configure(config):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs us in the background ignores it
    config.addinivalue_line("markers", "watchdog(seconds): let this test take longer than the usual minute")
    config.ray_lite_places = Places()
    config.ray_lite_places.begin()
    # Modules of these tests that workers import by name, as they would a user's.
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "samples"))
    # Capturing replaces fd 2 during a test; a hang must be reported on the real one.
    config.ray_lite_stderr = os.dup(2)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """A plain `pytest` leaves out what is slow; a path, or `-m slow`, brings it."""
    for item in items:
        if PROOFS.intersection(item.path.parts):
            item.add_marker("slow")
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS and not config.getoption("markexpr"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in set(slow)]


def pytest_collection_finish(session):
    """What is here now stays: the collections after each test need not walk over it, which would take a minute in all."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure(config):
    config.ray_lite_places.end()
    os.close(config.ray_lite_stderr)


# ---------------------------------------------------------------- waiting


def _wait_until(condition, deadline=10.0, what="the condition"):
    """The first true value of `condition()`; an AssertionError when `deadline` seconds have passed
    without one.
    """
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what} did not come true within {deadline} s"
        time.sleep(0.005)


@pytest.fixture(scope="session")
def wait_until():
    return _wait_until


@pytest.fixture(autouse=True)
def watchdog(request):
    """A hang ends the run with every thread's stack after a minute, instead of blocking it for ever."""
    marker = request.node.get_closest_marker("watchdog")
    seconds = marker.args[0] if marker else WATCHDOG_S
    faulthandler.dump_traceback_later(seconds, exit=True, file=request.config.ray_lite_stderr)
    yield
    faulthandler.cancel_dump_traceback_later()


# ---------------------------------------------------------------- nothing outlives a test


def _end_session():
    """Check the live session's invariants, then end it; the check's verdict comes after the end."""
    ray = sys.modules.get("ray_lite")
    if ray is None or not ray.is_initialized():
        return
    try:
        ray.session.current().view.check()
    finally:
        ray.shutdown()


@pytest.fixture(scope="session")
def places(request):
    """Directories of this run alone: `places.base`, and `places.shm` on tmpfs."""
    return request.config.ray_lite_places


@pytest.fixture(autouse=True)
def nothing_outlives_the_test(watchdog, places):
    before = Traces.now(places)
    yield
    try:
        _end_session()
    finally:
        gc.collect()
        gc.freeze()  # the next collection need not walk over what has stayed: it would take most of the suite's time
        end = time.monotonic() + SETTLE_S
        while (left := Traces.now(places).difference(before)) and time.monotonic() < end:
            time.sleep(0.02)
        for pid, _ in Traces.now(places).processes - before.processes:  # don't let one failure spoil the next test
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)  # a zombie of ours would be there for all tests to come
    assert not left, "\n".join(left)


# ---------------------------------------------------------------- sessions


@pytest.fixture(scope="session")
def warm():
    """The module after one short session, so that what is imported or opened lazily is there before
    the first count.
    """
    import numpy

    import ray_lite

    ray_lite.init(num_cpus=2)
    ray_lite.get(ray_lite.remote(lambda array: array.sum()).remote(numpy.ones(100_000)))
    ray_lite.shutdown()
    return ray_lite


@pytest.fixture
def fresh(warm, nothing_outlives_the_test):
    """`ray_lite` without a session; whatever the test starts is checked and ended after it."""
    assert not warm.is_initialized()
    return warm


@pytest.fixture
def ray_session(fresh):
    """`ray_lite` with a session of two CPUs."""
    fresh.init(num_cpus=2)
    return fresh


@pytest.fixture
def statistics(fresh):
    """What the live session counts: `statistics().objects`, `.tasks`, `.workers`, `.bytes_used`."""
    return lambda: fresh.session.current().view.statistics()


@pytest.fixture
def worker_pids(fresh):
    return lambda: fresh.session.current().view.worker_pids()


@pytest.fixture
def control_process(fresh, wait_until):
    """Waits for the live session's control process: the one child in the node's own group; workers lead theirs."""

    def find():
        node = fresh.session.current().address["node_pid"]
        children = psutil.Process(node).children()
        with contextlib.suppress(ProcessLookupError):
            found = [child for child in children if os.getpgid(child.pid) == os.getpgid(node)]
            return found[0] if len(found) == 1 else None

    return lambda: wait_until(find, what="the control process")


@pytest.fixture(params=["PYTHON_MODE", "SCRIPT_MODE"])
def actors(fresh, request):
    """A session that has actors."""
    fresh.init(driver_mode=getattr(fresh, request.param), num_cpus=2)
    return fresh


@pytest.fixture
def python_mode(fresh):
    """A session in PYTHON_MODE."""
    fresh.init(driver_mode=fresh.PYTHON_MODE)
    return fresh


@pytest.fixture
def gate(tmp_path):
    """Holds tasks back: `gate.wait` blocks, in any process, until the test calls `gate.open()` or ends.

    `gate.arrive(name)` leaves a note that `gate.arrived(prefix)` lists, to know what has started; `gate.path` is there once
    it is open, for scripts.
    """
    path, notes = str(tmp_path / "gate-open"), str(tmp_path / "gate-notes")
    os.mkdir(notes)

    # Local functions on purpose: tasks carry them by value and need not import this file.
    def wait(deadline=30.0):
        import os
        import time

        end = time.monotonic() + deadline
        while not os.path.exists(path):
            if time.monotonic() > end:
                raise TimeoutError("nobody opened the gate")
            time.sleep(0.002)

    def arrive(name):
        import os

        with open(f"{notes}/{name}.{os.getpid()}.{os.urandom(4).hex()}", "w"):
            pass

    def arrived(prefix=""):
        return sorted(name for name in os.listdir(notes) if name.startswith(prefix))

    def open_gate():
        with open(path, "w"):
            pass

    yield types.SimpleNamespace(wait=wait, arrive=arrive, arrived=arrived, open=open_gate, path=path)
    open_gate()


@pytest.fixture
def blocked():
    """`blocked(call, ...)` makes each call in a thread: (the threads, a list that gets what each raises and when)."""

    def start(*calls):
        seen = []

        def run(call):
            try:
                call()
            except BaseException as error:
                seen.append((type(error), time.monotonic()))

        threads = [threading.Thread(target=run, args=(call,)) for call in calls]
        for thread in threads:
            thread.start()
        return threads, seen

    return start


# ---------------------------------------------------------------- other processes


@pytest.fixture
def forked():
    """`forked(function, *arguments)` runs it in a Child, which must end well unless the test killed it or waited for it."""
    children = []

    def fork(function, *arguments):
        children.append(Child(function, arguments))
        return children[-1]

    yield fork
    statuses = [child.kill() for child in children]
    assert all(child.ended_well() for child in children), statuses


def _script_environment(changes):
    import ray_lite

    env = dict(os.environ)
    # The package may be built in place and not installed; a script must find it from anywhere.
    roots = [os.path.dirname(os.path.dirname(os.path.abspath(ray_lite.__file__))), env.get("PYTHONPATH", "")]
    env["PYTHONPATH"] = os.pathsep.join(filter(None, roots))
    for name, value in (changes or {}).items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = value
    return env


@pytest.fixture
def start_script(tmp_path):
    """`start_script(source, ...)` gives the Popen of a new interpreter that runs `source`.

    `env` changes single variables (None removes one), `flags` go to the interpreter, `command` before it. The
    process leads a session and group of its own, so that a signal to the group never meets the test run.
    """
    processes = []

    def start(source, *, args=(), env=None, flags=(), cwd=None, command=()):
        path = tmp_path / f"script{len(processes)}.py"
        path.write_text(textwrap.dedent(source))
        process = subprocess.Popen(
            [*command, sys.executable, *flags, str(path), *map(str, args)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=_script_environment(env),
            cwd=cwd,
            start_new_session=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


@pytest.fixture
def run_script(start_script):
    """Like `start_script`, but waits for the end and gives a CompletedProcess; too long is a failure
    with the output.
    """

    def run(source, *, timeout=30, **how):
        process = start_script(source, **how)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as late:
            process.kill()
            pytest.fail(
                f"the script took more than {timeout} s; stdout: {late.stdout!r} stderr: {late.stderr!r}"
            )
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    return run


@pytest.fixture
def output_of(run_script):
    """The standard output of a script that must succeed and say nothing on standard error."""

    def run(source, **how):
        done = run_script(source, **how)
        assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert done.stderr == ""
        return done.stdout

    return run
