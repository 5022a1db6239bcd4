"""Failures that nobody fetches are shown on stderr: half a second later, once, unless a `get` has raised them."""

import pytest

HEAD = """
import os, sys, time
import ray_lite as ray
MODE = ray.SCRIPT_MODE

@ray.remote
def bad(text="boom"):
    raise ValueError(text)

def begin(**more):
    ray.init(num_cpus=1, **more)

def others():
    # all that was submitted before has run then: there is one CPU, and tasks run in order
    ray.get(ray.remote(lambda: 1).remote())

def caught(x):
    try:
        ray.get(x)
    except ValueError:
        return
    raise SystemExit("it did not fail")

"""
SHOWN = "no get() has fetched its result"


@pytest.fixture
def stderr_of(run_script):
    def run(body, **how):
        import textwrap

        done = run_script(HEAD + textwrap.dedent(body), **how)
        assert done.returncode == 0, done.stderr
        return done.stderr

    return run


def test_a_failure_nobody_fetches_is_shown_with_its_traceback(stderr_of):
    err = stderr_of("begin(); x = bad.remote(); ray.wait([x])")
    assert err.count(SHOWN) == 1 and "task bad" in err and "ValueError: boom" in err and "Traceback" in err


def test_it_is_there_within_a_second(start_script):
    script = start_script(HEAD + "begin(); x = bad.remote(); ray.wait([x]); print(time.time(), flush=True); time.sleep(60)")
    failed = float(script.stdout.readline())
    import time

    assert SHOWN in script.stderr.readline()
    assert 0.3 < time.time() - failed < 1.5
    script.kill()


def test_a_task_whose_id_is_dropped_is_shown(stderr_of):
    assert SHOWN in stderr_of("begin(); bad.remote(); others()")


def test_a_task_without_returns_is_shown(stderr_of):
    assert SHOWN in stderr_of("begin(); bad.options(num_return_vals=0).remote(); others()")


def test_what_a_get_raises_is_not_shown(stderr_of):
    assert stderr_of("""
        begin()
        for _ in range(100):
            caught(bad.remote())
    """) == ""


def test_one_return_of_several_is_enough(stderr_of):
    assert stderr_of("""
        begin()
        a, b, c = bad.options(num_return_vals=3).remote()
        caught(b)
    """) == ""


def test_through_an_argument_it_is_one_failure(stderr_of):
    first = stderr_of("""
        begin()
        f = ray.remote(lambda x: x)
        y = f.remote(f.remote(bad.remote()))
        ray.wait([y])
    """)
    assert first.count(SHOWN) == 1
    assert stderr_of("""
        begin()
        f = ray.remote(lambda x: x)
        caught(f.remote(f.remote(bad.remote())))
    """) == ""


def test_a_failure_raised_in_a_task_is_the_outer_tasks(stderr_of):
    err = stderr_of("""
        begin()
        @ray.remote
        def outer():
            ray.get(bad.remote())
        x = outer.remote()
        ray.wait([x])
    """)
    assert err.count(SHOWN) == 1 and "task outer" in err and "boom" in err


def test_repeats_are_folded(stderr_of):
    err = stderr_of("""
        begin()
        ids = [bad.remote() for _ in range(5000)]
        ray.wait(ids, num_returns=5000)
    """)
    assert err.count("Traceback") == 1 and len(err) < 5000
    import re

    counts = [int(n.replace(",", "")) for n in re.findall(r"repeated ([\d,]+) times", err)]
    assert sum(counts) + err.count("task bad") - len(counts) == 5000, err


def test_a_dead_worker_is_shown(stderr_of):
    err = stderr_of("""
        begin()
        x = ray.remote(lambda: os._exit(3)).remote()
        ray.wait([x])
    """)
    assert err.count(SHOWN) == 1 and "exit code 3" in err


def test_silent_mode_shows_nothing(stderr_of):
    assert stderr_of("begin(driver_mode=ray.SILENT_MODE); x = bad.remote(); ray.wait([x])") == ""


def test_success_shows_nothing(stderr_of):
    assert stderr_of("begin(); others()") == ""
