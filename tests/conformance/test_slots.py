"""Instances of a script's classes with slots come back from a task as from a forked Pool, and classes stay as they are."""

import pytest

FORMS = """
    import dataclasses
    import weakref

    import ray_lite as ray

    class Simple:
        __slots__ = ("x", "y")
    class Single:
        __slots__ = "x"
    class Private:
        __slots__ = "__hidden"
        def __init__(self, value=0): self.__hidden = value
        def hidden(self): return self.__hidden
    class Inherits(Simple):
        __slots__ = ()
    class Adds(Simple):
        __slots__ = ["z"]
    class HasDict(Simple):
        pass
    class OwnDict:
        __slots__ = ("x", "__dict__")
    class Weak:
        __slots__ = "__weakref__"
    class Documented:
        __slots__ = {"x": "the first", "y": "the second"}
    class Used:
        __slots__ = (name for name in ("x", "y"))
        def __getstate__(self): return self.x
        def __setstate__(self, state): self.x = state
    class Named:
        @property
        def x(self): return "from the base"
    class Hides(Named):
        __slots__ = ("x",)
    class WithState:
        __slots__ = ("x",)
        def __getstate__(self): return {"x": self.x + 1}
        def __setstate__(self, state): self.x = state["x"] * 2
    @dataclasses.dataclass(slots=True)
    class Data:
        x: int
        y: list = dataclasses.field(default_factory=list)
    @dataclasses.dataclass(slots=True, frozen=True)
    class Frozen:
        x: int

    def made(kind, *args, **values):
        instance = kind(*args)
        for name, value in values.items():
            setattr(instance, name, value)
        return instance

    def content(instance):
        names = [name for kind in type(instance).__mro__ for name in vars(kind)]
        slots = {name for name in names if type(getattr(type(instance), name, None)).__name__ == "member_descriptor"}
        values = {name: getattr(instance, name) for name in sorted(slots) if hasattr(instance, name)}
        return type(instance), sorted(slots), values, getattr(instance, "__dict__", None)

    def seen(instance):  # in a task: what differs there
        return content(instance)[1:], instance

    INSTANCES = [
        made(Simple, x=1, y=[2]), made(Simple, x=1), made(Single, x=1), made(Private, 5), made(Inherits, x=1), made(Adds, z=3),
        made(HasDict, x=1, other=2), made(OwnDict, x=1, other=2), made(Weak), made(Documented, x=1), made(Used, x=1),
        made(Hides, x=1), made(WithState, x=1), made(Data, 1, [2]), made(Frozen, 1),
    ]
"""


def test_every_form_comes_back_as_from_a_forked_pool(output_of):
    assert output_of(FORMS + """
    import multiprocessing

    if __name__ == "__main__":
        with multiprocessing.get_context("fork").Pool(1) as pool:
            expected = pool.map(seen, INSTANCES)
        ray.init(num_cpus=1)
        results = ray.get([ray.remote(seen).remote(instance) for instance in INSTANCES])
        for (inside, result), (pool_inside, pool_result) in zip(results, expected, strict=True):
            assert inside == pool_inside, (inside, pool_inside)
            assert content(result) == content(pool_result), (content(result), content(pool_result))
        weakref.ref(ray.get(ray.remote(lambda: Weak()).remote()))
        assert results[3][1].hidden() == 5
        print(len(results))
    """) == "15\n"


