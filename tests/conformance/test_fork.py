"""Forks of a driver: the child holds no session and says so, the parent notices nothing, and pools of
others work beside us.
"""

import os
import sys

import pytest

import ray_lite as ray

PRELUDE = """
import os, sys, signal, threading, time, warnings
warnings.simplefilter("ignore")     # newer Pythons warn about any fork of a process with threads
import numpy as np
import ray_lite as ray
ray.init(num_cpus=2)
f = ray.remote(lambda x: x + 1)
assert ray.get(f.remote(1)) == 2
stored = ray.put(np.arange(100000))
view = ray.get(stored)

def in_child(function):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function()
            code = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stderr.flush(); sys.stdout.flush()
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""


def test_every_call_in_the_child_says_so(output_of):
    assert (
        output_of(
            PRELUDE
            + """
def use():
    calls = dict(get=lambda: ray.get(stored), put=lambda: ray.put(1), wait=lambda: ray.wait([stored]),
                 inside=lambda: ray.put([stored]), remote=lambda: f.remote(1), new=lambda: ray.remote(lambda: 1).remote())
    for name, call in calls.items():
        try:
            call()
        except ray.exceptions.ForkedError as error:
            assert "fork" in str(error).lower(), name
        else:
            raise AssertionError(name)
    assert not ray.is_initialized()
    ray.shutdown()

in_child(use)
print(ray.get(f.remote(2)), ray.get(stored)[5])
"""
        )
        == "3 5\n"
    )


def test_the_child_may_start_a_session_of_its_own(output_of):
    assert (
        output_of(
            PRELUDE
            + """
def use():
    ray.init(num_cpus=1)
    print(ray.get(f.remote(10)), ray.get(ray.put("child")), flush=True)
    ray.shutdown()

in_child(use)
print(ray.get(f.remote(2)), ray.get(stored)[5])
"""
        )
        == "11 child\n3 5\n"
    )


def test_handles_dropped_in_the_child_do_nothing(output_of):
    assert (
        output_of(
            PRELUDE
            + """
def use():
    global stored, view, f
    del stored, view, f
    import gc; gc.collect()

in_child(use)
print(ray.get(stored)[5], view[6])
"""
        )
        == "5 6\n"
    )


def test_the_childs_views_stay_valid(output_of):
    """The child holds nothing in the store's books; the parent's must keep what was visible at the fork."""
    output_of(
        PRELUDE
        + """
go_on, told = os.pipe()
pid = os.fork()
if pid == 0:
    os.read(go_on, 1)
    os._exit(0 if (view == np.arange(100000)).all() else 9)
del stored, view
churn = [ray.put(np.full(100000, -7)) for _ in range(30)]
os.write(told, b"x")
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""
    )


