"""Arrays through our pickling, compared with plain pickle: every dtype, order and stride; what is stored is what they show."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ray_lite.values.serialization import dumps, flat, loads

ml_dtypes = pytest.importorskip("ml_dtypes")

OTHERS = [
    np.dtype(getattr(ml_dtypes, name))
    for name in sorted(vars(ml_dtypes))
    if isinstance(getattr(ml_dtypes, name), type) and issubclass(getattr(ml_dtypes, name), np.generic)
]
NATIVE = [np.dtype(code) for code in "?bBhHiIlLqQefdgFDGSUV"] + [
    np.dtype("S0"),
    np.dtype("U3"),
    np.dtype("V7"),
    np.dtype("M8[ns]"),
    np.dtype("m8[25us]"),
    np.dtype("M8"),
    np.dtype("f8", metadata={"unit": "m"}),
]
ORDERS = {
    "C": lambda a: a,
    "F": np.asfortranarray,
    "strided": lambda a: a[:, ::2],
    "backwards": lambda a: a[::-1],
    "column": lambda a: a[:, 1],
    "repeated": lambda a: np.broadcast_to(a[1], (4, *a[1].shape)),
}


def through(value, freeze=True):
    """A value after our pickling, its buffers as the store gives them (read-only), and the bytes stored."""
    pickled = dumps(value)
    buffers = [bytes(buffer) if freeze else buffer for buffer in flat(pickled)]
    return loads(bytes(pickled.stream), buffers), sum(pickled.lengths)


def filled(dtype, shape=(3, 6)):
    count = int(np.prod(shape))
    data = np.frombuffer(np.random.default_rng(count).bytes(count * dtype.itemsize), "u1")
    if dtype.kind in "?":
        data = data % 2
    if dtype.kind == "U":
        return np.array([f"{k:>3}" for k in range(count)], dtype).reshape(shape)
    return np.ndarray(shape, dtype, data.copy())


def same(one, other):
    assert one.dtype == other.dtype and (one.dtype.metadata or {}) == (other.dtype.metadata or {})
    assert type(one) is type(other) and one.shape == other.shape
    if one.dtype.names is None:
        assert one.tobytes() == other.tobytes()
    for name in one.dtype.names or ():  # the bytes between fields mean nothing
        same(one[name], other[name])


def check(array):
    """As from plain pickle, or, where that changes the byte order (of arrays with gaps), as it was."""
    plain = pickle.loads(pickle.dumps(array, 5))
    same(through(array)[0], plain if plain.dtype == array.dtype else array)


@pytest.mark.parametrize("dtype", [*NATIVE, *OTHERS], ids=str)
def test_every_dtype_comes_back_as_from_plain_pickle(dtype):
    for order in ORDERS.values():
        for swapped in {dtype, dtype if dtype in OTHERS else dtype.newbyteorder()}:
            check(order(filled(swapped)))


def structured():
    leaves = st.sampled_from([*NATIVE, *OTHERS]).filter(lambda dtype: dtype.itemsize > 0)
    shaped = st.tuples(leaves, st.sampled_from([(), (2,), (2, 3)])).map(lambda pair: np.dtype((pair[0], pair[1])))
    fields = st.recursive(
        shaped,
        lambda inner: st.lists(inner, min_size=1, max_size=4).map(
            lambda kinds: np.dtype([(f"f{k}", kind) for k, kind in enumerate(kinds)])
        ),
        max_leaves=6,
    )
    return st.tuples(fields, st.booleans()).map(
        lambda pair: np.dtype([("a", "u1"), ("b", pair[0])], align=pair[1]) if pair[0].subdtype or pair[1] else pair[0]
    )


@settings(max_examples=80, deadline=None)
@given(structured(), st.sampled_from(sorted(ORDERS)))
def test_structured_mixtures_come_back_as_from_plain_pickle(dtype, order):
    if dtype.subdtype is not None:
        dtype = np.dtype([("only", dtype)])
    array = ORDERS[order](np.ndarray((3, 6), dtype, bytearray(k % 2 for k in range(18 * dtype.itemsize))))
    check(array)


@settings(max_examples=80, deadline=None)
@given(hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, min_side=0, max_side=4)), st.data())
def test_shapes_and_indices_come_back_as_from_plain_pickle(array, data):
    shown = array[data.draw(hnp.basic_indices(array.shape))]
    if isinstance(shown, np.ndarray):
        check(shown)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-3, 3)), min_size=1, max_size=3))
def test_any_strides_are_stored_once(axes):
    """A view with any strides over one line of numbers: no more is stored than it shows, or than lies below it."""
    line = np.arange(64.0)
    middle = np.lib.stride_tricks.as_strided(line[32:], [n for n, _ in axes], [8 * s for _, s in axes])
    back, stored = through(middle)
    assert np.array_equal(back, middle)
    reach = sum(abs((n - 1) * s) for n, s in axes) + 1
    assert stored <= min(middle.nbytes, 8 * reach) if middle.size else stored == 0
    mine, _ = through(middle, freeze=False)
    if middle.size:
        mine[...] = np.arange(middle.size).reshape(middle.shape)
        assert np.array_equal(mine, np.arange(middle.size).reshape(middle.shape)), (
            "its elements share nothing when it may be written"
        )


def test_what_owns_its_data_may_be_written_and_what_is_shared_may_not():
    owned = [
        np.array([{1: 2}, None], object),
        np.zeros((0, 3)),
        np.zeros(0, ml_dtypes.bfloat16),
        np.empty((2, 0), "S3"),
        np.array([("a", 1)], [("x", object), ("y", int)]),
    ]
    for array in owned:
        assert through(array)[0].flags.writeable
        array.flags.writeable = False
        assert through(array)[0].flags.writeable, "as from plain pickle"
    for array in (np.arange(3), np.broadcast_to(1.0, 5), np.arange(9)[::2]):
        assert not through(array)[0].flags.writeable
        assert through(array, freeze=False)[0].flags.writeable


def test_what_is_stored_of_a_part_is_the_part():
    large = np.arange(1_000_000.0)
    for part, most in [
        (np.broadcast_to(large[:8], (10**8, 8)), 64),
        (large[5:10], 40),
        (large[::100_000], 80),
        (np.lib.stride_tricks.sliding_window_view(large[:100], 50), 800),
        (memoryview(large)[3:9], 48),
        (memoryview(large)[::250_000], 32),
        (memoryview(np.broadcast_to(np.int8(3), 10**9)), 1),
        (np.ma.masked_array(large, large > 3)[2:6], 36),
        (large.view(np.recarray)[7:9], 16),
    ]:
        back, stored = through(part)
        assert stored <= most
        assert type(back) is type(part) and np.asarray(back).shape == np.asarray(part).shape
        assert np.asarray(back).flat[:9].tolist() == np.asarray(part).flat[:9].tolist()
