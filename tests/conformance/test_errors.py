"""Failures of tasks: the user's own class and RayTaskError at once, the first cause, the remote
traceback, and never a hang.
"""

import errno
import subprocess
import sys
import threading

import numpy as np
import pytest
from shapes import NeedsArguments

import ray_lite as ray
from ray_lite import exceptions

pytestmark = pytest.mark.usefixtures("ray_session")


def failure_of(function, *arguments, **options):
    """The exception that `get` raises for a task that runs `function`."""
    remote = ray.remote(**options)(function) if options else ray.remote(function)
    with pytest.raises(BaseException) as caught:
        ray.get(remote.remote(*arguments), timeout=30)
    assert isinstance(caught.value, exceptions.RayTaskError), repr(caught.value)
    return caught.value


def raiser(error):
    def raises():
        raise error

    return raises


def test_the_tree():
    for name in (
        "RayTaskError",
        "WorkerCrashedError",
        "RayActorError",
        "GetTimeoutError",
        "TaskCancelledError",
        "ObjectStoreFullError",
        "ObjectLostError",
        "DeadlockError",
        "SerializationError",
        "ForkedError",
        "RaySystemError",
    ):
        cls = getattr(exceptions, name)
        assert issubclass(cls, exceptions.RayError) and issubclass(cls, Exception), name
    assert issubclass(exceptions.SerializationError, TypeError)
    assert ray.exceptions is exceptions


ORDINARY = [
    ValueError("v"),
    KeyError("k"),
    ZeroDivisionError("z"),
    AssertionError("a"),
    RuntimeError("r"),
    NotImplementedError("n"),
    TypeError("t"),
    AttributeError("at"),
    LookupError("l"),
    TimeoutError("to"),
    MemoryError("m"),
    RecursionError("rc"),
    UnicodeDecodeError("utf-8", b"x\xff", 1, 2, "bad byte"),
    OSError(errno.ENOENT, "missing"),
    ImportError("i", name="mod"),
    SyntaxError("s"),
    Exception("plain"),
    subprocess.CalledProcessError(3, "cmd"),
]


def test_both_classes_at_once():
    for error in ORDINARY:
        got = failure_of(raiser(error))
        assert isinstance(got, type(error))
        assert type(got.cause) is type(error) and got.cause.args == error.args


def test_the_text_is_the_remote_traceback():
    def deep(n):
        if n == 0:
            raise ValueError("at the bottom")
        deep(n - 1)

    def named_task():
        deep(3)

    got = failure_of(named_task)
    text = str(got)
    assert "named_task" in text and "deep" in text and "ValueError: at the bottom" in text
    assert "test_errors.py" in text and "Traceback" in text
    assert "at the bottom" in str(got.__cause__)


def test_the_remote_traceback_names_files_and_lines():
    """Of functions that travel by value, too: cloudpickle itself leaves their file out."""
    def outer():
        def inner():
            raise ValueError("here")

        inner()

    with pytest.raises(ValueError) as caught:
        ray.get(ray.remote(outer).remote())
    text = caught.value.remote_traceback
    assert text.count(f'File "{__file__}", line ') == 2 and 'raise ValueError("here")' in text


def test_attributes_of_the_users_exception():
    class Coded(Exception):
        def __init__(self, message, code):
            super().__init__(message)
            self.code = code

    got = failure_of(raiser(OSError(errno.ENOENT, "missing", "file.txt")))
    assert (got.errno, got.strerror, got.filename) == (errno.ENOENT, "missing", "file.txt")

    def fails():
        raise Coded("text", 7)

    got = failure_of(fails)
    assert isinstance(got, Coded) and got.code == 7 and "text" in str(got)
    assert failure_of(raiser(subprocess.CalledProcessError(3, "cmd"))).returncode == 3


def test_required_arguments():
    def fails():
        raise NeedsArguments("one", "two")

    got = failure_of(fails)
    assert isinstance(got, NeedsArguments) and "one and two" in str(got)


def unpicklable():
    class Locked(Exception):
        def __init__(self, text):
            super().__init__(text)
            self.lock = threading.Lock()

    class ReduceRaises(Exception):
        def __reduce_ex__(self, protocol):
            raise RuntimeError("no pickle of me")

    class LoadRaises(Exception):
        def __reduce__(self):
            return int, ("not a number",)

    class LockInArguments(Exception):
        def __init__(self, text):
            super().__init__(text, threading.Lock())

    class Final(Exception):
        def __init_subclass__(cls):
            raise TypeError("final")

    class Strict(type):
        def __call__(cls, *arguments, **named):
            if named.pop("secret", None) != "word":
                raise TypeError("factory only")
            return super().__call__(*arguments, **named)

    class FactoryOnly(Exception, metaclass=Strict):
        def __init__(self, text):
            super().__init__(text)

    return [Locked, ReduceRaises, LoadRaises, LockInArguments, Final], FactoryOnly


def test_exceptions_that_cannot_travel():
    classes, factory_only = unpicklable()
    for cls in classes:

        def fails(cls=cls):
            raise cls("the message")

        got = failure_of(fails)
        assert cls.__name__ in str(got) and "the message" in str(got), cls

    def by_factory():
        raise factory_only("the message", secret="word")

    assert "the message" in str(failure_of(by_factory))


def test_exceptions_whose_text_fails():
    class NoText(Exception):
        def __str__(self):
            raise RuntimeError("no text")

        __repr__ = __str__

    assert "NoText" in str(failure_of(raiser(NoText())))
    assert "NoText" in str(failure_of(lambda: (_ for _ in ()).throw(NoText("x"))))


