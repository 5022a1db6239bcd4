"""Values to bytes and back: pickle protocol 5 with out-of-band buffers, and cloudpickle for what plain pickle refuses.

A pickled value is a `Pickled`: a stream, the buffers that are copied straight into the store, their lengths, and the ids that
the value contains.  numpy arrays of any size, order or stride become buffers and come back as read-only views.  Common plain
values never come here: _core.src/python/codec.pyx encodes them.  Neighbours: pickle_errors.py explains failures;
store/object_store.py stores what is pickled.  No I/O.
"""

from __future__ import annotations

import contextvars
import functools
import importlib
import io
import pickle
import sys
import types
from typing import Any, NamedTuple

from ray_lite import _core
from ray_lite.exceptions import ForkedError, ObjectLostError, RaySystemError, TaskCancelledError
from ray_lite.values.pickle_errors import explain

PROTOCOL = 5
NO_FILE = "<dynamic-code>"  # cloudpickle writes this as the file of all code; tracebacks must name the real file


_thawed = contextvars.ContextVar("_thawed", default=False)  # whether arrays that are being loaded may be written


class Pickled(NamedTuple):
    """A pickled value, ready to be copied into the store."""

    stream: bytes | memoryview
    buffers: list[Any]  #: contiguous buffers, or objects that copy themselves (`copy_to`)
    lengths: list[int]  #: bytes of each buffer
    contained: list[_core.ObjectID]  #: ids inside the value; the store pins their objects

    @property
    def size(self) -> int:
        """Bytes of stream and buffers, without the padding between buffers."""
        return len(self.stream) + sum(self.lengths)


class _Gather:
    """A strided array that is copied straight into its place in the store: one copy instead of two."""

    def __init__(self, array: Any) -> None:
        self.array, self.nbytes = array, array.nbytes

    def copy_to(self, place: memoryview) -> None:
        numpy = sys.modules["numpy"]
        numpy.copyto(numpy.ndarray(self.array.shape, self.array.dtype, place), self.array)


class _Collected:
    """Buffers and ids that a pickler collects besides the stream; separate from it, so that no cycle keeps ids alive."""

    def __init__(self) -> None:
        self.buffers: list[Any] = []
        self.lengths: list[int] = []
        self.contained: list[_core.ObjectID] = []
        self.stand_ins: dict[int, Any] = {}  # id of a PickleBuffer -> what goes into the store instead

    def keep(self, buffer: pickle.PickleBuffer) -> None:
        real = self.stand_ins.pop(id(buffer), None)
        if real is None:
            real = buffer.raw()
        self.buffers.append(real)
        self.lengths.append(real.nbytes)


class _Reducers:
    """ray_lite's own reducers, for ids, arrays, views and code; cloudpickle's reducers take the rest."""

    def __init__(self, file: io.BytesIO, collected: _Collected) -> None:
        super().__init__(file, protocol=PROTOCOL, buffer_callback=collected.keep)  # type: ignore[call-arg]
        self.collected = collected
        self._ndarray = getattr(sys.modules.get("numpy"), "ndarray", None)

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if kind is _core.ObjectID:
            token = _core.id_token(obj)
            self.collected.contained.append(obj)
            return _core.id_from_token, token
        if kind is types.CodeType and obj.co_filename != NO_FILE:
            return _name_file, (obj.replace(co_filename=NO_FILE), obj.co_filename)
        if kind is memoryview:
            return self._reduce_view(obj)
        if self._ndarray is not None and issubclass(kind, self._ndarray):
            return self._reduce_array_like(obj, kind)
        return super().reducer_override(obj)  # type: ignore[misc]

    def _reduce_view(self, view: memoryview) -> Any:
        """Reduces a memoryview: it comes back as a view of the store's bytes, or as bytes if its format is not native."""
        if len(view.format) != 1 or not view.nbytes:
            return memoryview if view.nbytes == 0 else bytes, (view.tobytes(),)
        real: Any = view.cast("B") if view.c_contiguous else _Gather(importlib.import_module("numpy").asarray(view))
        return _rebuild_view, (self._stand_in(real), view.format, view.shape)

    def _reduce_array_like(self, array: Any, kind: Any) -> Any:
        """Reduces an array; an instance of a subclass too, unless the subclass defines its own pickling."""
        numpy = sys.modules["numpy"]
        if kind is numpy.ma.MaskedArray:
            facts = array._fill_value, array._hardmask
            return _rebuild_masked, (numpy.asarray(array._data), array._mask, *facts)
        if kind.__reduce__ is self._ndarray.__reduce__ and kind.__reduce_ex__ is self._ndarray.__reduce_ex__:
            return self._reduce_array(array)
        return super().reducer_override(array)  # type: ignore[misc]

    def _reduce_array(self, array: Any) -> Any:
        if array.dtype.hasobject:
            rebuild, args, state = array.__reduce__()
            return rebuild, args, state, None, None, _set_frozen
        plain = array.dtype.names is None and array.dtype.subdtype is None and array.dtype.metadata is None
        dtype = array.dtype.str if plain else array.dtype
        kind = None if type(array) is self._ndarray else type(array)
        data = array if kind is None else sys.modules["numpy"].asarray(array)
        buffer: Any = b""
        if data.flags.c_contiguous or data.flags.f_contiguous:
            order = "C" if data.flags.c_contiguous else "F"
            if data.nbytes:
                buffer = self._buffer(_bytes_of(data if order == "C" else data.T))
        else:
            order, buffer = "C", self._buffer(_Gather(data))
        return _rebuild_array, (buffer, dtype, data.shape, order, kind)

    def _buffer(self, real: Any) -> pickle.PickleBuffer:
        """The buffer that the stream refers to: never read-only, since the loading process decides that."""
        if not isinstance(real, _Gather) and real.flags.writeable:
            return pickle.PickleBuffer(real)
        return self._stand_in(real)

    def _stand_in(self, real: Any) -> pickle.PickleBuffer:
        stand_in = pickle.PickleBuffer(bytearray())
        self.collected.stand_ins[id(stand_in)] = real
        return stand_in


