"""Values to bytes and back: pickle protocol 5 with out-of-band buffers, and cloudpickle for what plain pickle refuses.

A pickled value is a `Pickled`: a stream, the buffers that are copied straight into the store, their lengths, and the ids that
the value contains.  numpy arrays of any size, order or stride become buffers and come back as read-only views; long bytes and
texts are copied into the store from where they are.  Common plain values never come here: _core.src/python/codec.pyx encodes
them.  Neighbours: arrays.py, tensors.py, exception_state.py, custom_serializers.py
and by_value.py reduce; pickle_errors.py and load_errors.py explain
failures; store/object_store.py stores what is pickled.  No I/O.
"""

from __future__ import annotations

import copyreg
import functools
import importlib
import pickle
import sys
import types
from typing import Any, NamedTuple

from ray_lite import _core
from ray_lite.exceptions import ForkedError, ObjectLostError, RaySystemError, TaskCancelledError
from ray_lite.values import custom_serializers
from ray_lite.values.arrays import Gather, reduce_array, reduce_arrow, reduce_masked, reduce_memoryview
from ray_lite.values.exception_state import reduce_exception
from ray_lite.values.importable import is_importable
from ray_lite.values.pickle_errors import explain
from ray_lite.values.tensors import Span, Spans, reduce_storage, reduce_tensor

PROTOCOL = 5
NO_FILE = "<dynamic-code>"  # cloudpickle writes this as the file of all code; tracebacks must name the real file
JOINED_MOST = 1_048_576  # most bytes of a stream that are joined to one piece: a longer one is copied only into the store


class Pieces:
    """A stream in pieces: pickle hands over long bytes and texts as they are, and they are copied straight into the store."""

    def __init__(self, pieces: list[Any]) -> None:
        self.pieces, self.nbytes = pieces, sum(map(len, pieces))

    def __len__(self) -> int:
        return self.nbytes

    def __bytes__(self) -> bytes:
        return b"".join(self.pieces)

    def copy_to(self, place: memoryview) -> None:
        """Copies the stream to a writable memoryview of as many bytes."""
        at = 0
        for piece in self.pieces:
            _core.copy_buffer(place[at:at + len(piece)], piece)
            at += len(piece)


class Pickled(NamedTuple):
    """A pickled value, ready to be copied into the store."""

    stream: bytes | memoryview | Pieces
    buffers: list[Any]  #: contiguous buffers, or objects that copy themselves (`copy_to`)
    lengths: list[int]  #: bytes of each buffer
    contained: list[_core.ObjectID]  #: ids inside the value; the store pins their objects

    @property
    def size(self) -> int:
        """Bytes of stream and buffers, without the padding between buffers."""
        return len(self.stream) + sum(self.lengths)

    def followed_by(self, text: str) -> Pickled:
        """The same with a text behind the pickle, which loading passes over."""
        if isinstance(self.stream, Pieces):
            return self._replace(stream=Pieces([*self.stream.pieces, text.encode()]))
        return self._replace(stream=bytes(self.stream) + text.encode())


class _Collected:
    """Buffers and ids that a pickler collects besides the stream; separate from it, so that no cycle keeps ids alive."""

    def __init__(self, spans: Spans | None = None) -> None:
        self.buffers: list[Any] = []
        self.lengths: list[int] = []
        self.contained: list[_core.ObjectID] = []
        self.spans = spans  #: made when the first tensor comes
        self._stand_ins: dict[int, Any] = {}  # id of a PickleBuffer -> what goes into the store instead

    def keep(self, buffer: pickle.PickleBuffer) -> None:
        """Takes a buffer that pickle hands over."""
        real = self._stand_ins.pop(id(buffer), None)
        if real is None:
            real = buffer.raw()
        self.buffers.append(real)
        self.lengths.append(real.nbytes)

    def refer(self, real: Any) -> pickle.PickleBuffer:
        """What the stream refers to a buffer by: never read-only, since the loading process decides that."""
        stand_in = pickle.PickleBuffer(bytearray())
        self._stand_ins[id(stand_in)] = real
        return stand_in


