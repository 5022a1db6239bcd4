"""`remote`: what may be decorated, what the handle shows, what `.remote` returns and refuses, what a call
captures.
"""

import functools
import inspect
import math
import operator

import numpy as np
import pytest
from shapes import everything

import ray_lite as ray

pytestmark = pytest.mark.usefixtures("ray_session")


def test_forms_of_the_decorator():
    @ray.remote
    def plain(x):
        return x + 1

    @ray.remote(num_return_vals=2)
    def pair(x):
        return x, -x

    def original(x):
        return x * 2

    assert ray.get(plain.remote(1)) == 2
    assert ray.get(pair.remote(1)) == [1, -1]
    assert ray.get(ray.remote(original).remote(4)) == 8
    assert ray.get(ray.remote(num_cpus=1)(original).remote(5)) == 10
    assert original(6) == 12, "the call form leaves the original alone"


CALLABLES = [
    (len, ["abc"], 3),
    (sorted, [[2, 1]], [1, 2]),
    (math.sqrt, [9.0], 3.0),
    (operator.add, [1, 2], 3),
    (functools.partial(pow, 2), [5], 32),
    (lambda *a: a, [1, 2], (1, 2)),
    (str.upper, ["x"], "X"),
    (functools.partial(sorted, reverse=True), [[1, 2]], [2, 1]),
]


def test_other_callables():
    for function, arguments, result in CALLABLES:
        assert ray.get(ray.remote(function).remote(*arguments)) == result


def test_cython_function():
    function = np.random.default_rng
    assert type(function).__name__ == "cython_function_or_method"
    there = ray.get(ray.remote(function).remote(5))
    assert there.random() == function(5).random()


@pytest.mark.parametrize("wrong", [42, None, "f", [len]], ids=repr)
def test_what_is_no_function(wrong):
    with pytest.raises(TypeError):
        ray.remote(wrong)


def test_wrong_uses_of_the_decorator():
    with pytest.raises((TypeError, ValueError)):
        ray.remote()
    with pytest.raises(TypeError):
        ray.remote(lambda: 1, num_cpus=1)
    with pytest.raises(TypeError):
        ray.remote(lambda: 1, lambda: 2)


def test_calling_directly_names_the_way():
    @ray.remote
    def f():
        return 1

    with pytest.raises(TypeError, match=r"\.remote"):
        f()


def test_the_original_shows_through():
    def original(a, b: int = 2, *rest, key, **more) -> str:
        """What it is for."""

    f = ray.remote(original)
    assert (f.__name__, f.__doc__, f.__module__) == ("original", "What it is for.", __name__)
    assert f.__qualname__ == original.__qualname__
    assert f.__wrapped__ is original
    assert inspect.signature(f.remote) == inspect.signature(original)


def test_kinds_of_return():
    @ray.remote
    def nothing():
        pass

    assert isinstance(nothing.remote(), ray.ObjectID)
    assert ray.get(nothing.remote()) is None

    @ray.remote(num_return_vals=3)
    def three():
        return [1, "two", None]

    ids = three.remote()
    assert type(ids) is list and all(isinstance(i, ray.ObjectID) for i in ids) and len(set(ids)) == 3
    assert ray.get(ids) == [1, "two", None]

    @ray.remote
    def pair():
        return 1, 2

    assert ray.get(pair.remote()) == (1, 2), "one return value stays whole"


def test_zero_returns_still_runs(gate, wait_until):
    arrive = gate.arrive

    @ray.remote(num_return_vals=0)
    def effect():
        arrive("ran")

    assert effect.remote() is None
    wait_until(lambda: gate.arrived("ran"), what="the task without a result")


def test_too_few_results_fail_the_task():
    @ray.remote(num_return_vals=2)
    def wrong(result):
        return result

    for result in ((1,), 5, None):
        with pytest.raises(ray.exceptions.RayTaskError, match="wrong"):
            ray.get(wrong.remote(result)[1])


def test_a_task_runs_though_nobody_keeps_its_id(gate, wait_until):
    arrive = gate.arrive

    @ray.remote
    def effect(i):
        arrive(f"ran{i}")

    for i in range(20):
        effect.remote(i)
    wait_until(lambda: len(gate.arrived("ran")) == 20, what="all twenty")


def test_remote_never_waits_for_execution(gate):
    wait = gate.wait

    @ray.remote
    def held(x):
        wait()
        return x

    ids = [held.remote(i) for i in range(200)]
    assert ray.wait(ids, num_returns=1, timeout=0) == ([], ids)
    gate.open()
    assert ray.get(ids) == list(range(200))


CALLS = [
    ((1, 2), dict(key=4)),
    ((1,), dict(b=2, key=4)),
    ((1, 2, 30, 31, 32), dict(key=4, other=5)),
    ((1, 2), dict(key=4, extra=6, more=7)),
    ((1,), dict(b=2, c=9, key=4, a="into more")),
]


