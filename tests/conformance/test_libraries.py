"""Values of libraries that pickle with buffers: views of the store, whole and equal. Each is skipped where it is missing."""

import numpy as np
import pytest

import ray_lite as ray

pytestmark = pytest.mark.usefixtures("ray_session")

ROWS = 300_000  # of eight bytes: beyond Config.private_pages


def ways(value):
    """The value out of the store, through a task, and as one's own."""
    x = ray.put([value])
    return [ray.get(x)[0], ray.get(ray.remote(lambda values: values[0]).remote(x)), ray.get(x, writable=True)[0]]


def test_memoryviews():
    for view in (memoryview(b"abc" * 1000), memoryview(np.arange(6.0).reshape(2, 3)), memoryview(bytearray(b"xyz"))):
        for got in ways(view):
            assert type(got) is memoryview and (got.format, got.shape) == (view.format, view.shape)
            assert got.tobytes() == view.tobytes()
        assert ways(view)[0].readonly and not ways(view)[2].readonly
    assert [got.tobytes() for got in ways(memoryview(b""))] == [b""] * 3
    for view in (memoryview(b"abcdef")[::2], memoryview(np.arange(12.0).reshape(3, 4).T), memoryview(np.arange(12)[::-3])):
        for got in ways(view):
            assert type(got) is memoryview and got.tolist() == view.tolist() and got.format == view.format


def test_pandas():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({
        "numbers": np.arange(ROWS) / 7, "kinds": pandas.Categorical(["x", "y"] * (ROWS // 2)), "texts": ["t"] * ROWS,
        "times": pandas.date_range("2020-01-01", periods=ROWS, freq="s"),
    })
    for got in ways(frame):
        assert got.equals(frame) and list(got.dtypes) == list(frame.dtypes)
    one, two = (ray.get(x)["numbers"].to_numpy() for x in [ray.put(frame)] * 2)
    assert np.may_share_memory(one, two) and not one.flags.writeable
    mine = ways(frame)[2]
    mine.loc[0, "numbers"] = 5.0
    assert mine.loc[0, "numbers"] == 5.0 and frame.loc[0, "numbers"] == 0.0


def test_sparse_matrices():
    sparse = pytest.importorskip("scipy.sparse")
    for kind in ("csr", "csc", "coo", "bsr", "dok"):  # lil works on writable arrays only
        matrix = sparse.random(300, 200, 0.05, format=kind, random_state=3)
        for got in ways(matrix):
            assert got.format == kind and abs(got - matrix).sum() == 0


def test_arrow():
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table({"x": np.arange(ROWS), "words": ["w"] * ROWS, "holes": [None, 1.5] * (ROWS // 2)})
    for got in ways(table):
        assert got.equals(table) and got.schema == table.schema


def test_torch():
    torch = pytest.importorskip("torch")
    tensor = torch.arange(ROWS, dtype=torch.float64)
    for got in ways(tensor):
        assert torch.equal(got, tensor)
