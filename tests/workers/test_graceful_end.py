"""graceful_end.py: whether a worker has to end as an interpreter does, or may end at once."""

import pytest

import ray_lite as ray


def is_left(make):
    """What the worker finds as it began, with what `make()` returns, and without."""
    from ray_lite.workers.graceful_end import _anything_left

    before = _anything_left()
    kept = make()
    during = _anything_left()
    del kept
    return before, during, _anything_left()


def opened():
    return open("/dev/null", "w")


def handler():
    import atexit

    atexit.register(int)


def generator():
    running = (x for x in range(9))
    next(running)
    return running


def thread(daemon):
    import threading

    threading.Thread(target=threading.Event().wait, args=(5,), daemon=daemon).start()


@pytest.mark.parametrize("make, during, after", [
    (lambda: None, False, False),
    (lambda: [{"plain": 1}], False, False),
    (lambda: __import__("numpy").ones(9), False, False),
    (lambda: __import__("concurrent.futures.thread"), False, False),
    (opened, True, False),
    (generator, True, False),
    (handler, True, True),
    (lambda: thread(daemon=False), True, True),
    (lambda: thread(daemon=True), False, False),
], ids=["nothing", "data", "numpy", "modules", "file", "generator", "handler", "thread", "daemon thread"])
def test_only_what_has_to_be_completed_counts(fresh, monkeypatch, make, during, after):
    monkeypatch.setenv("RAY_LITE_EXIT_GRACE", "0.2")
    fresh.init(num_cpus=2, num_workers=2)
    assert ray.get(ray.remote(is_left).remote(make)) == (False, during, after)
