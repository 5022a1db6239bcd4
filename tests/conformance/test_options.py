"""Options of a remote function: checked at once, bound to the handle, overridden for one call; how CPUs
are handed out.
"""

import os
import threading
import time
from decimal import Decimal

import pytest

import ray_lite as ray

pytestmark = pytest.mark.usefixtures("ray_session")

WRONG = [
    (dict(num_return_vals=-1), ValueError),
    (dict(num_return_vals="2"), TypeError),
    (dict(num_return_vals=1.5), TypeError),
    (dict(num_cpus=-1), ValueError),
    (dict(num_cpus="1"), TypeError),
    (dict(num_cpus=float("nan")), ValueError),
    (dict(num_cpus=float("inf")), ValueError),
    (dict(max_retries=-1), ValueError),
    (dict(max_retries="3"), TypeError),
    (dict(max_retries=0.5), TypeError),
    (dict(inline="yes"), TypeError),
    (dict(writable_args=1), TypeError),
    (dict(num_cpu=1), TypeError),
    (dict(nonsense=1), TypeError),
]


def test_wrong_options_fail_at_decoration_and_at_the_override():
    f = ray.remote(lambda: 1)
    for options, error in WRONG:
        (name,) = options
        with pytest.raises(error, match=name):
            ray.remote(**options)(lambda: 1)
        with pytest.raises(error, match=name):
            f.options(**options).remote()


def test_documented_defaults_may_be_given():
    f = ray.remote(num_return_vals=1, num_cpus=1, num_gpus=0, max_calls=0, max_retries=3, inline=True, writable_args=False)(
        lambda: 5
    )
    assert ray.get(f.remote()) == 5


def test_options_override_one_call():
    @ray.remote
    def f():
        return 1, 2, 3

    three = f.options(num_return_vals=3)
    assert ray.get(three.remote()) == [1, 2, 3]
    assert ray.get(f.remote()) == (1, 2, 3), "the handle itself keeps its options"
    assert three.options(num_return_vals=0).remote() is None


def test_submit_overrides_one_call():
    @ray.remote
    def f(a=0, b=0):
        return a, b

    assert ray.get(f._submit()) == (0, 0)
    assert ray.get(f._submit([1])) == (1, 0)
    assert ray.get(f._submit((1,), {"b": 2})) == (1, 2)
    assert ray.get(f._submit(args=[1, 2], num_return_vals=2)) == [1, 2]
    assert ray.get(f._submit(args=None, kwargs={"a": 5}, num_cpus=2, num_gpus=None, resources=None)) == (5, 0)
    with pytest.raises(TypeError):
        f._submit([1, 2, 3])


def test_options_belong_to_the_handle():
    def f():
        return 1, 2

    one, two = ray.remote(f), ray.remote(num_return_vals=2)(f)
    for _ in range(2):
        assert ray.get(one.remote()) == (1, 2)
        assert ray.get(two.remote()) == [1, 2]


def test_a_demand_that_can_never_be_met():
    f = ray.remote(num_cpus=3)(lambda: 1)
    with pytest.raises(ValueError, match="2"):  # says what there is
        f.remote()
    assert ray.get(f.options(num_cpus=2).remote()) == 1
    with pytest.raises(ValueError):
        ray.remote(lambda: 1).options(num_cpus=2.5).remote()


def started(gate, number, wait_until):
    """Wait for `number` tasks to have started, and give any further one the chance to (wrongly) start
    as well.
    """
    wait_until(lambda: len(gate.arrived("in")) >= number, what=f"{number} starts")
    try:
        wait_until(lambda: len(gate.arrived("in")) > number, 0.2)
    except AssertionError:
        pass
    return len(gate.arrived("in"))


@pytest.mark.parametrize("num_cpus, at_once", [(1, 2), (0.5, 4), (2, 1), (1.5, 1), (0.25, 6)])
def test_cpus_bound_what_starts(gate, wait_until, num_cpus, at_once):
    wait, arrive = gate.wait, gate.arrive

    @ray.remote(num_cpus=num_cpus)
    def held(i):
        arrive("in")
        wait()
        return i

    ids = [held.remote(i) for i in range(6)]
    assert started(gate, at_once, wait_until) == at_once
    gate.open()
    assert ray.get(ids) == list(range(6))


def test_a_task_without_cpus_passes_busy_ones(gate, wait_until):
    wait, arrive = gate.wait, gate.arrive

    @ray.remote
    def held():
        arrive("in")
        wait()

    ids = [held.remote() for _ in range(4)]
    assert started(gate, 2, wait_until) == 2
    assert ray.get(ray.remote(num_cpus=0)(lambda: "free").remote(), timeout=20) == "free"
    gate.open()
    ray.get(ids)


def test_what_fits_is_not_blocked_by_what_does_not(gate, wait_until):
    wait, arrive = gate.wait, gate.arrive

    @ray.remote
    def held():
        arrive("in")
        wait()

    first = held.remote()
    assert started(gate, 1, wait_until) == 1
    wide = ray.remote(num_cpus=2)(lambda: "wide").remote()
    assert ray.get(ray.remote(lambda: "narrow").remote(), timeout=20) == "narrow"
    assert ray.wait([wide], timeout=0) == ([], [wide])
    gate.open()
    assert ray.get([first, wide]) == [None, "wide"]


def test_a_wide_task_is_not_starved():
    """A stream of small tasks always leaves one CPU busy; a task passed over for a second gets its turn."""

    @ray.remote
    def small():
        time.sleep(0.01)

    wide = ray.remote(num_cpus=2)(lambda: "wide").remote
    running = [small.remote() for _ in range(4)]
    pending, end = wide(), time.monotonic() + 12
    while not ray.wait([pending], timeout=0)[0]:
        assert time.monotonic() < end, "starved"
        _, running = ray.wait(running)
        running += [small.remote() for _ in range(6 - len(running))]
    assert ray.get(pending) == "wide"
    ray.get(running)


def test_inline_false_is_run_by_another_process():
    @ray.remote(inline=False)
    def child():
        return os.getpid()

    @ray.remote
    def parent():
        return os.getpid(), ray.get(child.remote())

    for one, other in ray.get([parent.remote() for _ in range(6)]):
        assert one != other


def test_options_are_safe_to_share_between_threads():
    f = ray.remote(lambda: (1, 2))
    results = []

    def use(n):
        for _ in range(50):
            got = f.options(num_return_vals=n).remote()
            results.append((n, ray.get(got)))

    threads = [threading.Thread(target=use, args=(n,)) for n in (1, 2) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 200
    assert all(value == ((1, 2) if n == 1 else [1, 2]) for n, value in results)


def test_amounts_of_any_kind(fresh):
    fresh.shutdown()
    with pytest.raises(ValueError, match="num_cpus"):
        fresh.init(num_cpus=1e15)
    fresh.init(num_cpus=1e9, shutdown_grace=1e300)
    assert fresh.get(fresh.remote(num_cpus=Decimal("0.5"))(lambda: 1).remote()) == 1
    fresh.shutdown()
    fresh.init(num_cpus=Decimal(2), shutdown_grace=Decimal(1))
