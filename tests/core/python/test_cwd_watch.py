"""cwd_watch.pyx: every change of the directory by Python is noticed, by whichever thread."""

import os
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from ray_lite import _core


@pytest.fixture
def call(region, tasks):
    """A call, and the calls that went the slow way."""
    calls = tasks(region, {"f": None})
    slow_calls = []
    remote = _core.RemoteCall(lambda remote, args, kwargs: slow_calls.append(args))
    remote.arm(region, next(iter(calls.by_index)), _core.demand_queue(region, 1), (1, 3, 0, 0, 4))
    _core.watch_cwd()
    _core.mark_env()
    return SimpleNamespace(remote=remote, slow_calls=slow_calls, keep=calls)


@pytest.fixture
def back():
    before = os.open(".", os.O_RDONLY)
    yield before
    os.fchdir(before)
    os.close(before)


def test_a_change_is_noticed_until_it_is_marked(call, back, tmp_path):
    assert call.remote(1) is not None
    os.chdir(tmp_path)
    assert call.remote(2) is None and call.remote(3) is None
    _core.mark_env()
    assert call.remote(4) is not None
    os.fchdir(back)
    assert call.remote(5) is None
    assert call.slow_calls == [(2,), (3,), (5,)]


def test_a_change_that_fails_or_leads_nowhere_is_none(call, back, tmp_path):
    os.chdir(".")
    with pytest.raises(FileNotFoundError):
        os.chdir(tmp_path / "nowhere")
    assert call.remote(1) is not None and call.slow_calls == []


def test_a_change_by_another_thread_is_noticed_even_if_it_is_still_going_on(call, back, tmp_path):
    """The hook hears of it before it happens: a mark made meanwhile by somebody else must not be the last word."""
    entered, go = threading.Event(), threading.Event()

    class Slow(os.PathLike):
        def __fspath__(self):
            return str(tmp_path)

    def wander():
        sys.audit("os.chdir", str(tmp_path))  # as the interpreter does, but the change comes later
        entered.set()
        go.wait()
        os.chdir(Slow())

    thread = threading.Thread(target=wander)
    thread.start()
    entered.wait()
    _core.mark_env()
    assert call.remote(1) is not None, "it has not moved yet"
    go.set()
    thread.join()
    assert call.remote(2) is None
    _core.mark_env()
    assert call.remote(3) is not None
    os.fchdir(back)
    assert call.remote(4) is None, "two have wandered: every call looks"


FORBIDS = """
import os, sys
def hook(event, args):
    if event == {event!r}:
        raise RuntimeError("no")
sys.addaudithook(hook)
import ray_lite as ray
ray.init(num_cpus=1)
f = ray.remote(os.getcwd)
assert ray.get(f.remote()) == os.getcwd()
os.chdir("/")
assert ray.get(f.remote()) == "/"
"""


@pytest.mark.parametrize("event", ["sys.addaudithook", "ray_lite.watch"])
def test_where_hooks_are_forbidden_each_call_looks(event):
    done = subprocess.run([sys.executable, "-c", FORBIDS.format(event=event)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
