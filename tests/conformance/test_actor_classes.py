"""Remote classes: what they show, options, and the creation of actors, alike in each driver mode that has actors."""

import abc
import inspect
import sys
from typing import Generic, TypeVar

import pytest
from counters import Counter, Decorated, Remote

import ray_lite as ray
from ray_lite.exceptions import RayActorError


def test_state_lives_between_calls(actors):
    counter = Remote.remote(10, step=2)
    assert ray.get([counter.add.remote(), counter.add.remote(5), counter.get.remote()]) == [12, 22, 22]
    assert ray.get(Remote.remote().get.remote()) == 0


@pytest.mark.parametrize("args, kwargs, text", [
    ((1, 2), {}, "too many positional"), ((), {"other": 1}, "unexpected keyword argument 'other'"),
])
def test_wrong_arguments_of_the_constructor(actors, args, kwargs, text):
    with pytest.raises(TypeError, match=rf"Counter\.remote\(\): .*{text}"):
        Remote.remote(*args, **kwargs)


def test_a_class_without_a_constructor_takes_no_arguments(actors):
    class Empty:
        def hello(self):
            return "hello"

    assert ray.get(ray.remote(Empty).remote().hello.remote()) == "hello"
    with pytest.raises(TypeError, match="Empty.remote"):
        ray.remote(Empty).remote(1)


def test_a_class_can_not_be_called(actors):
    with pytest.raises(TypeError, match=r"Counter\.remote\("):
        Remote()


def test_a_constructor_that_fails_is_the_cause_of_each_call(actors):
    class Odd(KeyError):
        pass

    class Fails:
        def __init__(self):
            raise Odd("key")

        def hello(self):
            pass

    broken = ray.remote(Fails).remote()
    for _ in range(2):
        with pytest.raises(RayActorError, match="Fails is dead: its constructor failed: Odd: 'key'") as caught:
            ray.get(broken.hello.remote())
        assert isinstance(caught.value, Odd) and isinstance(caught.value.cause, Odd) and caught.value.args == ("key",)
        assert caught.value.__cause__ is caught.value.cause and caught.value.class_name.endswith("Fails")


def test_arguments_are_copies(actors):
    given = [1]

    class Keeps:
        def __init__(self, items):
            self.items = items

        def append(self, items):
            items.append(0)
            self.items.append(len(items))
            return self.items

    keeps = ray.remote(Keeps).remote(given)
    assert ray.get(keeps.append.remote(given)) == [1, 2] and given == [1]


def test_a_session_is_needed(fresh):
    with pytest.raises(ray.exceptions.RaySystemError, match="init"):
        Remote.remote()

def test_a_remote_class_shows_the_plain_one():
    assert Remote.__wrapped__ is Counter and Remote.__name__ == "Counter" and Remote.__doc__.startswith("Counts.")
    assert str(inspect.signature(Remote)) == "(start=0, *, step=1)" and repr(Remote) == "<remote class Counter>"


def test_a_remote_class_can_be_a_base(actors):
    class Twice(Remote):
        def add(self, by=1):
            return super().add(2 * by)

    assert Twice(1).add() == 3
    assert ray.get(ray.remote(Twice).remote(1).add.remote()) == 3


def test_remote_twice():
    with pytest.raises(TypeError, match="is remote already"):
        ray.remote(Remote)


@pytest.mark.parametrize("options, error, text", [
    ({"max_concurrency": 0}, ValueError, "max_concurrency must be in 1"),
    ({"max_pending_calls": 0}, ValueError, "max_pending_calls must be in 1"),
    ({"on_full": "drop"}, ValueError, "'raise' or 'wait'"),
    ({"name": ""}, ValueError, "name must have 1 to 200 characters, got 0"),
    ({"name": 5}, TypeError, "name must be a string"),
    ({"on_full": "wait"}, ValueError, "needs max_pending_calls"),
    ({"name": "n" * 201}, ValueError, "got 201"),
    ({"checkpoint_interval": 0}, ValueError, "above 0"),
    ({"checkpoint_interval": 5, "max_concurrency": 2}, ValueError, "no order"),
    ({"checkpoint_interval": 5, "max_restarts": 0}, ValueError, "only serve a process that comes after"),
    ({"max_restarts": -1}, ValueError, "max_restarts must be in 0"),
    ({"num_cpus": -1}, ValueError, "num_cpus"),
    ({"resources": 5}, TypeError, "resources must be a dict"),
    ({"num_return_vals": 2}, TypeError, "'num_return_vals' is an option of functions, not of classes"),
    ({"max_calls": 2}, TypeError, "'max_calls' is an option of functions"),
    ({"retry_exceptions": True}, TypeError, "'retry_exceptions' is an option of functions"),
    ({"writable_args": True}, TypeError, "'writable_args' is an option of functions"),
    ({"nonsense": 1}, TypeError, "unknown option 'nonsense'"),
])
def test_wrong_options_of_a_class(options, error, text):
    with pytest.raises(error, match=text):
        ray.remote(**options)(Counter)