def test_the_child_ends_like_any_process(run_script):
    """Its exit handlers run: they must not end the parent's session, nor print anything."""
    done = run_script(
        PRELUDE
        + """
pid = os.fork()
if pid == 0:
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
print(ray.get(f.remote(2)))
"""
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")


def test_fork_while_other_threads_call(output_of):
    assert (
        output_of(
            PRELUDE
            + """
stop = []

def hammer():
    while not stop:
        assert ray.get(f.remote(1)) == 2
        ray.get(ray.put(bytes(100)))

threads = [threading.Thread(target=hammer) for _ in range(3)]
for t in threads: t.start()

def use():
    try:
        ray.put(1)
    except ray.exceptions.ForkedError:
        pass
    assert view[7] == 7

for _ in range(30):
    in_child(use)
stop.append(1)
for t in threads: t.join()
print("done")
"""
        )
        == "done\n"
    )


def test_a_forking_pool_beside_us(output_of):
    assert (
        output_of(
            PRELUDE
            + """
import multiprocessing

def square(x):
    return x * x + int(view[0])

pool = multiprocessing.get_context("fork").Pool(2)
ids = [f.remote(i) for i in range(50)]
print(pool.map(square, range(5)), sum(ray.get(ids)))
pool.close()  # its `terminate`, with which a `with` ends, hangs at times: the standard library's own
pool.join()
"""
        )
        == "[0, 1, 4, 9, 16] 1275\n"
    )


def test_a_surviving_child_does_not_keep_the_session(start_script, wait_until, tmp_path):
    """A forked helper that outlives the driver must not hold the driver's end of the session open."""
    note = tmp_path / "pids"
    driver = start_script(
        PRELUDE
        + f"""
pid = os.fork()
if pid == 0:
    os.close(1); os.close(2)
    time.sleep(30)
    os._exit(0)
with open({str(note)!r}, "w") as file:
    file.write(f"{{pid}} {{ray.session.current().view.worker_pids()[0]}}")
os._exit(0)
"""
    )
    assert driver.wait(20) == 0, driver.stderr.read()
    child, worker = map(int, note.read_text().split())
    try:
        wait_until(lambda: not os.path.exists(f"/proc/{worker}"), 5, "the session's end")
        os.kill(child, 0)  # the helper itself is untouched
    finally:
        os.kill(child, 9)


def test_programs_started_by_the_driver_inherit_nothing(ray_session):
    import subprocess

    listing = subprocess.run(
        ["ls", "-l", "/proc/self/fd"], capture_output=True, text=True, close_fds=False
    ).stdout
    assert "ray_lite" not in listing and "pidfd" not in listing


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_multiprocessing_inside_a_task(ray_session, how):
    @ray.remote
    def parent():
        import subprocess
        import sys

        code = (
            "import multiprocessing as m\nif __name__ == '__main__':\n"
            f"    with m.get_context({how!r}).Pool(2) as pool: print(sum(pool.map(abs, range(5))))"
        )
        return subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL
        ).stdout

    assert ray.get(parent.remote()) == "10\n"


# ---------------------------------------------------------------- tasks that fork


def forks(ending):
    """A task whose forked child comes to the task's end too: (exit status of the child, what the parent says)."""
    pid = os.fork()
    if pid == 0:
        return ending()
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), "parent"


@pytest.mark.parametrize(
    "ending, status",
    [(lambda: "child", 0), (lambda: sys.exit(5), 5), (lambda: 1 / 0, 1), (lambda: os._exit(7), 7), (lambda: ray.put(1), 1)],
    ids=["return", "sys.exit", "exception", "os._exit", "use of the session"],
)
def test_a_child_forked_by_a_task_does_not_finish_the_task(ray_session, ending, status):
    f = ray.remote(forks)
    assert ray.get([f.remote(ending) for _ in range(20)]) == [(status, "parent")] * 20


def test_a_child_forked_in_an_inline_task_ends_too(ray_session):
    inner = ray.remote(forks)

    @ray.remote
    def outer():
        return ray.get(inner.remote(lambda: "child"))

    assert ray.get([outer.remote() for _ in range(20)]) == [(0, "parent")] * 20


def test_a_child_that_lives_on_keeps_neither_task_nor_session(fresh):
    ray.init(num_cpus=1, shutdown_grace=0.5)

    @ray.remote
    def leaves_a_child():
        import time

        if os.fork() == 0:
            time.sleep(100)
        return "parent"

    assert ray.get(leaves_a_child.remote()) == "parent"
    assert ray.get(leaves_a_child.remote()) == "parent"
    ray.shutdown()


@pytest.mark.slow
def test_threads_and_exit_handlers_of_tasks_stop_nobody(fresh):
    ray.init(num_cpus=1)

    @ray.remote
    def litters():
        import atexit
        import threading
        import time

        threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
        threading.Thread(target=time.sleep, args=(100,)).start()
        atexit.register(lambda: 1 / 0)
        return 1

    import time

    assert ray.get([litters.remote() for _ in range(3)]) == [1] * 3
    before = time.monotonic()
    ray.shutdown()
    assert time.monotonic() - before < 3
