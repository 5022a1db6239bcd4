"""Remote functions in a session: what is called, and how other processes find it.

A function's pickle is stored once in each session, at the first call. Its token is the index and generation of that object.
Neighbours: remote_function.py wraps a Function with its options; workers/task_runner.py loads it.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ray_lite import _core
from ray_lite.calls.identities import driver_id
from ray_lite.exceptions import ObjectLostError, SerializationError
from ray_lite.options import Options
from ray_lite.store.object_store import Store
from ray_lite.values.load_errors import load
from ray_lite.values.serialization import Name, Pickled, dumps, name_of

if TYPE_CHECKING:
    import inspect  # at run time only a process that decorates imports it: that takes longer than all of ray_lite

POSITIONAL_MOST = 255  # most positional arguments of a call on the fast path

Token = tuple[int, int]


class Signatures(NamedTuple):
    """The signature that calls must satisfy, and the one that tools see (for a wrapper: the wrapped function's), or None."""

    called: inspect.Signature | None
    shown: inspect.Signature | None

    def bind(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments | None:
        """The arguments by name, or None for a builtin without a signature.

        Args:
            name: what is called, for the error.

        Raises:
            TypeError: missing, surplus or unknown arguments, as the function itself would say.
        """
        if self.called is None:
            return None
        try:
            bound = self.called.bind(*args, **kwargs)
            for parameter_name, parameter in self.called.parameters.items():
                # CPython 3.13.0 lets a keyword meant for **kwargs stand for a missing positional-only argument
                if parameter.kind is parameter.POSITIONAL_ONLY and parameter.default is parameter.empty:
                    if parameter_name not in bound.arguments:
                        raise TypeError(f"missing a required argument: {parameter_name!r}")
        except TypeError as error:
            raise TypeError(f"{name}.remote(): {error}") from None
        return bound


class Function:
    """A function that was made remote, apart from its options; all handles of one decoration share it.

    Args:
        name: the function's qualified name.
        id: 20 bytes, fixed at the decoration.
        body: the function itself, plain (unfinished.py); None in a process that received it by its token.
    """

    def __init__(self, name: str, id: bytes, body: Callable[..., Any] | None, signatures: Signatures) -> None:
        self.name, self.id, self.body, self.signatures = name, id, body, signatures
        self.yields = False  #: whether it is known to be a generator function
        self.module = ""  #: name of the module of a remote function; "": it is an actor's
        self.session_id = 0  #: session in which the function is exported, or 0
        self.token: Token = (0, 0)  #: its token in that session

    def mark_exported(self, session_id: int, token: Token) -> None:
        """Notes the token by which processes of this session find the function."""
        self.session_id, self.token = session_id, token

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments | None:
        """The arguments by name; see Signatures.bind."""
        return self.signatures.bind(self.name, args, kwargs)

    def positional_range(self) -> tuple[int, int]:
        """Least and most positional arguments with which a call without keywords is right."""
        if self.signatures.called is None:
            return 0, POSITIONAL_MOST
        least = most = 0
        for parameter in self.signatures.called.parameters.values():
            required = parameter.default is parameter.empty
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                most += 1
                least += required
            elif parameter.kind is parameter.VAR_POSITIONAL:
                most = POSITIONAL_MOST
            elif parameter.kind is parameter.KEYWORD_ONLY and required:
                least = POSITIONAL_MOST + 1
        return least, most


class Call(NamedTuple):
    """One call of a remote function, as a backend gets it."""

    function: Function
    options: Options
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    remote: _core.RemoteCall  #: what was called: the backend may arm its fast path


class FunctionTable:
    """The functions of a session as one process knows them."""

    def __init__(self, store: Store, session_id: int) -> None:
        self._store, self._session_id = store, session_id
        self._exporting: dict[bytes, tuple[Function, Token]] = {}  # by function id
        self._lock = threading.RLock()

    def export(self, function: Function) -> Token:
        """The token of a function; stores the function's pickle at its first call in a session.

        A function may refer to itself, or to a function that refers to it: then its token is used before its object has
        bytes. Only the exporting thread sees such a token; all become known together, when the outermost export has succeeded.
        """
        if function.session_id == self._session_id:
            return function.token
        if self._store.region.inherited:
            return self._export(function)  # raises ForkedError; without the lock, which a thread of the parent may have held
        with self._lock:
            if function.id in self._exporting:
                return self._exporting[function.id][1]
            outermost = not self._exporting
            try:
                token = self._export(function) if function.session_id != self._session_id else function.token
                if outermost:
                    for known, its_token in self._exporting.values():
                        known.mark_exported(self._session_id, its_token)
                return token
            finally:
                if outermost:
                    self._exporting.clear()

    def _export(self, function: Function) -> Token:
        x = self._store.create(_core.derive_id(function.id, self._session_id, 0), for_job=True)
        token = _core.id_token(x)[:2]
        self._exporting[function.id] = function, token
        try:
            body = _pickled(function)
            name = pickle.dumps(function.name) + self._origin(function)  # loading passes over what follows a pickle
            stream = Pickled(name, [body.stream, *body.buffers], [len(body.stream), *body.lengths], body.contained)
            self._store.fill(token[0], stream)
            _core.seal_object(self._store.region, x)
        except BaseException:
            _core.abandon_object(self._store.region, x)
            self._exporting.pop(function.id, None)
            raise
        return token

    def _origin(self, function: Function) -> bytes:
        """What function_table() shows of a remote function besides its name: the driver and the module."""
        if not function.module:
            return b""
        return driver_id(self._session_id, self._store.region.job_key).hex().encode() + function.module.encode()

    def load(self, index: int) -> Callable[..., Any]:
        """Loads the callable whose pickle is in the sealed object of this index."""
        _, name, views = _core.payload(self._store.region, _core.function_handle(self._store.region, index))
        function = load(views[0], views[1:], lambda: f"remote function {pickle.loads(name)}")
        return function.find() if isinstance(function, Name) else function  # type: ignore[no-any-return]


def _pickled(function: Function) -> Pickled:
    """Pickles a function by value, with what it captures; by name if that fails (it is compiled, or captures a lock)."""
    if function.body is None:
        raise ObjectLostError(f"remote function {function.name} belongs to an earlier session, or to that of the process "
                              "from which this one was forked")
    try:
        return dumps(function.body, function.name)
    except SerializationError:
        name = name_of(function.body)
        if name is None:
            raise
        return dumps(name, function.name)
