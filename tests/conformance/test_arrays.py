"""numpy in the store: every dtype, order and stride; read-only views without a copy that live as long as
anyone looks.
"""

import gc
import os
import pickle

import numpy as np
import pytest

import ray_lite as ray

pytestmark = pytest.mark.usefixtures("ray_session")

DTYPES = [
    "?",
    "i1",
    "u1",
    "i2",
    "<i4",
    ">i4",
    "i8",
    "u8",
    "f2",
    "f4",
    "f8",
    ">f8",
    "c8",
    "c16",
    "S7",
    "U5",
    "M8[ns]",
    "m8[s]",
    "V6",
    [("a", "i4"), ("b", "f8", (2,)), ("c", "U3")],
]


def filled(dtype, shape):
    raw = np.random.default_rng(3).integers(0, 100, (*shape, np.dtype(dtype).itemsize), dtype=np.uint8)
    if np.dtype(dtype).kind in "?b":
        raw &= 1
    if np.dtype(dtype).kind == "U" or np.dtype(dtype).names:
        return np.zeros(shape, dtype)  # arbitrary bytes are no legal text
    return np.ascontiguousarray(raw).view(dtype).reshape(shape)


def same(got, expected):
    assert got.dtype == expected.dtype and got.shape == expected.shape
    assert got.tobytes() == expected.tobytes()
    return True


def test_dtypes():
    for size in [3, 4000]:
        for dtype in DTYPES:
            array = filled(dtype, (size, 2))
            got = ray.get(ray.put(array))
            assert same(got, array) and not got.flags.writeable, dtype


def shapes():
    base = np.arange(240_000, dtype=np.float64).reshape(200, 30, 40)
    return {
        "C": base,
        "Fortran": np.asfortranarray(base),
        "transposed": base.transpose(2, 0, 1),
        "strided": base[::2, 1::3, ::-1],
        "negative": base[::-1],
        "column": base[:, :, 3],
        "row": base[7],
        "broadcast": np.broadcast_to(base[0, 0], (500, 40)),
        "zero-dimensional": np.array(5.0),
        "one element": np.ones(1),
        "empty": np.empty((0, 4)),
        "empty inside": np.empty((3, 0, 2)),
        "many dimensions": base.reshape(2, 2, 2, 5, 5, 2, 3, 5, 2, 2, 5, 2),
        "diagonal": np.diagonal(base[0]),
        "record field": np.zeros(9000, [("a", "i4"), ("b", "f8")])["b"],
    }


def test_orders_and_strides():
    for name, array in shapes().items():
        for got in (
            ray.get(ray.put(array)),
            ray.get(ray.remote(lambda a: a).remote(array)),
            ray.get(ray.put({"k": [array]}))["k"][0],
        ):
            assert same(got, array), name
            assert got.flags.writeable == (got.size == 0), name
    assert ray.get(ray.put(shapes()["Fortran"])).flags.f_contiguous


def test_read_only_means_read_only():
    array = ray.get(ray.put(np.zeros(100_000)))
    with pytest.raises(ValueError):
        array[0] = 1
    with pytest.raises(ValueError):
        array += 1
    with pytest.raises(ValueError):
        array.flags.writeable = True
    with pytest.raises(ValueError):
        array.sort()
    copied = array.copy()
    copied[0] = 1
    assert array[0] == 0


def test_small_arrays_are_read_only_too():
    for array in (np.zeros(1), np.array(1), np.arange(5), np.zeros((2, 2), order="F"), np.zeros(10)[::2]):
        got = ray.get(ray.put(array))
        assert not got.flags.writeable and (got == array).all()


def test_aligned_to_64_bytes():
    for count in [1000, 50_000, 500_000]:
        values = [np.arange(count + i, dtype=np.uint8 if i % 2 else np.float64) for i in range(5)]
        for got in (*ray.get(ray.put(values)), *[ray.get(ray.put(value)) for value in values]):
            assert got.ctypes.data % 64 == 0


def test_no_copy():
    stored = ray.put(np.arange(1_000_000))
    one, two = ray.get(stored), ray.get(stored)
    assert one.ctypes.data == two.ctypes.data and np.shares_memory(one, two)
    with open("/proc/self/maps") as maps:
        ranges = [line.split("-", 1) for line in maps if "memfd:" in line and "ray_lite" in line]
    assert any(int(low, 16) <= one.ctypes.data < int(high.split()[0], 16) for low, high in ranges)


def test_reading_costs_no_private_memory():
    stored = ray.put(np.ones(8_000_000))  # 64 MB

    @ray.remote
    def growth(array):
        def private():
            with open("/proc/self/status") as status:
                return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) * 1024

        before = private()
        return float(array.sum()), private() - before

    for total, grown in ray.get([growth.remote(stored) for _ in range(4)]):
        assert total == 8_000_000 and grown < 32 << 20


def test_a_view_outlives_its_id():
    array = ray.get(ray.put(np.arange(100_000)))
    part = ray.get(ray.put({"a": np.arange(100_000, 200_000)}))["a"][5:9]
    gc.collect()
    churn = [ray.put(np.full(100_000, -7)) for _ in range(20)]  # would reuse the bytes, were they free
    assert (array == np.arange(100_000)).all() and part.tolist() == [100_005, 100_006, 100_007, 100_008]
    assert len(churn) == 20


def test_views_of_views_and_derived_objects():
    array = ray.get(ray.put(np.arange(100_000, dtype=np.int64)))
    derived = [array.reshape(100, 1000).T[5], array.view(np.float64), memoryview(array), array.data]
    del array
    gc.collect()
    churn = [ray.put(np.full(100_000, -7)) for _ in range(20)]
    assert derived[0][3] == 3005 and memoryview(derived[2])[7] == 7 and derived[3][8] == 8
    assert derived[1].view(np.int64)[9] == 9 and len(churn) == 20