SPECIAL = [
    StopIteration("value"),
    StopAsyncIteration("a"),
    SystemExit(3),
    SystemExit("why"),
    KeyboardInterrupt("typed"),
    GeneratorExit("g"),
    BaseException("base"),
]


def test_what_must_not_escape_as_itself():
    """Raised as themselves these would end a loop or the driver; they come as a plain RayTaskError."""
    for cause in SPECIAL:
        got = failure_of(raiser(cause))
        assert type(got) is exceptions.RayTaskError
        assert type(got.cause) is type(cause) and got.cause.args == cause.args
        assert type(cause).__name__ in str(got)


def test_sys_exit_does_not_end_the_worker():
    import os

    f = ray.remote(lambda: sys.exit(5))
    pid = ray.remote(os.getpid)
    for _ in range(5):
        with pytest.raises(exceptions.RayTaskError) as caught:
            ray.get(f.remote())
        assert caught.value.cause.code == 5
    assert len(set(ray.get([pid.remote() for _ in range(20)]))) <= 2


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with 3.11")
def test_exception_groups():
    def fails():
        raise ExceptionGroup("several", [ValueError("one"), KeyError("two")])  # noqa: F821 (3.10)

    got = failure_of(fails)
    assert isinstance(got, ExceptionGroup)  # noqa: F821
    assert [type(e) for e in got.exceptions] == [ValueError, KeyError]
    assert "several" in str(got) and "one" in str(got) and "two" in str(got)

    def base_group():
        raise BaseExceptionGroup("mixed", [KeyboardInterrupt(), ValueError("v")])  # noqa: F821

    got = failure_of(base_group)
    assert type(got) is exceptions.RayTaskError and "mixed" in str(got)


def test_a_failed_argument_fails_the_task_with_the_first_cause(gate):
    arrive = gate.arrive

    @ray.remote
    def first():
        raise ValueError("first cause")

    @ray.remote
    def then(*arguments):
        arrive("ran")

    for failed in (then.remote(first.remote()), then.remote(then.remote(then.remote(1, first.remote())), 2)):
        with pytest.raises(ValueError, match="first cause") as caught:
            ray.get(failed)
        assert isinstance(caught.value, exceptions.RayTaskError)
        assert type(caught.value.cause) is ValueError, "one layer, however long the chain"
        assert str(caught.value).count("ValueError: first cause") == 1
    assert gate.arrived("ran") == [], "the tasks behind it have not run"


def test_a_failure_that_passes_through_a_get_keeps_one_layer():
    @ray.remote
    def first():
        raise ValueError("first cause")

    @ray.remote
    def through(depth):
        return ray.get(through.remote(depth - 1) if depth else first.remote())

    for depth in (0, 3):
        with pytest.raises(ValueError, match="first cause") as caught:
            ray.get(through.remote(depth))
        assert type(caught.value.cause) is ValueError
        assert isinstance(caught.value, exceptions.RayTaskError)


def test_a_task_may_handle_a_childs_failure():
    @ray.remote
    def parent():
        try:
            ray.get(ray.remote(lambda: 1 / 0).remote())
        except ZeroDivisionError as error:
            return isinstance(error, exceptions.RayTaskError)

    assert ray.get(parent.remote()) is True


def test_every_result_of_a_failed_task_fails():
    @ray.remote(num_return_vals=3)
    def fails():
        raise ValueError("all three")

    for one in fails.remote():
        with pytest.raises(ValueError, match="all three"):
            ray.get(one)


def test_chained_causes_are_in_the_text():
    def fails():
        try:
            {}["missing"]
        except KeyError as error:
            raise ValueError("wrapped") from error

    text = str(failure_of(fails))
    assert "KeyError: 'missing'" in text and "direct cause" in text and "ValueError: wrapped" in text


def test_long_and_odd_messages():
    assert "x" * 1000 in str(failure_of(raiser(ValueError("x" * 1_000_000))))
    assert "日本\n語\0\udc80" in str(failure_of(raiser(ValueError("日本\n語\0\udc80"))))
    assert failure_of(raiser(ValueError())).cause.args == ()


def test_a_failure_holds_no_views(statistics, wait_until):
    """The frames of the traceback would keep the worker's arrays alive."""

    @ray.remote
    def fails(array):
        derived = array[1:]
        raise ValueError(f"{len(derived)}")

    stored = ray.put(np.zeros(500_000))
    with pytest.raises(ValueError):
        ray.get(fails.remote(stored))
    before = statistics().bytes_used
    del stored
    wait_until(lambda: statistics().bytes_used <= before - 4_000_000, what="the return of the array's bytes")


def test_a_result_that_cannot_be_loaded():
    class Trap:
        def __reduce__(self):
            return int, ("bad load",)

    with pytest.raises(ValueError, match="bad load"):
        ray.get(ray.remote(lambda: Trap()).remote(), timeout=30)
    assert ray.get(ray.put(1)) == 1


def test_a_fetched_failure_is_never_printed(run_script):
    done = run_script("""
        import time
        import ray_lite as ray
        ray.init(num_cpus=2)
        for _ in range(20):
            try:
                ray.get(ray.remote(lambda: 1 / 0).remote())
            except ZeroDivisionError:
                pass
        time.sleep(0.8)     # longer than the background report waits for a get
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_uncaught_failure_ends_the_driver_with_the_remote_text(run_script):
    done = run_script("""
        import ray_lite as ray
        ray.init(num_cpus=1)

        @ray.remote
        def broken():
            raise LookupError("what went wrong")

        ray.get(broken.remote())
    """)
    assert done.returncode == 1
    assert "broken" in done.stderr and "LookupError: what went wrong" in done.stderr
