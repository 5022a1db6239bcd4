"""What cannot be pickled: the error names the way to the culprit, comes at the right place, and spoils
nothing.
"""

import functools
import inspect
import re
import threading
from collections import deque
from functools import partial

import numpy as np
import pytest
from shapes import Model, Slotted, Wrapper

import ray_lite as ray
from ray_lite.exceptions import RayError, SerializationError

pytestmark = pytest.mark.usefixtures("ray_session")


def message_of(call):
    with pytest.raises(SerializationError) as caught:
        call()
    assert isinstance(caught.value, TypeError) and isinstance(caught.value, RayError)
    return str(caught.value)


def test_closure_of_a_function():
    model = Model()

    @ray.remote
    def f():
        return model.weights

    for _ in range(2):  # the second call fails in the same way as the first
        assert "f -> closure 'model' -> .lock" in message_of(f.remote)
    assert "_thread.lock" in message_of(f.remote)


def test_global_of_a_function(run_script):
    done = run_script("""
        import threading
        import ray_lite as ray

        class Model:
            def __init__(self):
                self.lock = threading.Lock()

        model = Model()
        ray.init(num_cpus=1)

        @ray.remote
        def f():
            return model

        try:
            f.remote()
        except ray.exceptions.SerializationError as error:
            print(error)
    """)
    assert done.returncode == 0 and done.stderr == ""
    assert "f -> global 'model' -> .lock" in done.stdout


def test_default_of_a_function():
    culprit = Model()

    def f(x, model=culprit):
        return x

    text = message_of(lambda: ray.remote(f).remote(1))
    assert "default" in text and "-> .lock" in text


def test_function_behind_a_function():
    model = Model()

    def inner():
        return model

    def outer():
        return inner

    text = message_of(lambda: ray.remote(outer).remote())
    assert "closure 'inner'" in text and text.index("'inner'") < text.index("closure 'model'") < text.index(
        ".lock"
    )


NESTED = {
    "attribute": (lambda: Model(), [".lock"]),
    "two attributes": (lambda: Wrapper(Model()), [".inner", ".lock"]),
    "slot": (lambda: Slotted(), [".held"]),
    "dict value": (lambda: {"a": 1, "key": Model()}, ["'key'", ".lock"]),
    "list item": (lambda: [1, 2, Model()], ["2", ".lock"]),
    "tuple item": (lambda: (Wrapper([Model()]),), ["0", ".inner", "0", ".lock"]),
    "deep": (lambda: {"x": [Wrapper({"y": (Model(),)})]}, ["'x'", "0", ".inner", "'y'", "0", ".lock"]),
    "lambda": (lambda: (lambda model: lambda: model)(Model()), ["closure 'model'", ".lock"]),
    "bare lock": (threading.Lock, ["_thread.lock"]),
    "generator": (lambda: {"g": (i for i in range(3))}, ["'g'", "generator"]),
    "frame": (lambda: Wrapper(inspect.currentframe()), [".inner", "frame"]),
}


def test_the_way_to_the_culprit():
    f = ray.remote(lambda x=None, *, k=None: x)
    for make, steps in NESTED.values():
        value = make()
        for call in (partial(ray.put, value), partial(f.remote, value), partial(f.remote, k=value)):
            text, position = message_of(call), 0
            for step in steps:  # in this order
                position = text.find(step, position)
                assert position >= 0, (step, text)
                position += len(step)


def test_the_argument_is_named():
    @ray.remote
    def train(data, model=None):
        pass

    assert re.search("train.*'model'.*-> .lock", message_of(lambda: train.remote([1], model=Model())))
    assert re.search(r"train.*-> .inner -> .lock", message_of(lambda: train.remote(Wrapper(Model()))))


def test_handle_behind_a_function():
    model = Model()

    @ray.remote
    def inner():
        return model

    @ray.remote
    def outer():
        return ray.get(inner.remote())

    text = message_of(outer.remote)  # that no half-made object is left is checked after every test
    assert "outer" in text and text.index("'inner'") < text.index("closure 'model'") < text.index(".lock")


def test_results():
    @ray.remote
    def makes_model():
        class Local:
            def __init__(self):
                self.guard = __import__("threading").Lock()

        return {"result": Local()}

    text = message_of(lambda: ray.get(makes_model.remote()))
    assert "makes_model" in text and text.index("'result'") < text.index(".guard")


def test_one_bad_result_of_several():
    @ray.remote(num_return_vals=2)
    def pair():
        return 1, __import__("threading").Lock()

    with pytest.raises(SerializationError):
        ray.get(pair.remote()[1])


def test_put_inside_a_task():
    @ray.remote
    def stores():
        ray.put([__import__("threading").Lock()])

    assert "lock" in message_of(lambda: ray.get(stores.remote()))


def test_errors_raised_while_pickling():
    class Refuses:
        def __reduce__(self):
            raise RuntimeError("not me, thanks")

    with pytest.raises(Exception, match="not me, thanks"):
        ray.put([Refuses()])
    with pytest.raises(Exception, match="not me, thanks"):
        ray.remote(len).remote([Refuses()])


def test_endless_nesting_is_an_error_not_a_crash():
    value = []
    for _ in range(200_000):
        value = [value]
    with pytest.raises((SerializationError, RecursionError)):
        ray.put(value)
    while value:  # taken apart step by step: its own deallocation is deep as well
        value = value.pop()


def test_nothing_is_left_of_a_failed_call(statistics):
    f = ray.remote(lambda *a: a)
    assert ray.get(f.remote(1)) == (1,)
    before = statistics()
    for _ in range(20):
        message_of(lambda: ray.put([bytes(300_000), Model()]))
        message_of(lambda: f.remote(bytes(300_000), Model()))
    after = statistics()
    assert (after.objects, after.tasks) == (before.objects, before.tasks)
    assert after.bytes_used == before.bytes_used
    assert ray.get(f.remote(2)) == (2,)


class OneSlot:
    __slots__ = "lock"  # one slot, as a bare string

    def __init__(self):
        self.lock = threading.Lock()


@pytest.mark.parametrize("make, path", [
    (lambda: functools.partial(print, threading.Lock()), ".args[0]"),
    (lambda: functools.partial(print, end=threading.Lock()), ".keywords['end']"),
    (lambda: deque([1, threading.Lock()]), "[1]"),
    (lambda: np.array([1, threading.Lock()], dtype=object), ".flat[1]"),
    (OneSlot, ".lock"),
], ids=["partial", "keyword of a partial", "deque", "object array", "slots"])
def test_the_path_leads_into_other_containers(make, path):
    assert f"value -> {path} (_thread.lock)" in message_of(lambda: ray.put(make()))


def test_the_path_leads_into_defaults_of_keywords():
    def f(*, lock=threading.Lock()):  # noqa: B008  # the point of it
        return lock

    assert "default of 'lock'" in message_of(lambda: ray.remote(f).remote())


def test_too_deep_nesting_is_named():
    value = []
    for _ in range(100_000):
        value = [value]
    assert "recursion limit" in message_of(lambda: ray.put(value))
    while value:
        value = value.pop()


def test_an_id_without_an_object_is_no_matter_of_pickling():
    with pytest.raises(ray.exceptions.ObjectLostError):
        ray.put([ray.ObjectID(b"never was, 20 bytes!")])