@functools.cache
def pickler() -> Any:
    """The class of picklers; made when first needed, since the import of cloudpickle takes 10 ms."""
    import cloudpickle

    return type("Pickler", (_Reducers, cloudpickle.Pickler), {})


def _bytes_of(array: Any) -> Any:
    return array.reshape(-1).view("u1")


def _rebuild_array(buffer: Any, dtype: Any, shape: tuple[int, ...], order: Any, kind: Any) -> Any:
    import numpy

    if not len(buffer):
        buffer = bytearray() if _thawed.get() else b""
    return numpy.ndarray.__new__(kind or numpy.ndarray, shape, dtype, buffer, order=order)


def _rebuild_view(buffer: Any, format: Any, shape: tuple[int, ...]) -> memoryview:
    return memoryview(buffer).cast("B").cast(format, shape)


def _rebuild_masked(data: Any, mask: Any, fill_value: Any, hard_mask: bool) -> Any:
    import numpy

    return numpy.ma.MaskedArray(data, mask, copy=False, fill_value=fill_value, hard_mask=hard_mask)


def _name_file(code: types.CodeType, file: str) -> types.CodeType:
    return code.replace(co_filename=file)


def _set_frozen(array: Any, state: Any) -> None:
    array.__setstate__(state)
    array.flags.writeable = _thawed.get()


def flat(pickled: Pickled) -> list[bytearray]:
    """Copies of the buffers of a pickled value, for a caller that does not put them into the store."""
    copies = [bytearray(length) for length in pickled.lengths]
    for buffer, copy in zip(pickled.buffers, copies, strict=True):
        if isinstance(buffer, _Gather):
            buffer.copy_to(memoryview(copy))
        else:
            copy[:] = memoryview(buffer)
    return copies


class Name(NamedTuple):
    """The place of a function in a module that a worker can import."""

    module: str
    qualname: str

    def find(self) -> Any:
        """Finds the function; for the name of a remote function, the function behind it."""
        found = importlib.import_module(self.module)
        for part in self.qualname.split("."):
            found = getattr(found, part)
        return getattr(found, "_function", found)


def name_of(function: Any) -> Name | None:
    """The name under which a worker finds a function, or None."""
    name = Name(getattr(function, "__module__", None) or "", getattr(function, "__qualname__", ""))
    if name.module in ("", "__main__") or name.module not in sys.modules:
        return None
    try:
        return name if name.find() is function else None
    except AttributeError:
        return None


def dumps(value: Any, name: str = "value") -> Pickled:
    """Pickles a value.

    Args:
        value: anything that pickle or cloudpickle takes.
        name: name of the value in an error's path.

    Raises:
        SerializationError: a part of the value can't be pickled; the message names the path to it.
        ForkedError, ObjectLostError, RaySystemError: an id in the value has no session, or no object (any more).
        TaskCancelledError: the current task was cancelled meanwhile.
    """
    file = io.BytesIO()
    collected = _Collected()
    try:
        pickler()(file, collected).dump(value)
    except (ForkedError, ObjectLostError, RaySystemError, TaskCancelledError):
        raise  # from an id, or a cancellation: the value itself can be pickled
    except Exception as error:
        raise explain(value, name, error) from error
    return Pickled(file.getvalue(), collected.buffers, collected.lengths, collected.contained)


def loads(stream: Any, buffers: Any = (), writable: bool = False) -> Any:
    """Loads the value of a stream and its buffers; arrays are views of the buffers.

    Args:
        stream: what `dumps` gave.
        buffers: the buffers in their order.
        writable: whether arrays without a buffer (of Python objects, or empty) may be written; true if the buffers may be.
    """
    if not writable:
        return pickle.loads(stream, buffers=buffers)
    return contextvars.copy_context().run(_loads_thawed, stream, buffers)


def _loads_thawed(stream: Any, buffers: Any) -> Any:
    _thawed.set(True)
    return pickle.loads(stream, buffers=buffers)
