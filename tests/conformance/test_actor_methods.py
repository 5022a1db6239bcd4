"""Methods of actors: which attributes are methods, arguments, returns, coroutines."""

import asyncio
import collections.abc
import functools
import inspect
import threading
import time

import pytest
from counters import Late, Remote

import ray_lite as ray


def test_static_and_class_methods(actors):
    counter = Remote.remote()
    assert ray.get([counter.square.remote(3), counter.named.remote("!")]) == [9, "Counter!"]


def test_several_returns(actors):
    counter = Remote.remote(3)
    assert ray.get(counter.both.remote()) == [3, -3]
    assert counter.forget.remote() is None and ray.get(counter.get.remote()) == 0
    assert ray.get(counter.both.options(num_return_vals=1).remote()) == (0, 0)
    with pytest.raises(ValueError, match="must return a tuple or list of that many values"):
        ray.get(counter.both.options(num_return_vals=3).remote())


@pytest.mark.parametrize("args, options", [((), {}), ((2,), {}), ((), {"num_cpus": 1}), ((), {"num_return_vals": 1, "x": 1})])
def test_wrong_arguments_of_method(args, options):
    with pytest.raises(TypeError, match="method takes one option"):
        ray.method(*args, **options)


def test_options_of_a_method(actors):
    counter = Remote.remote()
    with pytest.raises(TypeError, match="'num_cpus' is unknown; methods have num_return_vals"):
        counter.add.options(num_cpus=1)
    with pytest.raises(ValueError, match="num_return_vals"):
        counter.add.options(num_return_vals=-1)


def test_a_method_that_raises_leaves_the_actor_alive(actors):
    counter = Remote.remote()
    with pytest.raises(KeyError, match="no"):
        ray.get(counter.fail.remote(KeyError("no")))
    assert ray.get(counter.get.remote()) == 100


def test_an_attribute_of_the_instance_hides_no_method(actors):
    class Hides:
        def __init__(self):
            self.value = 5

        def value(self):
            return "method"

    assert ray.get(ray.remote(Hides).remote().value.remote()) == "method"


@pytest.mark.parametrize("name, text", [
    ("nope", "Counter has no method 'nope'"), ("count", "Counter.count is no method"),
    ("doubled", "Counter.doubled is a property: write a method"), ("tripled", "Counter.tripled is a property"),
])
def test_what_is_no_method(actors, name, text):
    with pytest.raises(AttributeError, match=text):
        getattr(Remote.remote(), name)


def test_wrong_arguments_of_a_method(actors):
    counter = Remote.remote()
    with pytest.raises(TypeError, match=r"Counter\.add\.remote\(\): too many"):
        counter.add.remote(1, 2)
    with pytest.raises(TypeError, match="missing a required argument: 'x'"):
        counter.square.remote()
    with pytest.raises(TypeError, match=r"handle\.add\.remote"):
        counter.add()
    with pytest.raises(TypeError, match=r"handle\.method\.remote"):
        counter()


def test_special_methods(actors):
    class Special(dict):
        def __init__(self, *items):
            super().__init__(dict.fromkeys(items))
            self.made = True

        def __call__(self, x):
            return x + 1

        def __len__(self):
            return 42

        def __repr__(self):
            return "special"

        def _hidden(self):
            return "hidden"

    special = ray.remote(Special).remote("a", "b")
    assert ray.get([special.__call__.remote(1), special.__len__.remote(), special._hidden.remote()]) == [2, 42, "hidden"]
    assert ray.get(special.__repr__.remote()) == "special" and repr(special).startswith("Actor(")
    special.update.remote({"c": 1})
    assert sorted(ray.get(special.keys.remote())) == ["a", "b", "c"]
    ray.get(special.__init__.remote())
    assert "__init__" in dir(special)


def test_bound_late(actors):
    late = ray.remote(Late).remote()
    assert ray.get([late.square.remote(3), late.cached.remote(4)]) == [9, 4]


def test_coroutines(actors):
    class Async:
        def __init__(self):
            self.loops = set()

        async def hello(self, x):
            import asyncio

            self.loops.add(id(asyncio.get_running_loop()))
            await asyncio.sleep(0)
            return x

        def seen(self):
            return len(self.loops)

    hello = ray.remote(Async).remote()
    assert ray.get([hello.hello.remote(1), hello.hello.remote(2)]) == [1, 2] and ray.get(hello.seen.remote()) == 1


