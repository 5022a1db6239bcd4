"""register_custom_serializer: for puts, arguments, returns and containers, in processes that run already or start later."""

import threading
from collections import namedtuple

import pytest

import ray_lite as ray
from ray_lite.exceptions import SerializationError
from ray_lite.values import custom_serializers

Pair = namedtuple("Pair", "a b")


def sample():
    """A class whose instances pickle refuses, of no importable name: each test has its own."""

    class Lock:
        def __init__(self, number):
            self.number, self.lock = number, threading.Lock()

    return Lock


def number_of(instance):
    return instance.number


def doubled(number):
    return ("loaded", 2 * number)


@pytest.fixture(autouse=True)
def forget():
    yield
    custom_serializers.registered.clear()
    custom_serializers.shared.clear()


@pytest.fixture(params=["PYTHON_MODE", "SCRIPT_MODE"])
def backend(fresh, request):
    fresh.init(driver_mode=getattr(fresh, request.param), num_cpus=2)
    return fresh


def register(cls, **how):
    ray.register_custom_serializer(cls, serializer=number_of, deserializer=doubled, **how)


def test_everywhere_in_a_value(backend):
    kind = sample()
    assert register(kind) is None
    assert ray.get(ray.put(kind(1))) == ("loaded", 2)
    one = kind(2)
    assert ray.get(ray.put({"x": [one, (one,)], one.number: Pair(one, 1)})) == {
        "x": [("loaded", 4), (("loaded", 4),)], 2: Pair(("loaded", 4), 1)}
    seen = ray.remote(lambda x, more: (x, more))
    assert ray.get(seen.remote(kind(3), more=[kind(4)])) == (("loaded", 6), [("loaded", 8)])


def test_instances_that_are_made_in_tasks_and_actors(ray_session):
    """The class reaches the worker by two pickles: the function's, and the registration's."""
    kind = sample()

    @ray.remote
    class Early:
        def make(self, number):
            return [kind(number)]

    make, actor = ray.remote(lambda number: kind(number)), Early.remote()
    with pytest.raises(SerializationError):
        ray.get(actor.make.remote(1))
    with pytest.raises(SerializationError):
        ray.get(make.remote(1))
    register(kind)
    assert ray.get(make.remote(1)) == ("loaded", 2)
    assert ray.get(actor.make.remote(2)) == [("loaded", 4)], "its process ran before"
    assert ray.get(Early.remote().make.remote(3)) == [("loaded", 6)], "a new process"
    outer = ray.remote(lambda: (ray.get(make.options(inline=False).remote(4)), ray.get(ray.put(kind(5)))))
    assert ray.get(outer.remote()) == (("loaded", 8), ("loaded", 10))


def test_before_init_and_in_the_next_session(fresh):
    kind = sample()
    register(kind)
    for _ in range(2):
        fresh.init(num_cpus=1)
        assert ray.get(ray.remote(lambda: kind(1)).remote()) == ("loaded", 2)
        fresh.shutdown()
    fresh.init(driver_mode=ray.PYTHON_MODE)
    assert ray.get(ray.put([kind(1)])) == [("loaded", 2)]


def test_the_last_registration_counts(backend):
    kind = sample()
    register(kind)
    ray.register_custom_serializer(kind, serializer=number_of, deserializer=str)
    assert ray.get(ray.put(kind(1))) == "1"
    simple = type("Simple", (), {"number": 3})
    register(simple)
    ray.register_custom_serializer(simple, use_pickle=True)
    assert type(ray.get(ray.put(simple()))).__name__ == "Simple"


def test_in_a_task(ray_session):
    kind = sample()
    make = ray.remote(lambda: kind(1))
    ray.get(ray.remote(lambda: register(kind)).remote())
    assert ray.get(make.remote()) == ray.get(ray.put(kind(1))) == ("loaded", 2), "in every process of the driver"


def test_registrations_at_once_are_all_known(ray_session):
    kinds = [sample() for _ in range(20)]
    ray.get([ray.remote(lambda kind=kind: register(kind)).options(inline=False).remote() for kind in kinds])
    assert ray.get(ray.put([kind(1) for kind in kinds])) == [("loaded", 2)] * 20


def test_the_same_again_is_no_news(ray_session, counts):
    kind = sample()
    register(kind)
    before = counts()["kept"]
    register(kind)
    assert counts()["kept"] == before


def test_local_is_for_this_process_only(ray_session):
    kind = sample()
    register(kind, local=True)
    assert ray.get(ray.put(kind(1))) == ("loaded", 2)
    with pytest.raises(SerializationError):
        ray.get(ray.remote(lambda: kind(1)).remote())