def test_all_python_signatures():
    for positional, named in CALLS:
        assert ray.get(ray.remote(everything).remote(*positional, **named)) == everything(
            *positional, **named
        )


def test_defaults_travel():
    default = np.arange(3)

    @ray.remote
    def f(x, array=default, *, scale=10):
        return (x + array * scale).tolist()

    assert ray.get(f.remote(1)) == [1, 11, 21]
    assert ray.get(f.remote(1, scale=0)) == [1, 1, 1]


WRONG_CALLS = [((), {}), ((1,), {}), ((1, 2), {}), ((1, 2, 3), dict(b=2, key=4)), ((), dict(a=1, b=2, key=4))]


def test_signature_errors_come_at_the_call(statistics):
    for positional, named in WRONG_CALLS:
        f = ray.remote(everything)
        tasks = statistics().tasks
        with pytest.raises(TypeError):
            f.remote(*positional, **named)
        assert statistics().tasks == tasks


def test_surplus_and_unknown_arguments():
    f = ray.remote(lambda x: x)
    for wrong in (lambda: f.remote(1, 2), lambda: f.remote(1, y=2), lambda: f.remote(y=2)):
        with pytest.raises(TypeError):
            wrong()


def test_a_redefined_function_is_a_new_one():
    @ray.remote
    def f():
        return 1

    first, one = f, f.remote()

    @ray.remote
    def f():
        return 2

    assert ray.get([one, f.remote(), first.remote(), f.remote()]) == [1, 2, 1, 2]


def test_one_source_many_closures():
    def make(n):
        @ray.remote
        def f():
            return n

        return f

    functions = [make(n) for n in range(50)]
    assert ray.get([f.remote() for f in functions]) == list(range(50))
    assert ray.get([f.remote() for f in reversed(functions)]) == list(reversed(range(50)))


def test_captured_at_the_first_call():
    scale = [10]

    @ray.remote
    def f():
        return scale[0], helper()

    def helper():  # defined after the decoration, before the first call
        return "help"

    assert ray.get(f.remote()) == (10, "help")
    scale[0] = 20
    assert ray.get(f.remote()) == (10, "help")
    assert ray.get(ray.remote(f.__wrapped__).remote()) == (20, "help"), "re-decorated: a new function"


def test_recursion_of_the_plain_function():
    @ray.remote
    def factorial(n):
        def inner(k):
            return 1 if k == 0 else k * inner(k - 1)

        return inner(n)

    assert ray.get(factorial.remote(20)) == math.factorial(20)


def test_handles_travel():
    @ray.remote
    def double(x):
        return 2 * x

    @ray.remote
    def apply(function, x):
        return ray.get(function.remote(x))

    @ray.remote
    def closes_over(x):
        return ray.get([double.remote(x), {"d": double}["d"].remote(x + 1)])

    assert ray.get(apply.remote(double, 4)) == 8
    assert ray.get(closes_over.remote(1)) == [2, 4]
    assert ray.get(apply.remote(ray.get(ray.put(double)), 5)) == 10


def test_a_large_captured_array_is_exported_once(statistics):
    captured = np.ones(2_000_000)  # 16 MB

    @ray.remote
    def total(i):
        return captured.sum() + i

    before = statistics().bytes_used
    assert ray.get([total.remote(i) for i in range(20)]) == [2_000_000 + i for i in range(20)]
    assert statistics().bytes_used - before < 3 * captured.nbytes


def test_methods_of_a_carried_object():
    class Accumulator:
        """Callable objects are functions too, once they are bound."""

        def __init__(self, start):
            self.start = start

        def add(self, x):
            return self.start + x

    assert ray.get(ray.remote(lambda a, x: a.add(x)).remote(Accumulator(5), 6)) == 11
    assert ray.get(ray.remote(functools.partial(Accumulator(1).add)).remote(2)) == 3


def test_wrappers_that_add_or_take_arguments(ray_session):
    """The signature that shows is the wrapped function's; calls must satisfy the wrapper's."""
    def injecting(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function("injected", *args, **kwargs)

        return wrapper

    def shouting(function):
        @functools.wraps(function)
        def wrapper(*args, loud=False):
            return function(*args).upper() if loud else function(*args)

        return wrapper

    @ray.remote
    @injecting
    def two(first, second):
        return first, second

    @ray.remote
    @shouting
    def say(word):
        return word

    assert list(inspect.signature(two).parameters) == ["first", "second"]
    assert ray.get([two.remote(2), say.remote("a", loud=True), say.remote("a")]) == [("injected", 2), "A", "a"]
    with pytest.raises(TypeError, match="quiet"):
        say.remote("a", quiet=True)


def test_attributes_of_functions(ray_session):
    def f():
        return 1

    f.colour, f.options, f._submit = "red", "mine", "mine"
    handle = ray.remote(f)
    assert handle.colour == "red"
    assert ray.get([handle.options(num_cpus=0.5).remote(), handle._submit()]) == [1, 1]
