"""polling.py: one descriptor, of any number, with times and signals right."""

import os
import resource
import signal
import threading
import time

import pytest

from ray_lite.system.polling import LONGEST, readable, writable

HIGH = 1_500  # beyond what select.select takes


@pytest.fixture(params=[None, HIGH], ids=["low", "high"])
def pipe(request):
    """(read end, write end) of a pipe, the numbers at least as high as that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if request.param and hard != resource.RLIM_INFINITY and hard < HIGH + 8:
        pytest.skip(f"no more than {hard} descriptors here (ulimit -Hn)")
    ends = os.pipe()
    if request.param:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        for k, fd in enumerate(ends):
            os.dup2(fd, HIGH + k)
            os.close(fd)
        ends = HIGH, HIGH + 1
    yield ends
    for fd in ends:
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_reading(pipe):
    assert not readable(pipe[0], 0)
    start = time.monotonic()
    assert not readable(pipe[0], 0.03)
    assert time.monotonic() - start >= 0.03
    os.write(pipe[1], b"x")
    assert readable(pipe[0]) and readable(pipe[0], 0) and readable(pipe[0], LONGEST * 1e6)


def test_the_end_of_a_stream_can_be_read(pipe):
    os.dup2(pipe[0], pipe[1])  # nobody writes any more
    assert readable(pipe[0], 0)


def test_writing(pipe):
    os.set_blocking(pipe[1], False)
    assert writable(pipe[1]) and writable(pipe[1], 0)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(pipe[1], bytes(65_536))
    assert not writable(pipe[1], 0)


def test_the_end_of_a_process(pipe, forked):
    child = forked(os.read, pipe[0], 1)
    assert not readable(child.pidfd, 0.01)
    os.write(pipe[1], b"x")
    assert readable(child.pidfd)


def test_signals_neither_end_a_wait_nor_prolong_it(pipe):
    heard = []
    before = signal.signal(signal.SIGALRM, lambda *_: heard.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    try:
        start = time.monotonic()
        assert not readable(pipe[0], 0.1)
        assert 0.1 <= time.monotonic() - start < 5 and heard
        late = threading.Timer(0.05, os.write, (pipe[1], b"x"))
        late.start()
        assert readable(pipe[0])
        late.join()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_an_exception_of_a_signal_handler_comes_through(pipe):
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    before = signal.signal(signal.SIGALRM, lambda *_: 1 // 0)
    try:
        with pytest.raises(ZeroDivisionError):
            readable(pipe[0])
    finally:
        signal.signal(signal.SIGALRM, before)
