"""Tensors of torch on the CPU on their way through pickle: their bytes are stored once, and come back without a copy.

torch reduces a tensor to a storage and a place in it.  That stays so, but a storage travels as the parts of it that the value's
tensors show (`Span`), each a buffer besides the stream; tensors that share bytes share a part.  torch has no read-only tensors:
a part is loaded as bytes of the loading process alone, copied page by page where they are written (`_core.writable`).  Tensors
on other devices, and storages inside other reductions, travel as torch does it.  Neighbour: serialization.py calls.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

from ray_lite import _core

ALIGNMENT = 64  # a part begins at a multiple of so many bytes of its storage, as in the store: a multiple of every itemsize


class Span:
    """The bytes [low, high) of a storage, as far as the tensors of one value show them.

    Args:
        storage: a torch.UntypedStorage on the CPU.
    """

    def __init__(self, storage: Any, low: int, high: int) -> None:
        self.storage, self.low, self.high = storage, low, high
        self.start = low - low % ALIGNMENT  #: first byte that is stored
        self.tensors = self.shown = 0  #: number of tensors in it, and of bytes that these show
        self.gathered = False  #: whether its only tensor shows so little of it that only that is stored

    @property
    def is_sparse(self) -> bool:
        """Whether its only tensor shows less than half of it."""
        return self.tensors == 1 and 2 * self.shown < self.high - self.low

    def reduce(self, refer: Callable[[Any], Any]) -> Any:
        """Reduces the part to a call that makes a storage of it."""
        size = self.high - self.start
        if self.low == self.high:
            return sys.modules["torch"].UntypedStorage, (0,)
        import ctypes  # with the first tensor: other values do not need it

        memory: Any = (ctypes.c_char * size).from_address(self.storage.data_ptr() + self.start)
        memory.owner = self.storage
        return _storage, (refer(memoryview(memory).cast("B")),)


class Spans:
    """Which parts of which storages a value shows.

    A tensor that shows bytes of several known parts, or a part that turns out to hold little, means that the value is to be
    pickled once more, with the spans of `improved`.
    """

    def __init__(self) -> None:
        self._of: dict[int, list[Span]] = {}  # by address of the storage's C object
        self._overlaps = False

    def find(self, storage: Any, low: int, high: int, shown: int) -> Span:
        """The part with these bytes, of which a tensor shows `shown`; makes one for bytes that are in none."""
        spans = self._of.setdefault(storage._cdata, [])
        span = next((one for one in spans if one.low <= low and high <= one.high), None)
        if span is None:
            self._overlaps |= any(low < one.high and one.low < high for one in spans)
            span = Span(storage, low, high)
            spans.append(span)
        span.tensors += 1
        span.shown += shown
        return span

    def improved(self) -> Spans | None:
        """Parts that don't overlap, with those marked that are to be gathered; None if these parts are that good already."""
        if not self._overlaps and not any(one.is_sparse for spans in self._of.values() for one in spans):
            return None
        better = Spans()
        for key, spans in self._of.items():
            better._of[key] = _merged(spans)
        return better


def _merged(spans: list[Span]) -> list[Span]:
    """The spans, with those that overlap made one."""
    out: list[Span] = []
    for one in sorted(spans, key=lambda span: span.low):
        if out and one.low < out[-1].high:
            last = out.pop()
            out.append(Span(last.storage, last.low, max(last.high, one.high)))
        else:
            out.append(Span(one.storage, one.low, one.high))
            out[-1].gathered = one.is_sparse
    return out


def reduce_tensor(tensor: Any, protocol: int, spans: Spans) -> Any:
    """Reduces a tensor, or an instance of a subclass, as torch does, but for the storage."""
    reduced = tensor.__reduce_ex__(protocol)
    build, args, *rest = reduced
    if build is sys.modules["torch"]._tensor._rebuild_from_type_v2:
        inner, kind, inner_args, state = args
        stored = _stored(tensor, inner, inner_args, spans)
        return (build, (stored[0], kind, stored[1], state), *rest) if stored else reduced
    stored = _stored(tensor, build, args, spans)
    return (*stored, *rest) if stored else reduced


def reduce_storage(storage: Any, spans: Spans) -> Any:
    """Reduces a whole storage, typed or untyped; None: torch is to do it."""
    untyped = _untyped(storage)
    if untyped is None:
        return None
    span = spans.find(untyped, 0, untyped.nbytes(), untyped.nbytes())
    return _retyped, (span, None if untyped is storage else storage.dtype)


def _untyped(storage: Any) -> Any:
    """The untyped storage on the CPU in a storage of torch; None: it is something else, or elsewhere."""
    torch = sys.modules["torch"]
    untyped = storage._untyped_storage if isinstance(storage, torch.storage.TypedStorage) else storage
    return untyped if type(untyped) is torch.UntypedStorage and untyped.device.type == "cpu" else None


def _stored(tensor: Any, build: Any, args: tuple[Any, ...], spans: Spans) -> Any:
    """The reduction (build, (storage, offset, size, stride, ...)) with a part for the storage; None: it is another one."""
    if len(args) < 4 or (untyped := _untyped(args[0])) is None:
        return None
    storage, offset, size, stride, *rest = args
    dtype = tensor.dtype if untyped is storage else storage.dtype
    itemsize = tensor.element_size()
    shown = tensor.numel() * itemsize
    reach = sum((length - 1) * step for length, step in zip(size, stride, strict=True)) + 1 if shown else 0
    low = offset * itemsize if shown else 0
    span = spans.find(untyped, low, low + reach * itemsize, shown)
    if span.gathered and not tensor.is_quantized:
        torch = sys.modules["torch"]
        dense = torch.empty(0, dtype=tensor.dtype).set_(untyped, offset, size, stride).contiguous()
        span, stride, offset = Span(dense.untyped_storage(), 0, shown), dense.stride(), 0
    place = offset - span.start // itemsize if shown else 0, size, stride
    return _tensor, (build, span, dtype, place, rest)


def _storage(buffer: Any) -> Any:
    torch = importlib.import_module("torch")
    return torch.frombuffer(_core.writable(buffer), dtype=torch.uint8).untyped_storage()


def _retyped(storage: Any, dtype: Any) -> Any:
    torch = importlib.import_module("torch")
    return storage if dtype is None else torch.storage.TypedStorage(wrap_storage=storage, dtype=dtype, _internal=True)


def _tensor(build: Any, storage: Any, dtype: Any, place: tuple[Any, ...], rest: list[Any]) -> Any:
    return build(_retyped(storage, dtype), *place, *rest)