class _Reducers:
    """ray_lite's own reducers, for ids, arrays, tensors, views, exceptions and code; those of by_value.py take the rest."""

    def __init__(self, file: _File, collected: _Collected) -> None:
        super().__init__(file, protocol=PROTOCOL, buffer_callback=collected.keep)  # type: ignore[call-arg]
        self.collected = collected
        self._is_fresh = False  # whether this pickler knows what other processes have registered
        self._ndarray: Any = getattr(sys.modules.get("numpy"), "ndarray", _Absent)
        self._tensors: Any = _tensor_classes()
        self._arrow_array: Any = getattr(sys.modules.get("pyarrow"), "Array", _Absent)

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if kind is _core.ObjectID:
            token = _core.id_token(obj)
            self.collected.contained.append(obj)
            return _core.id_from_token, token
        if not self._is_fresh:  # only values with such objects need to know
            self._is_fresh = True
            custom_serializers.refresh()
        if kind in custom_serializers.registered:
            return custom_serializers.registered[kind].reduce(obj)
        if kind is types.CodeType and obj.co_filename != NO_FILE:
            return _name_file, (obj.replace(co_filename=NO_FILE), obj.co_filename)
        if kind is Span:
            return obj.reduce(self.collected.refer)
        return self._reduced(obj, kind) or super().reducer_override(obj)  # type: ignore[misc]

    def _reduced(self, obj: Any, kind: Any) -> Any:
        """The reduction of an object whose bytes, or whose args, need care; None: another reducer takes it."""
        if kind is memoryview:
            return reduce_memoryview(obj, self.collected.refer)
        if issubclass(kind, self._ndarray):
            return self._reduce_array(obj, kind)
        if issubclass(kind, self._tensors):
            return self._reduce_tensor(obj, kind)
        if issubclass(kind, self._arrow_array):
            return reduce_arrow(obj)
        if issubclass(kind, BaseException):
            return reduce_exception(obj)
        return None

    def _reduce_array(self, array: Any, kind: Any) -> Any:
        """Reduces an array; an instance of a subclass too, unless the subclass defines its own pickling."""
        if kind is sys.modules["numpy"].ma.MaskedArray:
            return reduce_masked(array)
        if kind.__reduce__ is self._ndarray.__reduce__ and kind.__reduce_ex__ is self._ndarray.__reduce_ex__:
            return reduce_array(array, self.collected.refer)
        return None

    def _reduce_tensor(self, obj: Any, kind: Any) -> Any:
        """Reduces a tensor or a storage of torch, unless somebody has registered a reducer for its class."""
        if kind in copyreg.dispatch_table:
            return None
        if self.collected.spans is None:
            self.collected.spans = Spans()
        if issubclass(kind, self._tensors[0]):
            return reduce_tensor(obj, PROTOCOL, self.collected.spans)
        return reduce_storage(obj, self.collected.spans)


class _Absent:
    """Stands for a class of a module that is not loaded: nothing is an instance of it."""


def _tensor_classes() -> tuple[Any, ...]:
    """torch's classes of tensors and storages, if torch is loaded."""
    torch = sys.modules.get("torch")
    if not hasattr(torch, "UntypedStorage"):  # not loaded, or being loaded by another thread
        return (_Absent,)
    return torch.Tensor, torch.UntypedStorage, torch.storage.TypedStorage  # type: ignore[union-attr]


class _File:
    """The file that a pickler writes to: a list of pieces."""

    def __init__(self) -> None:
        self.pieces: list[Any] = []
        self.write = self.pieces.append

    def stream(self) -> bytes | Pieces:
        """All that was written."""
        if len(self.pieces) == 1:
            return self.pieces[0]  # type: ignore[no-any-return]
        if sum(map(len, self.pieces)) <= JOINED_MOST:
            return b"".join(self.pieces)
        return Pieces(self.pieces)


@functools.cache
def pickler() -> Any:
    """The class of picklers; made when first needed, since the import of cloudpickle takes 10 ms."""
    from ray_lite.values import by_value

    return type("Pickler", (_Reducers, by_value.Pickler), {})


def _name_file(code: types.CodeType, file: str) -> types.CodeType:
    return code.replace(co_filename=file)


def flat(pickled: Pickled) -> list[bytearray]:
    """Copies of the buffers of a pickled value, for a caller that does not put them into the store."""
    copies = [bytearray(length) for length in pickled.lengths]
    for buffer, copy in zip(pickled.buffers, copies, strict=True):
        if isinstance(buffer, Gather):
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
    module = sys.modules.get(name.module)
    if module is None or name.module == "__main__" or not is_importable(name.module, module):
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
    collected = _Collected()
    pickled = _dumped(value, name, collected)
    better = collected.spans.improved() if collected.spans is not None else None
    return pickled if better is None else _dumped(value, name, _Collected(better))


def _dumped(value: Any, name: str, collected: _Collected) -> Pickled:
    file = _File()
    ours = pickler()(file, collected)
    try:
        ours.dump(value)
    except (ForkedError, ObjectLostError, RaySystemError, TaskCancelledError):
        raise  # from an id, or a cancellation: the value itself can be pickled
    except Exception as error:
        raise explain(value, name, error, ours.modules()) from error
    return Pickled(file.stream(), collected.buffers, collected.lengths, collected.contained)


def loads(stream: Any, buffers: Any = ()) -> Any:
    """Loads the value of a stream and its buffers.

    Arrays are views of the buffers, and may be written if these may; arrays without a buffer (of Python objects, or empty) are
    the loading process's own.

    Args:
        stream: what `dumps` gave.
        buffers: the buffers in their order.
    """
    return pickle.loads(stream, buffers=buffers)