RANDOM = """
    import multiprocessing
    import random
    import sys

    import ray_lite as ray

    NAMES = ["a", "b", "_c", "__d", "__e__", "f"]
    KINDS = []

    def define(rng, number):
        base = rng.choice([None, *KINDS])
        taken = {name for kind in (base.__mro__ if base else ()) for name in vars(kind)}
        slots = [name for name in rng.sample(NAMES, rng.randrange(4))]
        extras = [name for name in ("__dict__", "__weakref__") if name not in taken and rng.random() < 0.2]
        declared = rng.choice([tuple, list, dict.fromkeys])(slots + extras)
        if len(slots) == 1 and not extras and rng.random() < 0.5:
            declared = slots[0]
        namespace = {"__module__": "__main__"}
        if rng.random() < 0.8:
            namespace["__slots__"] = declared
        name = rng.choice(["K", "_K", "__K"]) + str(number)
        kind = globals()[name] = type(name, (base,) if base else (), namespace)
        KINDS.append(kind)
        return kind

    def fill(rng, kind):
        instance = kind()
        for name in layout(kind) + ["other"]:
            if rng.random() < 0.7:
                try:
                    setattr(instance, name, rng.random())
                except AttributeError:
                    assert name == "other"
        return instance

    def layout(kind):
        slots = [one for kind in kind.__mro__ for one in vars(kind).items() if type(one[1]).__name__ == "member_descriptor"]
        return [name for name, _ in slots]

    def content(instance):
        kind = type(instance)
        values = [(one.__name__, name, value.__get__(instance)) for one in kind.__mro__ for name, value in vars(one).items()
                  if type(value).__name__ == "member_descriptor" and _is_set(value, instance)]
        return sorted(values), getattr(instance, "__dict__", None), kind.__weakrefoffset__ != 0, sorted(layout(kind))

    def _is_set(slot, instance):
        try:
            slot.__get__(instance)
        except AttributeError:
            return False
        return True

    def seen(instance):
        return content(instance), instance

    if __name__ == "__main__":
        rng = random.Random(int(sys.argv[1]))
        instances = [fill(rng, define(rng, number)) for number in range(60)]
        with multiprocessing.get_context("fork").Pool(1) as pool:
            expected = pool.map(seen, instances)
        ray.init(num_cpus=2)
        results = ray.get([ray.remote(seen).remote(instance) for instance in instances])
        for (inside, result), (pool_inside, pool_result) in zip(results, expected, strict=True):
            assert type(result) is type(pool_result)
            assert inside == pool_inside, (inside, pool_inside)
            assert content(result) == content(pool_result), (content(result), content(pool_result))
        print(len(results))
"""


@pytest.mark.parametrize("seed", range(6))
def test_random_layouts_come_back_as_from_a_forked_pool(output_of, seed):
    assert output_of(RANDOM, args=[seed]) == "60\n"


def test_what_comes_back_leaves_the_class_as_it_is(output_of):
    assert output_of("""
        import ray_lite as ray

        class Base:
            subclasses = []
            def __init_subclass__(cls):
                cls.subclasses.append(cls)

        class Counter(Base):
            count = 0

        @ray.remote
        def f(counter):
            type(counter).count = 100
            type(counter).new = True
            return counter

        if __name__ == "__main__":
            ray.init(num_cpus=1)
            x = f.remote(Counter())
            Counter.count = 7
            assert type(ray.get(x)) is Counter
            print(Counter.count, hasattr(Counter, "new"), Base.subclasses == [Counter], len(Base.__subclasses__()))
    """) == "7 False True 1\n"


def test_only_its_home_changes_a_copy(output_of, tmp_path_factory):
    """The driver's changes reach workers that have the class; those that a worker makes stay there."""
    assert output_of("""
        import os, sys, time

        import ray_lite as ray

        class Setting:
            value = 1

        @ray.remote
        def meet(setting, number):
            open(f"{sys.argv[1]}/{number}", "w").close()
            while len(os.listdir(sys.argv[1])) < 2:
                time.sleep(0.001)
            return setting.value

        @ray.remote(inline=False)
        def value_of(setting):
            return setting.value

        @ray.remote
        def change(setting):
            before, type(setting).value = setting.value, 50
            return before, ray.get(value_of.remote(setting)), setting.value

        if __name__ == "__main__":
            ray.init(num_cpus=2)
            print(ray.get([meet.remote(Setting(), number) for number in range(2)]))
            Setting.value = 2
            ray.get([value_of.remote(Setting()) for _ in range(20)])
            for number in range(2):
                os.remove(f"{sys.argv[1]}/{number}")
            print(ray.get([meet.remote(Setting(), number) for number in range(2)]))
            print(ray.get(change.remote(Setting())))
    """, args=[tmp_path_factory.mktemp("met")]) == "[1, 1]\n[2, 2]\n(2, 2, 50)\n"


def test_a_class_made_in_a_task_is_one_class_everywhere(output_of):
    assert output_of("""
        import ray_lite as ray

        @ray.remote
        def make():
            class Local:
                __slots__ = ("x",)
            return Local

        @ray.remote
        def instance(kind):
            one = kind()
            one.x = 5
            return one

        if __name__ == "__main__":
            ray.init(num_cpus=2)
            kind = ray.get(make.remote())
            results = ray.get([instance.remote(kind) for _ in range(10)])
            print({type(one) is kind and one.x for one in results})
    """) == "{5}\n"
