"""Handles of actors: equality, passing, the own handle, names."""

import copy
import gc
import pickle
import pydoc
import weakref
from unittest import mock

import pytest
from counters import Remote

import ray_lite as ray
from ray_lite.exceptions import RayActorError


def test_handles_are_equal_if_they_are_of_one_actor(actors):
    one, other = Remote.options(name="one").remote(), Remote.remote()
    same = ray.get_actor("one")
    assert one == same and hash(one) == hash(same) and one != other and {one: 1}[same] == 1
    assert copy.copy(one) == one and copy.deepcopy([one]) == [one]
    assert repr(one) == f"Actor(Counter, 'one', {one._ray_actor_id.hex()})"
    assert repr(other) == f"Actor(Counter, {other._ray_actor_id.hex()})"


def test_handles_can_be_passed_and_returned(actors):
    @ray.remote
    def add_to(counters):
        return ray.get([counter.add.remote() for counter in counters]), counters[0]

    class Holder:
        def __init__(self, counter):
            self.counter = counter

        def add(self):
            return ray.get(self.counter.add.remote())

        def give(self):
            return self.counter

    counter = Remote.remote()
    values, same = ray.get(add_to.remote([counter, counter]))
    assert values == [1, 2] and same == counter
    holder = ray.remote(Holder).remote(counter)
    assert ray.get(holder.add.remote()) == 3 and ray.get(holder.give.remote()) == counter


def test_an_actor_creates_actors(actors):
    class Parent:
        def make(self):
            self.child = Remote.remote(5)
            return self.child

        def ask(self):
            return ray.get(self.child.add.remote())

    parent = ray.remote(Parent).remote()
    child = ray.get(parent.make.remote())
    assert ray.get(parent.ask.remote()) == ray.get(child.get.remote()) == 6


def test_the_own_handle(actors):
    class Knows:
        def me(self):
            return ray.current_actor()

        def in_a_task(self):
            @ray.remote
            def asks():
                return ray.current_actor()

            return ray.get(asks.remote())

    knows = ray.remote(Knows).remote()
    assert ray.get(knows.me.remote()) == knows
    with pytest.raises(RuntimeError, match="no method of an actor"):
        ray.get(knows.in_a_task.remote())


@pytest.mark.parametrize("function", [ray.current_actor, ray.exit_actor])
def test_outside_of_an_actor(actors, function):
    with pytest.raises(RuntimeError, match="this is no method of an actor"):
        function()

def test_names(actors):
    counter = Remote.options(name="counter").remote(1)
    assert ray.get(ray.get_actor("counter").add.remote()) == 2
    with pytest.raises(ValueError, match="there is an actor named 'counter' already, of class Counter"):
        Remote.options(name="counter").remote()
    with pytest.raises(ValueError, match=r"no actor named 'other'; the names are 'counter'"):
        ray.get_actor("other")
    with pytest.raises(TypeError, match="takes a name"):
        ray.get_actor(5)
    same = Remote.options(name="counter", get_if_exists=True).remote(50)
    assert same == counter and ray.get(same.get.remote()) == 2
    with pytest.raises(ValueError, match="is of class Counter, not Other"):
        ray.remote(type("Other", (), {})).options(name="counter", get_if_exists=True).remote()


def test_a_name_is_free_once_its_actor_is_dead(actors, wait_until):
    counter = Remote.options(name="counter").remote()
    ray.kill(counter)
    again = Remote.options(name="counter").remote(5)
    assert ray.get(again.get.remote()) == 5
    del again
    wait_until(lambda: gc.collect() is not None and not ray.global_state.actors())
    with pytest.raises(ValueError, match="the names are none"):
        ray.get_actor("counter")


def test_pickled_handles(actors, wait_until):
    counter = Remote.remote()
    for value in (counter, counter.both):
        assert pickle.loads(pickle.dumps(value)) == value
    holder = ray.put({"counter": counter, "module": copy})
    assert ray.get(ray.get(holder)["counter"].add.remote()) == 1
    gone = pickle.dumps(counter)
    del counter, holder, value
    gc.collect()
    wait_until(lambda: not ray.global_state.actors())
    with pytest.raises(RayActorError, match="is gone|is dead"):
        ray.get(pickle.loads(gone).add.remote())


def test_comparisons(actors):
    counter = Remote.remote()
    assert counter == mock.ANY and mock.ANY == counter and counter != 5
    assert counter.add == counter.add and counter.add != counter.get and counter.add != Remote.remote().add
    assert len({counter.add, counter.add, counter.both, counter.both.options(num_return_vals=1)}) == 3


def test_a_handle_is_not_changed(actors):
    counter = Remote.remote()
    for change in (lambda: setattr(counter, "value", 5), lambda: delattr(counter, "add")):
        with pytest.raises(AttributeError, match="write a method of Counter"):
            change()
    for thing in counter, counter.add:
        with pytest.raises(TypeError, match="is remote already"):
            ray.remote(thing)


def test_help(actors):
    shown = pydoc.render_doc(Remote.remote(), renderer=pydoc.plaintext)
    assert "Counts." in shown and "Actor class Counter(start=0, *, step=1)" in shown and "add(by=1)" in shown
    assert "named(suffix)" in pydoc.render_doc(Remote, renderer=pydoc.plaintext)


def test_a_class_that_was_defined_again_has_the_actors_of_its_name(actors):
    def define():
        class Again:
            def hello(self):
                return "hello"

        return ray.remote(Again)

    first = define().options(name="again").remote()
    assert define().options(name="again", get_if_exists=True).remote() == first


def test_the_own_handle_keeps_no_actor_and_no_name(actors, wait_until):
    class Keeps:
        def __init__(self):
            self.me = ray.current_actor()

        def hello(self):
            return 5

    keeps = ray.remote(Keeps).options(name="keeps")
    one = keeps.remote()
    assert ray.get(one.hello.remote()) == 5
    del one
    gc.collect()
    wait_until(lambda: not ray.global_state.actors())
    assert ray.get(keeps.remote().hello.remote()) == 5


def test_an_error_of_a_dead_actor_keeps_nothing_of_its_callers(actors):
    counter = Remote.remote()
    ray.kill(counter)

    def call():
        other = Remote.remote()
        seen.append(weakref.ref(other))
        try:
            ray.get(counter.add.remote())
        except RayActorError as error:
            errors.append(error.with_traceback(None))

    seen, errors = [], []
    call()
    call()
    gc.collect()
    assert errors[0] is not errors[1] and [reference() for reference in seen] == [None, None]


@pytest.mark.parametrize("mode, then", [
    ("SCRIPT_MODE", "SCRIPT_MODE"), ("SCRIPT_MODE", "PYTHON_MODE"), ("PYTHON_MODE", "SCRIPT_MODE")])
def test_a_handle_of_an_earlier_session(fresh, mode, then):
    fresh.init(driver_mode=getattr(fresh, mode), num_cpus=1)
    counter = Remote.remote()
    fresh.shutdown()
    fresh.init(driver_mode=getattr(fresh, then), num_cpus=1)
    for use in (lambda: ray.get(counter.add.remote()), lambda: ray.kill(counter)):
        with pytest.raises(RayActorError, match="was of an earlier session"):
            use()
