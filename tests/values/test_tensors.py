"""Tensors through our pickling: right, trimmed to what they show, and sharing what they shared."""

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_lite.values.serialization import dumps, flat, loads

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.filterwarnings("ignore::DeprecationWarning")]


class Named(torch.Tensor):
    pass


def through(value):
    """A value after our pickling, its buffers read-only as the store gives them, and the bytes stored."""
    pickled = dumps(value)
    back = loads(bytes(pickled.stream), [bytes(buffer) for buffer in flat(pickled)])
    return back, sum(pickled.lengths)


def named():
    tensor = torch.arange(4.0).as_subclass(Named)
    tensor.unit = "m"
    return tensor


LINE = torch.arange(1000.0)
KINDS = {
    "plain": lambda: LINE[:10].clone(),
    "slice": lambda: LINE[5:9],
    "scalar": lambda: torch.tensor(3),
    "empty": lambda: torch.zeros(0, 3),
    "leaf": lambda: torch.ones(3, requires_grad=True),
    "not a leaf": lambda: torch.ones(3, requires_grad=True) * 2,
    "parameter": lambda: torch.nn.Parameter(torch.ones(2, 2)),
    "frozen": lambda: torch.nn.Parameter(torch.ones(2), requires_grad=False),
    "transposed": lambda: LINE[:12].view(3, 4).T,
    "expanded": lambda: torch.ones(1).expand(10**9),
    "column": lambda: LINE.view(10, 100)[:, 3],
    "subclass": named,
    "bool": lambda: LINE[:9] > 3,
    "bfloat16": lambda: LINE[:9].to(torch.bfloat16),
    "uint16": lambda: LINE[:9].to(torch.uint16),
    "float8": lambda: torch.ones(5).to(torch.float8_e5m2),
    "complex": lambda: torch.ones(3, dtype=torch.complex64) * 2j,
    "conjugate": lambda: (torch.ones(3, dtype=torch.complex64) * 2j).conj(),
    "negative": lambda: (torch.ones(3, dtype=torch.complex64) * 2j).conj().imag,
    "sparse": lambda: torch.eye(3).to_sparse(),
    "csr": lambda: torch.eye(3).to_sparse_csr(),
    "quantised": lambda: torch.quantize_per_tensor(LINE[:8], 0.5, 3, torch.qint8),
    "quantised by channel": lambda: torch.quantize_per_channel(
        LINE[:6].view(2, 3), torch.ones(2), torch.zeros(2), 0, torch.quint8
    ),
    "meta": lambda: torch.ones(3, device="meta"),
    "nested": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
}


def facts(tensor):
    return (
        type(tensor),
        tensor.dtype,
        tensor.layout,
        tensor.size(),
        tensor.requires_grad,
        tensor.is_leaf,
        tensor.device,
        vars(tensor),
    )


def dense(tensor):
    if tensor.is_quantized:
        return tensor.dequantize()
    return tensor.to_dense() if tensor.layout not in (torch.strided, torch.jagged) else tensor


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_as_from_plain_pickle(kind):
    tensor = KINDS[kind]()
    back, stored = through(tensor)
    plain = pickle.loads(pickle.dumps(tensor)) if kind not in ("expanded", "uint16", "float8") else tensor
    if kind != "nested":
        assert facts(back) == facts(plain) and stored < 500
    if kind not in ("meta", "nested"):
        shown = slice(0, 5) if kind == "expanded" else ...
        assert torch.equal(
            dense(back.detach())[shown].float() if not back.is_complex() else dense(back.detach()),
            dense(plain.detach())[shown].float() if not back.is_complex() else dense(plain.detach()),
        )


def test_what_is_stored_is_what_a_tensor_shows():
    large = torch.arange(1_000_000.0)
    assert through(large[:8])[1] == 32
    assert through(large[100:108])[1] <= 32 + 64, "from a multiple of 64 bytes on"
    assert through([large[:8], large[4:12], large[500_000:500_010]])[1] <= 48 + 40 + 64
    back, stored = through(large.view(1000, 1000)[:, 5])
    assert stored == 4000 and torch.equal(back, large.view(1000, 1000)[:, 5])
    assert through(torch.ones(1).expand(10**9))[1] == 4
    assert through(large.untyped_storage())[1] == 4_000_000
    assert through([large, large[:3], large.view(1000, 1000), large.view(torch.uint8)])[1] == 4_000_000, "once"


def test_what_was_shared_is_shared_and_nobody_elses():
    model = torch.nn.LSTM(3, 4)
    tied = torch.nn.ModuleList([torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)])
    tied[1].weight = tied[0].weight
    storage = LINE.untyped_storage()
    back = through({"model": model, "tied": tied, "storages": [storage, LINE.storage(), LINE]})[0]
    assert back["tied"][1].weight is back["tied"][0].weight
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), back["model"].parameters(), strict=True))
    back["storages"][2][7] = -1
    assert back["storages"][1][7] == -1 and LINE[7] == 7
    assert back["storages"][0].data_ptr() == back["storages"][2].data_ptr()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=2)),
        min_size=1,
        max_size=5,
    )
)
def test_any_views_of_one_storage_share_what_they_shared(places):
    """Written numbers show in the same places as after plain pickle, which keeps the whole storage."""
    line = torch.arange(100.0)
    views = [torch.as_strided(line, [n for n, _ in axes], [s for _, s in axes], offset) for offset, axes in places]
    ours, stored = through(views)
    assert stored <= 4 * 100 + 64 * len(views)
    for one, other in zip(ours, views, strict=True):
        assert one.size() == other.size() and torch.equal(one, other)
    if len(views) > 1 and ours[0].numel():
        at = tuple(0 for _ in ours[0].size())
        ours[0][at] = -1.0
        line[places[0][0]] = -1.0
        for one, other in zip(ours[1:], views[1:], strict=True):
            assert torch.equal(one, other)