def test_parts_of_one_value_share_and_keep():
    big = np.arange(50_000)
    one, two, three = ray.get(ray.put([big, big[10:], big]))
    assert (one == big).all() and (two == big[10:]).all() and one is three


def test_object_arrays():
    array = np.array([1, "two", None, [3], {"k": 4}], dtype=object)
    for got in (ray.get(ray.put(array)), ray.get(ray.remote(lambda a: a).remote(array))):
        assert got.dtype == object and got.tolist() == array.tolist()
    nested = np.empty(2, dtype=object)
    nested[0], nested[1] = np.arange(50_000), np.arange(3)
    got = ray.get(ray.put(nested))
    assert (got[0] == nested[0]).all() and (got[1] == nested[1]).all()


def test_subclasses_and_scalars():
    masked = np.ma.masked_array(np.arange(20_000), mask=np.arange(20_000) % 2)
    got = ray.get(ray.put(masked))
    assert isinstance(got, np.ma.MaskedArray) and got.sum() == masked.sum()
    matrix = np.arange(4.0).reshape(2, 2).view(np.recarray)
    assert isinstance(ray.get(ray.put(matrix)), np.recarray)
    for scalar in (
        np.float32(1.5),
        np.int8(-3),
        np.bool_(True),
        np.str_("s"),
        np.datetime64("2018-04-01"),
        np.complex64(1j),
    ):
        got = ray.get(ray.put(scalar))
        assert got == scalar and type(got) is type(scalar)
    generator = ray.get(ray.put(np.random.default_rng(5)))
    assert generator.random() == np.random.default_rng(5).random()
    assert ray.get(ray.put(np.dtype("f4"))) == np.dtype("f4")


def test_results_of_tasks_are_views_too():
    @ray.remote(num_return_vals=2)
    def two():
        return np.arange(100_000), {"inner": np.ones(100_000)}

    first, second = ray.get(two.remote())
    assert not first.flags.writeable and not second["inner"].flags.writeable
    assert first.ctypes.data % 64 == 0 and second["inner"].ctypes.data % 64 == 0
    assert first.sum() == 4_999_950_000 and second["inner"].sum() == 100_000


def test_a_received_view_may_be_passed_on():
    view = ray.get(ray.put(np.arange(100_000)))
    assert (ray.get(ray.put(view)) == view).all()
    assert (ray.get(ray.remote(lambda a: a[::2]).remote(view)) == view[::2]).all()
    assert (ray.get(ray.remote(lambda a: a).remote(ray.put(view))) == view).all()


def test_pickle_buffers_of_any_class():
    class Blob:
        def __init__(self, data):
            self.data = data

        def __reduce_ex__(self, protocol):
            return Blob, (pickle.PickleBuffer(self.data),)

    content = os.urandom(300_000)
    got = ray.get(ray.put(Blob(bytearray(content)))).data
    view = memoryview(got)
    assert view.readonly and bytes(view) == content
    assert np.frombuffer(view, np.uint8).ctypes.data % 64 == 0


def test_fifty_arrays_in_one_value():
    value = {i: np.full(1000 * (i + 1), i) for i in range(50)}
    got = ray.get(ray.put(value))
    assert all((got[i] == i).all() and len(got[i]) == 1000 * (i + 1) for i in value)


class Tagged(np.ndarray):
    """A subclass as people write them."""

    def __array_finalize__(self, other):
        self.tag = getattr(other, "tag", None)


def subclasses(tmp_path):
    base = np.arange(40_000).reshape(200, 200)
    mapped = np.memmap(tmp_path / "mapped", dtype="i8", mode="w+", shape=(300, 10))
    mapped[:] = 5
    table = np.array([(1, 2.5), (2, 3.5)] * 500, dtype=[("a", "i4"), ("b", "f8")]).view(np.recarray)
    return [base.view(Tagged), base.view(np.matrix), np.asfortranarray(base).view(Tagged), base.view(Tagged)[::3, ::7],
            mapped, table, np.zeros((0, 4)).view(Tagged)]


def test_subclasses_are_views_too(tmp_path):
    for array in subclasses(tmp_path):
        x = ray.put([array])
        one, two = ray.get(x)[0], ray.get(x)[0]
        assert type(one) is type(array) and one.dtype == array.dtype and np.array_equal(one, array)
        assert one.flags.writeable == (one.size == 0)
        if array.size:
            assert np.may_share_memory(one, two) and np.asarray(one).ctypes.data % 64 == 0
    assert ray.get(ray.put(subclasses(tmp_path)[5])).a[1] == 2


def test_masked_arrays_are_views_too():
    data, mask = np.arange(30_000.0), np.arange(30_000) % 3 == 0
    for array in (np.ma.MaskedArray(data, mask, fill_value=-1), np.ma.MaskedArray(data), np.ma.masked_all((3, 4))):
        x = ray.put(array)
        one, two = ray.get(x), ray.get(x)
        assert type(one) is np.ma.MaskedArray and one.fill_value == array.fill_value
        assert np.array_equal(one.filled(), array.filled()) and np.array_equal(one.mask, array.mask)
        assert np.may_share_memory(one.data, two.data) and not one.flags.writeable
        mine = ray.get(x, writable=True)
        mine[-1] = 7
        assert np.all(mine[-1] == 7) and not np.all(ray.get(x)[-1] == 7)
