"""Every public name, in short, on every backend: what it returns, or raises, with the arguments that SPEC gives it."""

import pytest

import ray_lite as ray

NO_ACTOR = "this is no method of an actor"


@ray.remote(num_return_vals=2)
def pair(x, y=2):
    return x, y


@ray.remote
class Counter:
    def __init__(self, start=0):
        self.total = start

    def add(self, number):
        self.total += number
        return self.total

    @ray.method(num_return_vals=2)
    def both(self):
        return self.total, -self.total

    def me(self):
        return ray.current_actor()


@pytest.fixture(params=["PYTHON_MODE", "SILENT_MODE"])
def backend(fresh, request):
    fresh.init(driver_mode=getattr(fresh, request.param), num_cpus=2)
    return fresh


def test_each_name_works_on_every_backend(backend):
    assert ray.is_initialized() is True
    x = ray.put([1], worker=None)
    assert ray.get(x, worker=None, timeout=5, writable=True) == ray.get(x) == [1]
    assert ray.get([x, x]) == [[1], [1]] and ray.get([]) == []
    a, b = pair.remote(1, y=3)
    assert ray.get([a, b]) == [1, 3] == ray.get(list(pair.options(num_cpus=2).remote(1, 3)))
    assert ray.get(list(pair._submit([1], {"y": 3}, num_cpus=1))) == [1, 3]
    assert ray.remote(num_return_vals=0)(print).remote(end="") is None
    assert ray.wait([x], num_returns=1, timeout=100, worker=None) == ([x], []) and ray.wait([]) == ([], [])
    assert ray.error_info() == ray.error_info(worker=None) == []
    assert ray.get_gpu_ids() == [] and ray.get_webui_url() is None and ray.get_attempt_number() == 0
    assert ray.get(ray.remote(ray.get_gpu_ids).remote()) == []
    ray.shutdown(worker=None)
    ray.shutdown()
    assert not ray.is_initialized()


def test_actors_on_every_backend(backend):
    counter = Counter.options(name="one").remote(start=5)
    assert ray.get(counter.add.remote(1)) == 6 and ray.get(list(counter.both.remote())) == [6, -6]
    same = ray.get_actor("one")
    assert ray.get(same.add.remote(number=1)) == 7 and ray.get(counter.me.remote()) == counter == same
    assert [row["Name"] for row in ray.global_state.actors()] == ["one"]
    for function in (ray.current_actor, ray.exit_actor):
        with pytest.raises(RuntimeError, match=NO_ACTOR):
            function()
    ray.kill(counter)
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(counter.add.remote(1))
    with pytest.raises(ValueError, match="no actor named 'one'"):
        ray.get_actor("one")


WRONG = [
    ("wait(1)", TypeError), ("wait((1,))", TypeError), ("wait([1], 0)", ValueError), ("wait([1], 'x')", TypeError),
    ("wait([1], 1, -1)", ValueError), ("wait([1], 2)", ValueError), ("get(None, timeout=-1)", ValueError),
    ("get(None, writable=1)", TypeError), ("put(1, timeout='x')", TypeError), ("cancel(None, force=1)", TypeError),
    ("kill(1)", TypeError), ("get_actor(1)", TypeError), ("get_actor('nobody')", ValueError), ("memory(-1)", ValueError),
    ("remote()", TypeError), ("remote(1)", TypeError), ("remote(nonsense=1)", TypeError),
    ("remote(num_cpus=-1)(len)", ValueError),
    ("method(1)", TypeError), ("method(num_return_vals=-1)", ValueError), ("init()", RuntimeError),
    ("ObjectID(b'short')", ValueError), ("register_custom_serializer(1)", ValueError),
]


def test_wrong_arguments_on_every_backend(backend):
    for call, error in WRONG:
        with pytest.raises(error):
            eval(f"ray.{call}")
            pytest.fail(call)