def test_what_a_method_shows(actors):
    counter = Remote.remote()
    assert str(inspect.signature(counter.add)) == "(by=1)" and counter.add.__doc__ == "Adds, and returns the sum."
    assert str(inspect.signature(counter.add.remote)) == "(by=1)" and counter.add.remote.__doc__ == counter.add.__doc__
    assert str(inspect.signature(counter.square)) == "(x)" and str(inspect.signature(counter.named)) == "(suffix)"
    assert {"add", "get", "square", "named", "both"} <= set(dir(counter)) and "doubled" not in dir(counter)
    assert repr(counter.add).startswith("<remote method Counter.add of actor ")


def test_generators_that_others_do_not_call(actors):
    class Base:
        def parameters(self):
            yield from (1, 2)

    class Iterates(collections.abc.Sequence, Base):
        def __getitem__(self, k):
            return [5, 6][k]

        def __len__(self):
            return 2

        def _each(self):
            yield from self

        async def __aenter__(self):
            return self

        def __call__(self):
            yield 1

        def sum(self):
            return sum(self) + sum(self._each()) + sum(self.parameters())

    iterates = ray.remote(Iterates).remote()
    assert ray.get(iterates.sum.remote()) == 25
    with pytest.raises(AttributeError, match="parameters is a generator function"):
        iterates.parameters  # noqa: B018
    assert not hasattr(iterates, "__iter__")


def test_what_can_be_called_besides_functions(actors):
    class Late:
        def __get__(self, instance, kind=None):
            return lambda x: (instance.base, x)

    class Calls:
        base = 5
        partly = staticmethod(functools.partial(pow, 2))  # Python 3.14 binds a bare one to the instance
        size = len
        late = Late()
        alias = list[int]

        class Inner:
            pass

    calls = ray.remote(Calls).remote()
    assert ray.get([calls.partly.remote(3), calls.size.remote("abc"), calls.late.remote(1)]) == [8, 3, (5, 1)]
    assert {"partly", "size", "late"} <= set(dir(calls)) and not {"alias", "Inner"}.intersection(dir(calls))


def test_a_wrapped_method_shows_what_it_wraps(actors):
    def logged(method):
        @functools.wraps(method)
        def wrapper(*args, **kwargs):
            return method(*args, **kwargs)

        return wrapper

    class Wrapped:
        @logged
        def add(self, a, b=2):
            return a + b

    wrapped = ray.remote(Wrapped).remote()
    assert str(inspect.signature(wrapped.add)) == "(a, b=2)" and ray.get(wrapped.add.remote(1, b=5)) == 6


def test_a_parameter_named_self(actors):
    class Takes:
        def names(self, /, **names):
            return names

    assert ray.get(ray.remote(Takes).remote().names.remote(self=1)) == {"self": 1}


@pytest.mark.parametrize("name", ["_ray_actor", "_ray_actor_id", "__ray_terminate__", "__ray_checkpoint__"])
def test_names_that_handles_need(name):
    with pytest.raises(TypeError, match=f"{name}: each handle has an attribute of this name"):
        ray.remote(type("Takes", (), {name: lambda self: None}))


def test_results_are_copies(actors):
    class Keeps:
        def __init__(self):
            self.items = [0]

        def get(self):
            return self.items

        @ray.method(num_return_vals=2)
        def twice(self):
            return self.items, self.items

    keeps = ray.remote(Keeps).remote()
    ray.get(keeps.get.remote()).append(1)
    ray.get(keeps.twice.remote())[0].append(2)
    assert ray.get(keeps.get.remote()) == [0]


def test_one_call_at_a_time(actors):
    class Adds:
        def __init__(self):
            self.value = self.inside = 0

        def add(self):
            self.inside += 1
            before = self.value
            time.sleep(0)
            self.value, ok = before + 1, self.inside == 1
            self.inside -= 1
            return ok

        def get(self):
            return self.value

    adds, seen = ray.remote(Adds).remote(), []
    threads = [threading.Thread(target=lambda: seen.extend(ray.get([adds.add.remote() for _ in range(50)]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 200 and ray.get(adds.get.remote()) == 200


def test_a_method_may_run_a_loop_of_its_own(actors):
    class Runs:
        async def one(self):
            return 1

        def run(self):
            return asyncio.run(self.one())

        def coroutine(self):
            return self.one()

    async def main():
        runs = ray.remote(Runs).remote()
        return ray.get([runs.run.remote(), runs.one.remote()]), runs

    values, runs = asyncio.run(main())
    assert values == [1, 1]
    with pytest.raises(TypeError, match="a coroutine, which has not run"):
        ray.get(runs.coroutine.remote())