class Odd:
    """Its own pickling is wrong, so that it must not be asked."""

    def __init__(self):
        raise RuntimeError("the constructor is not called")

    def __reduce__(self):
        raise RuntimeError("nor this")


def test_use_dict(ray_session):
    ray.register_custom_serializer(Odd, use_dict=True)
    odd = object.__new__(Odd)
    odd.__dict__.update(name="odd", me=odd)
    back = ray.get(ray.put([odd]))[0]
    assert type(back) is Odd and back.name == "odd" and back.me is back


def test_an_exception_class(ray_session):
    class Mine(Exception):
        pass

    ray.register_custom_serializer(Mine, serializer=lambda error: error.args, deserializer=lambda args: ("was", args))
    assert ray.get(ray.put(Mine("x"))) == ("was", ("x",))


def test_other_parts_are_blamed_for_a_failure(ray_session):
    kind = sample()
    register(kind)
    with pytest.raises(SerializationError, match=r"value -> \[1\]"):
        ray.put([kind(1), threading.Lock()])
    ray.register_custom_serializer(kind, serializer=lambda x: 1 / 0, deserializer=doubled)
    with pytest.raises(SerializationError, match="division by zero"):
        ray.put(kind(1))


def test_one_that_can_not_be_loaded_makes_an_entry_and_hurts_no_other_value(fresh, tmp_path, monkeypatch, wait_until):
    import importlib

    name = f"serializer_in_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text("class Here: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    here = importlib.import_module(name).Here
    (tmp_path / f"{name}.py").write_text("raise ImportError('not any more')\n")
    fresh.init(num_cpus=1)
    register(here)
    kind = sample()
    register(kind)
    assert ray.get(ray.remote(lambda: kind(1)).remote()) == ("loaded", 2)
    wait_until(lambda: [entry["type"] for entry in ray.error_info()] == ["register_custom_serializer"])
    assert "not any more" in ray.error_info()[0]["message"]


class Slots:
    __slots__ = ("a",)


NEITHER = "exactly one of"


WRONG = [
    (Odd, {}, ValueError, NEITHER),
    (Odd, {"use_pickle": True, "use_dict": True}, ValueError, NEITHER),
    (Odd, {"use_pickle": True, "serializer": len, "deserializer": len}, ValueError, NEITHER),
    (Odd, {"serializer": len}, ValueError, NEITHER),
    (Odd, {"deserializer": len}, ValueError, NEITHER),
    (Odd, {"serializer": 1, "deserializer": len}, TypeError, "serializer must be a function"),
    (Odd, {"serializer": len, "deserializer": "len"}, TypeError, "deserializer must be a function"),
    (Odd, {"use_pickle": 1}, TypeError, "use_pickle must be True or False"),
    (Odd, {"use_pickle": True, "local": None}, TypeError, "local must be True or False"),
    ("Odd", {"use_pickle": True}, TypeError, "cls must be a class"),
    (Odd.__reduce__, {"use_dict": True}, TypeError, "cls must be a class"),
    (dict, {"use_pickle": True}, ValueError, "values of dict are stored as they are"),
    (ray.ObjectID, {"use_pickle": True}, ValueError, "ObjectID"),
    (Slots, {"use_dict": True}, TypeError, "in __dict__"),
    (Pair, {"use_dict": True}, TypeError, "in __dict__"),
    (KeyError, {"use_dict": True}, TypeError, "in __dict__"),
    (Odd, {"use_dict": True, "nonsense": 1}, TypeError, "nonsense"),
]


def test_wrong_arguments(backend):
    for cls, how, error, match in WRONG:
        with pytest.raises(error, match=match):
            ray.register_custom_serializer(cls, **how)
    assert not custom_serializers.registered and not custom_serializers.shared


@pytest.mark.parametrize("early", [False, True], ids=["after init", "before init"])
def test_what_can_not_be_pickled_is_refused(fresh, early):
    lock = threading.Lock()
    kind = sample()
    if not early:
        fresh.init(num_cpus=1)
    with pytest.raises(SerializationError, match="the serializer of .*lock"):
        ray.register_custom_serializer(kind, serializer=lambda x: lock, deserializer=doubled)
        fresh.init(num_cpus=1)
    assert ray.is_initialized() is not early and (kind in custom_serializers.registered) is early


def test_a_class_that_calls_remote_functions(fresh):
    double = ray.remote(lambda number: 2 * number)

    class Caller:
        number = 4

        def doubled(self):
            return ray.get(double.remote(self.number))

    ray.register_custom_serializer(Caller, use_dict=True)
    fresh.init(num_cpus=1)
    assert ray.get(ray.remote(lambda: Caller()).remote()).doubled() == 8
