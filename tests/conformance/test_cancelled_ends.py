"""How a cancelled task ends: each row of policy/attempt_ends.py, by real tasks; and marks that come in between."""

import os
import signal
import time

import pytest

import ray_lite as ray
from ray_lite import _core

pytestmark = pytest.mark.usefixtures("ray_session")
Cancelled = ray.exceptions.TaskCancelledError


class Flaky(Exception):
    pass


@pytest.fixture
def cancelled(gate, wait_until):
    """`cancelled(then, **options)`: the id of a task that swallows its cancellation, which comes once, then calls `then`."""
    arrive = gate.arrive

    def start(then, recursive=False, **options):
        @ray.remote(**{"num_cpus": 1, **options})
        def swallows():
            try:
                arrive("begun")
                time.sleep(1000)
            except Cancelled:
                return then()

        x = swallows.remote()
        wait_until(lambda: gate.arrived("begun"))
        assert ray.cancel(x, recursive=recursive)
        return x

    return start


def fails():
    raise Flaky("at the end")


def test_a_value_stands(cancelled):
    assert ray.get(cancelled(lambda: 5, retry_exceptions=True), timeout=10) == 5


@pytest.mark.parametrize("options", [{}, {"retry_exceptions": KeyError}, {"retry_exceptions": Flaky, "max_retries": 0}])
def test_an_error_after_which_it_would_not_have_run_again_stands(cancelled, options):
    with pytest.raises(Flaky, match="at the end"):
        ray.get(cancelled(fails, **options), timeout=10)


@pytest.mark.parametrize("options", [{"retry_exceptions": Flaky}, {"retry_exceptions": True, "max_calls": 1}])
def test_an_error_after_which_it_would_have_run_again_is_named(cancelled, gate, options):
    with pytest.raises(Cancelled, match=r"(?s)cancelled while it ran; its last attempt failed:.*Flaky: at the end") as caught:
        ray.get(cancelled(fails, **options), timeout=10)
    assert not isinstance(caught.value, Flaky) and len(gate.arrived("begun")) == 1


@pytest.mark.parametrize("dies, how", [
    (lambda: os._exit(3), "ended itself with exit code 3"),
    (lambda: os.kill(os.getpid(), signal.SIGSEGV), "was killed by signal 11"),
    (lambda: os.kill(os.getpid(), signal.SIGKILL), "was killed by signal 9"),
])  # fmt: skip
def test_the_death_of_its_worker_is_told(cancelled, gate, dies, how):
    with pytest.raises(Cancelled, match=f"cancelled while it ran; the worker .*{how}"):
        ray.get(cancelled(dies, max_retries=3), timeout=10)
    assert len(gate.arrived("begun")) == 1


def test_a_failed_argument_comes_first(gate, wait_until):
    arrive, wait = gate.arrive, gate.wait

    class Slow:
        def __reduce__(self):
            return lambda: (arrive("loading"), wait()), ()

    failed = ray.remote(fails).remote()
    ray.wait([failed])
    x = ray.remote(retry_exceptions=True)(lambda *x: None).remote(Slow(), failed)
    wait_until(lambda: gate.arrived("loading"))
    assert ray.cancel(x)
    gate.open()
    with pytest.raises(Flaky, match="at the end"):
        ray.get(x, timeout=10)


