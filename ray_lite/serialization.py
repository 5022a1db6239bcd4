"""Values to bytes and back: pickle protocol 5 with out-of-band buffers, cloudpickle for what plain pickle can't take.

A pickled value is `Parts`: a stream, the buffers that are copied straight into the store, their lengths, and the ids that
it contains.  numpy arrays of any size, order or stride become buffers and come back as read-only views.  The common plain
values never come here (codec.pyx).  Neighbours: culprit.py explains failures; store.py keeps parts.  No I/O.
"""

from __future__ import annotations

import contextvars
import functools
import io
import pickle
import sys
import types
from typing import Any, NamedTuple

from ray_lite import _core
from ray_lite.culprit import explain
from ray_lite.exceptions import ForkedError, RaySystemError

PROTOCOL = 5
NO_FILE = "<dynamic-code>"  # cloudpickle writes this for the file of all code; tracebacks shall name the real one


_thawed = contextvars.ContextVar("_thawed", default=False)  # arrays that are being loaded may be written


class Parts(NamedTuple):
    """A pickled value, ready to be copied into the store."""

    stream: bytes | memoryview
    buffers: list[Any]  #: contiguous buffers, or gatherers that write themselves (`copy_to`)
    lengths: list[int]  #: bytes of each
    contained: list[_core.ObjectID]  #: ids inside the value; the store pins their objects

    @property
    def size(self) -> int:
        """Bytes, without the padding between buffers."""
        return len(self.stream) + sum(self.lengths)


class _Gather:
    """A strided array that is gathered straight into its place in the store: one copy, not two."""

    def __init__(self, array: Any) -> None:
        self.array, self.nbytes = array, array.nbytes

    def copy_to(self, place: memoryview) -> None:
        numpy = sys.modules["numpy"]
        numpy.copyto(numpy.ndarray(self.array.shape, self.array.dtype, place), self.array)


class _Collected:
    """What the pickler puts beside the stream. Apart from the pickler, so that no cycle keeps ids alive."""

    def __init__(self) -> None:
        self.buffers: list[Any] = []
        self.lengths: list[int] = []
        self.contained: list[_core.ObjectID] = []
        self.stand_ins: dict[int, Any] = {}  # id of a PickleBuffer -> what goes into the store for it

    def keep(self, buffer: pickle.PickleBuffer) -> None:
        real = self.stand_ins.pop(id(buffer), None)
        if real is None:
            real = buffer.raw()
        self.buffers.append(real)
        self.lengths.append(real.nbytes)


class _Reducers:
    """Our reducers for ids and arrays, in front of cloudpickle's."""

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
        if kind is self._ndarray:
            return self._reduce_array(obj)
        return super().reducer_override(obj)  # type: ignore[misc]

    def _reduce_array(self, array: Any) -> Any:
        if array.dtype.hasobject:
            rebuild, args, state = array.__reduce__()
            return rebuild, args, state, None, None, _set_frozen
        plain = array.dtype.names is None and array.dtype.subdtype is None and array.dtype.metadata is None
        dtype = array.dtype.str if plain else array.dtype
        if array.nbytes == 0:
            return _rebuild_array, (b"", dtype, array.shape, "C")
        if array.flags.c_contiguous:
            return _rebuild_array, (self._buffer(_bytes_of(array)), dtype, array.shape, "C")
        if array.flags.f_contiguous:
            return _rebuild_array, (self._buffer(_bytes_of(array.T)), dtype, array.shape, "F")
        return _rebuild_array, (self._buffer(_Gather(array)), dtype, array.shape, "C")

    def _buffer(self, real: Any) -> pickle.PickleBuffer:
        """What the stream names for it: never read-only, for who loads it decides that."""
        if not isinstance(real, _Gather) and real.flags.writeable:
            return pickle.PickleBuffer(real)
        stand_in = pickle.PickleBuffer(bytearray())
        self.collected.stand_ins[id(stand_in)] = real
        return stand_in


@functools.cache
def pickler() -> Any:
    """The pickler's class; made when first needed, since cloudpickle's import takes 10 ms."""
    import cloudpickle

    return type("Pickler", (_Reducers, cloudpickle.Pickler), {})


def _bytes_of(array: Any) -> Any:
    return array.reshape(-1).view("u1")


def _rebuild_array(buffer: Any, dtype: Any, shape: tuple[int, ...], order: Any) -> Any:
    import numpy

    if not len(buffer):
        buffer = bytearray() if _thawed.get() else b""
    return numpy.ndarray(shape, dtype, buffer, order=order)


def _name_file(code: types.CodeType, file: str) -> types.CodeType:
    return code.replace(co_filename=file)


def _set_frozen(array: Any, state: Any) -> None:
    array.__setstate__(state)
    array.flags.writeable = _thawed.get()


def dumps(value: Any, name: str = "value") -> Parts:
    """Pickles a value.

    Args:
        value: anything that pickle or cloudpickle takes.
        name: what the value is called in an error's path.

    Raises:
        SerializationError: something in it can't be pickled; the message names the path to it.
        ForkedError, RaySystemError: an id in it has no session (any more).
    """
    file = io.BytesIO()
    collected = _Collected()
    try:
        pickler()(file, collected).dump(value)
    except (ForkedError, RaySystemError):
        raise  # nothing is wrong with the value
    except Exception as error:
        raise explain(value, name, error) from error
    return Parts(file.getvalue(), collected.buffers, collected.lengths, collected.contained)


def loads(stream: Any, buffers: Any = (), writable: bool = False) -> Any:
    """The value of a stream and its buffers; arrays are views of the buffers.

    `writable`: the buffers may be written; then so may the arrays that have none (of objects, or empty).
    """
    if not writable:
        return pickle.loads(stream, buffers=buffers)
    return contextvars.copy_context().run(_loads_thawed, stream, buffers)


def _loads_thawed(stream: Any, buffers: Any) -> Any:
    _thawed.set(True)
    return pickle.loads(stream, buffers=buffers)
