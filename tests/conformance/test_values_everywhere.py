"""A value is the same however it travels: by put, as an argument in place or by id, as a result; small and large."""

import numpy as np
import pytest

import ray_lite as ray
from ray_lite.exceptions import RayError, RayTaskError

pytestmark = pytest.mark.usefixtures("ray_session")

LARGE = 400_000  # of int64: beyond Config.small_arguments and Config.private_pages


def arrays(count):
    base = np.arange(count)
    return {
        "numbers": base,
        "objects": np.array([{"a": 1}, [2]] * 3, object),
        "empty": np.zeros((0, 3)),
        "strided": base[::2],
        "fortran": np.asfortranarray(base.reshape(2, -1)),
        "repeated": np.broadcast_to(base[:4], (3, 4)),
        "scalar": np.full((), 3),
        "records": np.zeros(3, [("x", "i4"), ("y", object)]),
    }


OWNED = {"objects", "empty", "records"}


def writeable(*args, **kwargs):
    return [
        array.flags.writeable
        for value in [*args, *kwargs.values()]
        for array in (value if isinstance(value, list) else [value])
    ]


@pytest.mark.parametrize("count", [8, LARGE])
@pytest.mark.parametrize("name", arrays(8))
def test_what_may_be_written_does_not_depend_on_the_way(name, count):
    array = arrays(count)[name]
    x, inside = ray.put(array), ray.put([array])
    plain, own = ray.remote(writeable), ray.remote(writable_args=True)(writeable)
    ways = [(array,), ([array],), (x,), (inside,), (array, np.zeros(LARGE)[:0])]
    for f, expected in ((plain, name in OWNED), (own, True)):
        got = ray.get([f.remote(*way) for way in ways] + [f.remote(key=array), f.remote(key=x)])
        assert [flags[0] for flags in got] == [expected] * 7
    assert ray.get(x).flags.writeable == (name in OWNED)
    assert ray.get(x, writable=True).flags.writeable
    assert ray.get(ray.remote(lambda: array).remote()).flags.writeable == (name in OWNED)


def test_what_a_task_writes_reaches_nobody():
    def scribble(*arrays):
        for array in arrays:
            if array.size:
                array[...] = array.flat[0]
        return [array.tolist() for array in arrays]

    own = ray.remote(writable_args=True)(scribble)
    for name, array in arrays(LARGE).items():
        before = array.tolist()
        x = ray.put(array)
        ray.get(own.remote(array, x))
        assert array.tolist() == before == ray.get(x).tolist(), name


def test_dtypes_of_other_packages():
    types = pytest.importorskip("ml_dtypes")
    for kind in (types.bfloat16, types.float8_e5m2, types.float8_e4m3fn, types.int4):
        array = np.arange(8).astype(kind).reshape(2, 4)
        mixed = np.zeros(3, [("a", kind), ("b", "f4")])
        for value in (array, array[:, ::2], np.asfortranarray(array), mixed):
            for got in ray.get(
                [ray.put(value), ray.remote(lambda a: a).remote(value), ray.remote(lambda a: a).remote(ray.put(value))]
            ):
                assert got.dtype == value.dtype and got.tolist() == value.tolist()


@pytest.mark.parametrize("make", [bytes, bytearray, lambda n: "a" * n], ids=["bytes", "bytearray", "str"])
def test_long_bytes_and_texts(make):
    value = make(5_000_000)
    same = ray.remote(lambda v: v)
    for got in ray.get([ray.put(value), ray.put([{"k": value}]), same.remote(value), same.remote(ray.put(value))]):
        got = got[0]["k"] if isinstance(got, list) else got
        assert type(got) is type(value) and got == value


class TwoArguments(Exception):
    def __init__(self, code, where):
        super().__init__(f"{code} at {where}")
        self.code = code


class Chooses(Exception):
    def __new__(cls, *args):
        return super().__new__(Chosen)


class Chosen(Chooses):
    pass


def test_exceptions_as_values_and_as_failures():
    error = TwoArguments(3, "here")
    for got in ray.get([ray.put(error), ray.put([error])])[:1] + [ray.get(ray.remote(lambda: error).remote())]:
        assert type(got) is TwoArguments and got.code == 3 and got.args == error.args

    @ray.remote
    def fails(error):
        raise error

    for error in (TwoArguments(3, "here"), Chosen("c"), Chooses("c")):
        with pytest.raises(RayTaskError) as caught:
            ray.get(fails.remote(error))
        assert isinstance(caught.value, type(error))


class NotAgain:
    def __init__(self, needed):
        self.needed = needed

    def __reduce__(self):
        return NotAgain, ()


def test_what_can_not_be_loaded_is_named():
    @ray.remote
    def makes():
        return NotAgain(1)

    @ray.remote
    def takes(value):
        return value

    for x, words in [
        (makes.remote(), ["the result of ", "makes", "test_values_everywhere.py"]),
        (ray.put(NotAgain(1)), ["the value stored at "]),
        (takes.remote(NotAgain(1)), ["an argument of ", "takes"]),
        (takes.remote(ray.put(NotAgain(1))), ["the value stored at "]),
    ]:
        with pytest.raises(TypeError) as caught:
            ray.get(x)
        for word in [*words, "can't be loaded in this process", "NotAgain", "__reduce__"]:
            assert word in str(caught.value)
        assert isinstance(caught.value, RayError)