def test_an_error_while_arguments_are_loaded_is_one_of_the_attempt(gate, wait_until):
    arrive, wait = gate.arrive, gate.wait

    class Slow:
        def __reduce__(self):
            return lambda: (arrive(f"attempt{ray.get_attempt_number()}"), wait(), 1 // 0), ()

    x = ray.remote(retry_exceptions=True)(lambda x: None).remote(Slow())
    wait_until(lambda: gate.arrived("attempt"))
    assert ray.cancel(x)
    gate.open()
    with pytest.raises(Cancelled, match=r"(?s)its last attempt failed:.*ZeroDivisionError"):
        ray.get(x, timeout=10)
    assert not gate.arrived("attempt2")


def test_a_mark_between_the_error_and_the_next_attempt(gate, wait_until):
    """While the worker asks whether the error is one of those, the task counts as not cancelled yet."""
    arrive, wait = gate.arrive, gate.wait

    class Asked(type):
        def __instancecheck__(cls, error):
            arrive("asked")
            wait()
            return True

    class Slow(Exception, metaclass=Asked):
        pass

    @ray.remote(retry_exceptions=[Slow])
    def failing():
        arrive("begun")
        raise KeyError

    x = failing.remote()
    wait_until(lambda: gate.arrived("asked"))
    assert ray.cancel(x)
    gate.open()
    with pytest.raises(Cancelled, match="cancelled before it began again"):
        ray.get(x, timeout=10)
    assert len(gate.arrived("begun")) == 1


def test_a_task_that_was_to_run_again_and_is_cancelled_in_the_queue(gate, wait_until, statistics):
    """Its worker was lost, and others had come before it."""
    arrive, wait = gate.arrive, gate.wait

    @ray.remote(num_cpus=2)
    def lost():
        arrive("begun")
        wait()

    @ray.remote(num_cpus=2)
    def holds():
        arrive(f"holds-{os.getpid()}-")
        wait()

    x = lost.remote()
    [name] = wait_until(lambda: gate.arrived("begun"))
    y = holds.remote()
    os.kill(int(name.split(".")[1]), signal.SIGKILL)
    wait_until(lambda: gate.arrived("holds"))
    wait_until(lambda: statistics().ready, what="the lost task is queued again, after its worker's last words")
    assert ray.cancel(x)
    with pytest.raises(Cancelled, match="cancelled before it began again"):
        ray.get(x, timeout=10)
    gate.open()
    assert ray.get(y, timeout=10) is None and len(gate.arrived("begun")) == 1


def test_an_inline_task_ends_by_the_same_table(gate, wait_until):
    """What waits for it gets the cancellation as any failure, and goes on."""
    arrive = gate.arrive

    @ray.remote(retry_exceptions=True)
    def child():
        try:
            arrive(f"begun-{os.getpid()}-")
            time.sleep(1000)
        except Cancelled:
            raise ValueError("at the end") from None

    @ray.remote(num_cpus=2)  # all: nobody else can begin the child before
    def parent():
        x = child.remote()
        arrive(f"id-{x.hex()}-{os.getpid()}-")
        try:
            ray.get(x)
        except Cancelled as error:
            return str(error)

    y = parent.remote()
    [note], [name] = wait_until(lambda: gate.arrived("begun")), wait_until(lambda: gate.arrived("id"))
    assert note.split("-")[1] == name.split("-")[2], "it runs inline"
    assert ray.cancel(ray.ObjectID.from_hex(name.split("-")[1]))
    text = ray.get(y, timeout=10)
    assert "while it ran; its last attempt failed" in text and "ValueError: at the end" in text
    assert len(gate.arrived("begun")) == 1


def test_the_failure_of_a_cancelled_child_is_one_to_retry(gate, wait_until):
    """The parent was not cancelled."""
    arrive = gate.arrive

    @ray.remote(num_cpus=0, inline=False)
    def child():
        arrive("begun")
        time.sleep(1000)

    @ray.remote(num_cpus=0, retry_exceptions=Cancelled, max_retries=1)
    def parent():
        if ray.get_attempt_number() > 1:
            return "again"
        x = child.remote()
        arrive(f"id-{x.hex()}-")
        return ray.get(x)

    y = parent.remote()
    wait_until(lambda: gate.arrived("begun"))
    [name] = gate.arrived("id")
    assert ray.cancel(ray.ObjectID.from_hex(name.split("-")[1]))
    assert ray.get(y, timeout=10) == "again"


def test_recursive_ends_what_a_child_submits_while_children_are_searched(gate, wait_until, monkeypatch, statistics):
    """The search has passed, and the child is not marked yet: a grandchild must not escape."""
    arrive, wait = gate.arrive, gate.wait
    grandchild = ray.remote(num_cpus=0)(lambda: (arrive("grandchild"), time.sleep(1000)))

    @ray.remote(num_cpus=0, inline=False)
    def child():
        arrive("child")
        wait()
        grandchild.remote()
        arrive("submitted")
        time.sleep(1000)

    @ray.remote(num_cpus=0)
    def parent():
        return ray.get(child.remote())

    search = _core.descendants

    def searched(*arguments):
        found = search(*arguments)
        if _core.cancel_count(ray.session.current().region):
            gate.open()
            wait_until(lambda: gate.arrived("submitted"))
        return found

    x = parent.remote()
    wait_until(lambda: gate.arrived("child"))
    monkeypatch.setattr(_core, "descendants", searched)
    assert ray.cancel(x, recursive=True)
    with pytest.raises(Cancelled):
        ray.get(x, timeout=10)
    wait_until(lambda: statistics().tasks == 0, what="none of them is left")
