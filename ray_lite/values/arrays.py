"""Arrays of numpy, memoryviews and arrays of Arrow on their way through pickle: what is stored is what they show, once.

The bytes become a buffer besides the stream.  An array without gaps is stored as it lies; one whose elements share memory
(`numpy.broadcast_to`, a sliding window) with its strides; any other one is gathered straight into the store.  Arrays of Python
objects are pickled as numpy does it.  Neighbours: serialization.py calls, tensors.py does the same for torch.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from typing import Any

Refer = Callable[[Any], Any]  # takes a buffer, or a Gather; returns what the stream refers to it by

BUILTIN_DTYPES = 24  # numpy's numbers of dtypes from here on are those of other packages, or Python objects of their own

SURPLUS = 4_096  # most bytes in the buffers of an Arrow array, beyond those it shows, that are stored with it


class Gather:
    """A strided array that is copied straight into its place in the store: one copy instead of two."""

    def __init__(self, array: Any) -> None:
        self.array, self.nbytes = array, array.nbytes

    def copy_to(self, place: memoryview) -> None:
        """Copies the elements in C order to a writable memoryview of as many bytes."""
        numpy = sys.modules["numpy"]
        numpy.copyto(numpy.ndarray(self.array.shape, self.array.dtype, place), self.array)


def reduce_array(array: Any, refer: Refer) -> Any:
    """Reduces an array, or an instance of a subclass without pickling of its own; None: numpy is to do it."""
    numpy = sys.modules["numpy"]
    if array.dtype.hasobject:
        return None
    kind = None if type(array) is numpy.ndarray else type(array)
    data = array if kind is None else numpy.asarray(array)
    dtype = data.dtype.str if _has_name(data.dtype) else data.dtype
    if data.nbytes == 0:
        return _empty_array, (dtype, data.shape, kind)
    if data.flags.c_contiguous or data.flags.f_contiguous:
        order = "C" if data.flags.c_contiguous else "F"
        flat = _bytes_of(data if order == "C" else data.T)
        buffer = pickle.PickleBuffer(flat) if data.flags.writeable else refer(flat)  # a read-only one would come back as such
        return _array, (buffer, dtype, data.shape, order, kind)
    low, high = _extent(data)
    if high - low < data.nbytes:
        return _overlapping_array, (refer(_bytes_between(data, high - low)), dtype, data.shape, data.strides, -low, kind)
    return _array, (refer(Gather(data)), dtype, data.shape, "C", kind)


def reduce_masked(array: Any) -> Any:
    """Reduces a numpy.ma.MaskedArray to its two arrays."""
    return _masked_array, (sys.modules["numpy"].asarray(array._data), array._mask, array._fill_value, array._hardmask)


def reduce_memoryview(view: memoryview, refer: Refer) -> Any:
    """Reduces a memoryview: it comes back as a view of the store's bytes, or as bytes if its format is not native."""
    if len(view.format) != 1 or not view.nbytes:
        return memoryview if view.nbytes == 0 else bytes, (view.tobytes(),)
    if view.c_contiguous:
        return _memoryview, (refer(view.cast("B")), view.format, view.shape)
    import numpy

    array = numpy.asarray(view)
    low, high = _extent(array)
    if high - low < array.nbytes:
        return memoryview, (array,)
    return _memoryview, (refer(Gather(array)), view.format, view.shape)


def reduce_arrow(array: Any) -> Any:
    """Reduces an array of Arrow whose buffers hold more than it shows; None: there is nothing to leave out."""
    if array.get_total_buffer_size() <= array.nbytes + SURPLUS:
        return None
    return sys.modules["pyarrow"].concat_arrays([array]).__reduce__()


def _has_name(dtype: Any) -> bool:
    """Whether `dtype.str` says all of it: then it travels as a text, which takes a tenth of the time."""
    return dtype.num < BUILTIN_DTYPES and dtype.names is None and dtype.subdtype is None and dtype.metadata is None


def _extent(array: Any) -> tuple[int, int]:
    """Where the bytes of an array with elements begin and end, relative to its first element."""
    steps = [(length - 1) * stride for length, stride in zip(array.shape, array.strides, strict=True)]
    return sum(step for step in steps if step < 0), sum(step for step in steps if step > 0) + array.itemsize


def _bytes_of(array: Any) -> Any:
    return array.reshape(-1).view("u1")


def _bytes_between(array: Any, count: int) -> Any:
    """The `count` bytes from the lowest element of an array on."""
    lowest = array[tuple(slice(-1, None) if stride < 0 else slice(0, 1) for stride in array.strides)]
    return sys.modules["numpy"].lib.stride_tricks.as_strided(lowest.reshape(1).view("u1"), (count,), (1,))


def _empty_array(dtype: Any, shape: tuple[int, ...], kind: Any) -> Any:
    import numpy

    return numpy.ndarray.__new__(kind or numpy.ndarray, shape, dtype)


def _array(buffer: Any, dtype: Any, shape: tuple[int, ...], order: Any, kind: Any) -> Any:
    import numpy

    return numpy.ndarray.__new__(kind or numpy.ndarray, shape, dtype, buffer, order=order)


def _overlapping_array(
    buffer: Any, dtype: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int, kind: Any
) -> Any:
    """A read-only view, as it was; with a writable buffer a copy whose elements share nothing, as from plain pickle."""
    import numpy

    array = numpy.ndarray.__new__(kind or numpy.ndarray, shape, dtype, buffer, offset, strides)
    return array.copy() if array.flags.writeable else array


def _memoryview(buffer: Any, format: Any, shape: tuple[int, ...]) -> memoryview:
    return memoryview(buffer).cast("B").cast(format, shape)


def _masked_array(data: Any, mask: Any, fill_value: Any, hard_mask: bool) -> Any:
    import numpy

    return numpy.ma.MaskedArray(data, mask, copy=False, fill_value=fill_value, hard_mask=hard_mask)
