"""signal_watch.py: what one task changes about signals meets neither the next task nor one that waits."""

import os
import signal
import time

import pytest

import ray_lite as ray

TIMERS = {signal.ITIMER_REAL: signal.SIGALRM, signal.ITIMER_VIRTUAL: signal.SIGVTALRM, signal.ITIMER_PROF: signal.SIGPROF}


def state():
    """All that a task could change."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    wakeup_fd = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(wakeup_fd)
    handlers = {number: getattr(handler := signal.getsignal(number), "__qualname__", handler)
                for number in signal.valid_signals()}
    return [signal.getitimer(which) != (0, 0) for which in TIMERS], mask, wakeup_fd, handlers


def with_timers():
    for which in TIMERS:
        signal.setitimer(which, 0.05, 0.05)


def with_pickled_functions():
    """`setitimer` and `alarm` are pickled as functions of `_signal`."""
    setitimer(signal.ITIMER_VIRTUAL, 0.05)
    alarm(1)


setitimer, alarm = signal.setitimer, signal.alarm
with_pickled_functions.__module__ = "__main__"


def with_handlers():
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM, signal.SIGRTMAX - 2):
        signal.signal(number, print)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def with_a_mask():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR2])


def with_a_wakeup_fd():
    os.set_blocking(1, False)
    signal.set_wakeup_fd(1, warn_on_full_buffer=False)


def with_a_strike_at_the_end():
    """Its handler raises when the task has returned, or never."""
    def strike(number, frame):
        raise TimeoutError("struck")

    signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, 1e-6, 0.001)


ALL = [with_timers, with_pickled_functions, with_handlers, with_a_mask, with_a_wakeup_fd, with_a_strike_at_the_end]


def spend():
    """Time on the clock and on the processor, in which a timer would strike."""
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        pass
    return state()


@pytest.mark.parametrize("change", ALL)
@pytest.mark.parametrize("how", ["returns", "raises", "is retried"])
def test_the_next_task_meets_nothing_of_it(fresh, worker_pids, change, how):
    ray.init(num_cpus=1, driver_mode=ray.SILENT_MODE)
    before, pids = ray.get(ray.remote(state).remote()), worker_pids()

    def task():
        if how != "is retried" or ray._core.current_attempt() == 1:
            change()
        if how == "raises" or how == "is retried" and ray._core.current_attempt() == 1:
            raise LookupError

    ids = [ray.remote(max_retries=1, retry_exceptions=[LookupError])(task).remote() if how == "is retried"
           else ray.remote(task).remote()]
    try:
        ray.get(ids)
    except (LookupError, TimeoutError):
        pass
    assert ray.get(ray.remote(spend).remote()) == before
    assert set(pids) <= set(worker_pids()), "none was killed"


@pytest.mark.parametrize("change", ALL[:5])
def test_a_waiting_task_gets_its_own_back(fresh, change):
    ray.init(num_cpus=1)

    def outer():
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
        before = state()
        pid = ray.get(ray.remote(lambda: (change(), os.getpid())[1]).remote())
        return pid == os.getpid(), state() == before, spend() == before

    before = ray.get(ray.remote(state).remote())
    assert ray.get(ray.remote(outer).remote()) == (True, True, True)
    assert ray.get(ray.remote(state).remote()) == before


def test_a_timer_strikes_the_wait_and_no_inline_task(fresh):
    ray.init(num_cpus=1)

    def outer():
        def strike(number, frame):
            raise TimeoutError

        signal.signal(signal.SIGALRM, strike)
        slow = ray.remote(lambda: (time.sleep(1), os.getpid())[1]).remote()
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            ray.get(slow)
        except TimeoutError:
            return ray.get(slow) != os.getpid()

    assert ray.get(ray.remote(outer).remote()) is True


def test_threads_change_no_mask_of_the_task(ray_session):
    def task():
        import threading

        one = threading.Thread(target=with_a_mask)
        one.start()
        one.join()
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])

    before = ray.get(ray.remote(state).remote())
    ray.get(ray.remote(task).remote())
    assert ray.get(ray.remote(state).remote())[2] == before[2]


def test_signal_still_behaves(ray_session):
    def task():
        before = signal.signal(signal.SIGUSR1, signal.SIG_IGN), signal.getsignal(signal.SIGUSR1)
        for wrong in (lambda: signal.signal(0, print), lambda: signal.signal(signal.SIGUSR1, 5),
                      lambda: signal.setitimer(99, 1), lambda: signal.alarm("x")):
            with pytest.raises((ValueError, TypeError, OSError)):
                wrong()
        return before, signal.alarm(100), signal.alarm(0) > 90, signal.setitimer.__name__

    assert ray.get(ray.remote(task).remote()) == ((signal.SIG_DFL, signal.SIG_IGN), 0, True, "setitimer")