def test_options_of_classes_are_none_of_functions():
    with pytest.raises(TypeError, match="'max_restarts' is an option of classes, not of functions"):
        ray.remote(max_restarts=1)(len)
    with pytest.raises(TypeError, match="'max_concurrency' is an option of classes"):
        ray.remote(len).options(max_concurrency=2)
    with pytest.raises(TypeError, match="'inline' is an option of functions"):
        Remote.options(inline=False)


def test_checkpoints_need_an_order():
    class Async:
        async def hello(self):
            pass

    with pytest.raises(ValueError, match="Async has checkpoint_interval=5 and async methods"):
        ray.remote(checkpoint_interval=5)(Async)
    assert ray.remote(checkpoint_interval=-1)(Async)._options.checkpoint_interval is None


@pytest.mark.parametrize("kind", ["generator", "async generator"])
def test_generator_methods(kind):
    class Yields:
        def one(self):
            yield 1

    class AsyncYields:
        async def one(self):
            yield 1

    with pytest.raises(TypeError, match=r"(Yields\.)?one is an? (async )?generator function"):
        ray.remote(Yields if kind == "generator" else AsyncYields)


def test_a_constructor_that_exits(actors):
    class Leaves:
        def __init__(self, code):
            sys.exit(code) if code else ray.exit_actor()

        def hello(self):
            pass

    leaves = ray.remote(Leaves)
    with pytest.raises(RayActorError, match="its constructor failed: SystemExit: 3") as caught:
        ray.get(leaves.remote(3).hello.remote())
    assert isinstance(caught.value.cause, SystemExit)
    with pytest.raises(RayActorError, match="it ended itself by exit_actor"):
        ray.get(leaves.remote(0).hello.remote())


@pytest.mark.parametrize("mode", ["PYTHON_MODE", "SCRIPT_MODE"])
@pytest.mark.slow
def test_a_constructor_that_fails_is_shown(run_script, mode):
    done = run_script(f"""
        import time
        import ray_lite as ray

        @ray.remote
        class Fails:
            def __init__(self):
                raise OSError("no disk")

            def hello(self):
                pass

        ray.init(driver_mode=ray.{mode}, num_cpus=1)
        kept = Fails.remote()
        time.sleep(2)  # a failure that no get has raised is shown after half a second
    """)
    assert "Fails" in done.stderr and "OSError: no disk" in done.stderr


def test_an_exception_that_can_not_be_shown(actors):
    class Unshown(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    class Fails:
        def __init__(self):
            raise Unshown

        def method(self):
            return 1

    with pytest.raises(RayActorError, match=r"its constructor failed: Unshown \(showing it failed: RuntimeError"):
        ray.get(ray.remote(Fails).remote().method.remote())


def test_an_exception_that_refuses_attributes(actors):
    class Frozen(Exception):
        def __setattr__(self, name, value):
            raise TypeError("frozen")

    class Fails:
        def __init__(self):
            raise Frozen("x")

        def hello(self):
            pass

    with pytest.raises(RayActorError, match="constructor failed: Frozen: x"):
        ray.get(ray.remote(Fails).remote().hello.remote())


def test_a_constructor_may_call_its_actor(actors, wait_until):
    class Starts:
        def __init__(self):
            self.steps = ["made"]
            ray.current_actor().run.remote()

        def run(self):
            self.steps.append("ran")

        def get(self):
            return self.steps

    starts = ray.remote(Starts).remote()
    wait_until(lambda: ray.get(starts.get.remote()) == ["made", "ran"])


def test_an_abstract_class(actors):
    class Abstract(abc.ABC):
        @abc.abstractmethod
        def lacks(self):
            """Is defined by others."""

    with pytest.raises(TypeError, match="Abstract is abstract: it lacks lacks"):
        ray.remote(Abstract).remote()


def test_a_remote_class_stands_for_its_class():
    def annotated(one: Remote | None, other: int | Remote):
        """Takes counters."""

    assert annotated.__annotations__["one"] == Counter | None and annotated.__annotations__["other"] == int | Counter
    assert isinstance(Counter(), Remote) and issubclass(Counter, Remote) and not isinstance(5, Remote)
    T = TypeVar("T")

    class Box(Generic[T]):
        pass

    assert ray.remote(Box)[int] == Box[int]
    with pytest.raises(AttributeError, match=r"has no 'count'; the plain class is Counter\.__wrapped__"):
        Remote.count  # noqa: B018
    with pytest.raises(TypeError, match=r"Counter is a remote class: call super\(\)"):
        Remote.__init__(Counter(), 5)
    assert Remote.__wrapped__ is Counter


def test_remote_classes_cross_processes(ray_session):
    """By name where there is one: then it is the same class on both sides."""

    class Local:
        def hello(self):
            return "hello"

    local = ray.remote(num_cpus=2)(Local)

    @ray.remote
    def see(remote, instance):
        return remote, remote.__wrapped__(), instance, isinstance(instance, remote), remote._options.num_cpus

    plain = Decorated.__wrapped__
    remote, made, instance, known, _ = ray.get(see.remote(Decorated, plain()))
    assert remote is Decorated and type(made) is type(instance) is plain and known
    remote, made, instance, known, cpus = ray.get(see.remote(local, Local()))
    assert known and type(made) is type(instance) is Local and instance.hello() == "hello" and cpus == 2
    assert remote.__wrapped__ is Local and repr(remote) == repr(local)
