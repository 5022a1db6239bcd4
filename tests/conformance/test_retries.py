"""retry_exceptions, attempt numbers, max_calls."""

import importlib
import os
import sys
import threading

import pytest

import ray_lite as ray

pytestmark = pytest.mark.usefixtures("ray_session")


class Flaky(Exception):
    pass


class Worse(Flaky):
    pass


def fails_until(attempt, error):
    n = ray.get_attempt_number()
    if n < attempt:
        raise error(f"attempt {n}")
    return n


@pytest.mark.parametrize("chosen", [Flaky, [KeyError, Flaky], True])
def test_a_chosen_exception_is_retried(chosen):
    f = ray.remote(max_retries=3, retry_exceptions=chosen)(fails_until)
    assert ray.get(f.remote(1, Flaky)) == 1
    assert ray.get(f.remote(4, Flaky)) == 4
    assert ray.get([f.remote(k % 4 + 1, Worse) for k in range(40)]) == [k % 4 + 1 for k in range(40)]


def test_when_the_attempts_are_used_up_the_last_error_is_raised():
    f = ray.remote(max_retries=2, retry_exceptions=Flaky)(fails_until)
    with pytest.raises(Flaky) as error:
        ray.get(f.remote(9, Flaky))
    assert error.value.args == ("attempt 3",) and error.value.attempts == 3
    assert "failed 3 times" in str(error.value)


@pytest.mark.parametrize("chosen", [False, [], KeyError])
def test_other_exceptions_are_results(chosen):
    f = ray.remote(retry_exceptions=chosen)(fails_until)
    with pytest.raises(Flaky, match="attempt 1"):
        ray.get(f.remote(9, Flaky))


def test_a_failed_argument_is_no_failure_of_the_task():
    seen = []
    bad = ray.remote(fails_until).remote(9, Flaky)
    f = ray.remote(retry_exceptions=True)(lambda x: seen.append(x))
    with pytest.raises(Flaky, match="attempt 1"):
        ray.get(f.remote(bad))


def test_nothing_is_left_of_a_failed_attempt():
    """Several returns, of which the second can't be pickled at first."""

    def several():
        return b"x" * 100_000, (lambda: 1) if ray.get_attempt_number() > 1 else threading.Lock()

    f = ray.remote(num_return_vals=2, retry_exceptions=True, max_retries=2)(several)
    one, other = f.remote()
    assert ray.get(one) == b"x" * 100_000 and ray.get(other)() == 1


def test_retries_of_a_child_that_runs_inline():
    child = ray.remote(retry_exceptions=Flaky, max_retries=5)(fails_until)
    parent = ray.remote(lambda n: ray.get(child.remote(n, Flaky)))
    assert ray.get([parent.remote(k % 5 + 1) for k in range(20)]) == [k % 5 + 1 for k in range(20)]


def test_attempts_after_a_kill_are_counted_too():
    def killed():
        if ray.get_attempt_number() < 3:
            os.kill(os.getpid(), 9)
        return ray.get_attempt_number()

    assert ray.get(ray.remote(max_retries=5)(killed).remote()) == 3
    assert ray.get_attempt_number() == 0


# ---------------------------------------------------------------- max_calls


def test_a_worker_ends_after_so_many_calls():
    f = ray.remote(max_calls=3)(lambda: os.getpid())
    pids = ray.get([f.remote() for _ in range(30)])
    assert max(pids.count(pid) for pid in pids) <= 3 and len(set(pids)) >= 10


def test_max_calls_counts_each_function_by_itself():
    f = ray.remote(max_calls=1)(lambda: os.getpid())
    other = ray.remote(lambda: os.getpid())
    assert len({ray.get(f.remote()) for _ in range(5)}) == 5
    assert len({ray.get(other.remote()) for _ in range(20)}) <= 2


def test_results_of_the_last_call_are_there(statistics, wait_until):
    f = ray.remote(max_calls=1, num_return_vals=2)(lambda k: (k, bytes(200_000)))
    for k in range(10):
        number, data = ray.get(f.remote(k))
        assert number == k and data == bytes(200_000)
    wait_until(lambda: statistics().workers <= 1, what="the workers have ended")


def test_inline_children_count_and_the_worker_ends_when_its_stack_is_empty():
    child = ray.remote(max_calls=2)(lambda: os.getpid())

    def parent():
        return os.getpid(), [ray.get(child.remote()) for _ in range(6)]

    pid, pids = ray.get(ray.remote(parent).remote())
    assert len(pids) == 6
    if pids.count(pid) >= 2:
        assert pid not in ray.get([child.remote() for _ in range(6)])


# ---------------------------------------------------------------- inline


def test_options_of_an_inline_task_are_its_own():
    """Those of the waiting one hold again after it: what is retried, and how many CPUs there are."""
    plain = ray.remote(lambda: os.environ["OMP_NUM_THREADS"])
    eager = plain.options(retry_exceptions=True)

    def parent(child, then):
        threads = ray.get(child.remote())
        if ray.get_attempt_number() < 3:
            raise Flaky(threads)
        return threads, os.environ["OMP_NUM_THREADS"], then

    retried = ray.remote(retry_exceptions=Flaky, num_cpus=2)(parent)
    assert ray.get(retried.remote(plain, 1)) == ("1", "2", 1)
    with pytest.raises(Flaky) as error:
        ray.get(ray.remote(parent).remote(eager, 1))
    assert error.value.attempts == 1
    assert ray.get(plain.remote()) == "1"


def test_max_calls_of_parents_that_run_others_inline():
    child = ray.remote(lambda: 1)
    parent = ray.remote(max_calls=1)(lambda: (ray.get(child.remote()), os.getpid())[1])
    assert len({ray.get(parent.remote()) for _ in range(5)}) == 5


def test_a_class_that_fails_when_it_is_asked():
    """The error is the task's own, and its worker goes on."""
    class Asked(type):
        def __instancecheck__(cls, error):
            raise SystemExit("asked")

    class Odd(Exception, metaclass=Asked):
        pass

    pid = ray.remote(os.getpid)
    pids = {ray.get(pid.remote()) for _ in range(20)}
    with pytest.raises(ZeroDivisionError) as caught:
        ray.get(ray.remote(retry_exceptions=[Odd])(lambda: 1 // 0).remote(), timeout=10)
    assert caught.value.attempts == 1
    assert {ray.get(pid.remote()) for _ in range(20)} & pids




@pytest.fixture
def only_here(monkeypatch, tmp_path):
    """An exception whose module every process finds, but only this one can import."""
    (tmp_path / "for_one_process.py").write_text(f"""
import os
if os.getpid() != {os.getpid()}:
    raise ModuleNotFoundError("not in this process")
class Gone(Exception):
    pass
""")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("for_one_process").Gone
    del sys.modules["for_one_process"]


def test_options_that_can_not_be_loaded(fresh, monkeypatch, only_here):
    """The failure is not judged by those of the task before, and nothing of the task stays for the one after it."""
    ray.shutdown()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    ray.init(num_cpus=2, max_workers=1)
    look = ray.remote(retry_exceptions=True, max_retries=2)(lambda: os.environ["OMP_NUM_THREADS"])
    gone = ray.remote(num_cpus=2, retry_exceptions=[only_here])(lambda: None)
    for _ in range(2):
        assert ray.get(look.remote(), timeout=10) == "1"
        with pytest.raises(ModuleNotFoundError) as caught:
            ray.get(gone.remote(), timeout=10)
        assert caught.value.attempts == 1
    assert ray.get(look.remote(), timeout=10) == "1"
