"""graceful_end.py: whether a worker has to end as an interpreter does, or may end at once."""

import pytest

import ray_lite as ray


def is_left(make, drop=lambda: None):
    """What the worker finds: as it began, with what `make()` returns, and after `drop()`."""
    from ray_lite.workers.graceful_end import _anything_left

    before = _anything_left()
    kept = make()
    during = _anything_left()
    del kept
    drop()
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

    go_on = threading.Event()
    one = threading.Thread(target=go_on.wait, args=(20,), daemon=daemon)
    one.start()
    return go_on, one


