"""Values of libraries that pickle with buffers: views of the store, whole and equal. Each is skipped where it is missing."""

import multiprocessing

import numpy as np
import pytest
from mappings import private_kib

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
    for kind in ("csr", "csc", "coo", "bsr", "dok", "lil"):
        matrix = sparse.random(300, 200, 0.05, format=kind, random_state=3)
        for got in ways(matrix):
            assert got.format == kind and abs(got - matrix).sum() == 0
    got[0, 1] = 5.0  # a lil_matrix owns its lists
    assert got[0, 1] == 5.0


def test_arrow():
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table({"x": np.arange(ROWS), "words": ["w"] * ROWS, "holes": [None, 1.5] * (ROWS // 2)})
    for got in ways(table):
        assert got.equals(table) and got.schema == table.schema


def stored(value):
    """Bytes that a value takes in the store."""
    x = ray.put(value)
    return ray.global_state.object_table(x)["DataSize"]


def arrow_arrays(arrow):
    numbers = arrow.array(range(ROWS))
    words = arrow.array([f"word {k}" for k in range(ROWS)])
    yield from (numbers, words, words.cast(arrow.large_string()), arrow.nulls(ROWS))
    yield arrow.array([k % 3 == 0 for k in range(ROWS)])
    yield arrow.array([[k, k + 1] for k in range(ROWS)])
    yield arrow.array([[k, k + 1] for k in range(ROWS)], arrow.list_(arrow.int64(), 2))
    yield arrow.StructArray.from_arrays([numbers, words], ["number", "word"])
    yield arrow.array([None if k % 7 else f"{k % 5}" for k in range(ROWS)]).dictionary_encode()
    yield arrow.array([[("key", k)] for k in range(ROWS)], arrow.map_(arrow.string(), arrow.int64()))
    yield arrow.array([b"0123456789abcdef"] * ROWS, arrow.binary(16))


def test_a_part_of_an_arrow_table_is_stored_as_that_part():
    arrow = pytest.importorskip("pyarrow")
    for array in arrow_arrays(arrow):
        table = arrow.table({"x": array})
        rows = table.slice(1000, 10)
        for part in (rows, rows.column("x"), array.slice(1000, 10), rows.to_batches()[0]):
            assert stored(part) < 9_000
            for got in ways(part):
                assert type(got) is type(part) and got.equals(part)
        assert ray.get(ray.put(table)).equals(table)


def test_a_part_of_a_frame_is_stored_as_that_part():
    pandas, arrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    texts = pandas.Series([f"text {k}" for k in range(ROWS)], dtype=pandas.ArrowDtype(arrow.string()))
    frame = pandas.DataFrame({"texts": texts, "numbers": np.arange(ROWS)})
    part = frame.iloc[1000:1010]
    assert stored(part) < 9_000
    for got in ways(part):
        assert got.equals(part)


def test_torch():
    torch = pytest.importorskip("torch")
    tensor = torch.arange(ROWS, dtype=torch.float64)
    for got in ways(tensor):
        assert torch.equal(got, tensor)
        got += 1  # one's own, whether asked for or not: torch has no read-only tensors
    x = ray.put({"whole": tensor, "part": tensor[10:20]})
    one, other = ray.get(x), ray.get(x)
    one["part"][0] = -5
    assert one["whole"][10] == -5 and other["whole"][10] == tensor[10] == 10
    assert stored(tensor[:8]) < 1_000


def test_a_tensor_that_is_read_copies_nothing():
    torch = pytest.importorskip("torch")
    x = ray.put(torch.ones(4_000_000))
    tensor = ray.get(x)
    assert tensor.sum() == 4_000_000
    assert private_kib(tensor.data_ptr()) == 0
    tensor[0] = 2
    assert 0 < private_kib(tensor.data_ptr()) <= 64


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("rounds", [3, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.watchdog(900)])])
@pytest.mark.slow
def test_forked_loaders_and_servers_live_beside_a_session(rounds):
    torch = pytest.importorskip("torch")
    images = ray.get(ray.put(torch.arange(400.0).view(100, 4)))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images), batch_size=25, num_workers=4)
    double = ray.remote(lambda batch: batch * 2)
    server = multiprocessing.get_context("fork").Pool(2)
    try:
        for _ in range(rounds):
            batches = [batch for (batch,) in loader]
            doubled = ray.get([double.remote(batch) for batch in batches])
            assert server.map(abs, [int(batch.sum()) for batch in doubled]) == [2 * int(batch.sum()) for batch in batches]
    finally:
        server.terminate()
        server.join()
