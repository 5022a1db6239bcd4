"""RemoteFunction: what `@remote` makes of a function.

It holds the function, its options and its id; `remote` is the core's RemoteCall, which submits plain calls by itself and
leaves the rest to `_slow`.  The id is fixed at decoration: H(module, qualname, ordinal of the decoration).  Neighbours:
api.py decorates; local.py exports the function at its first call in a session.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray_lite import _core, session
from ray_lite.options import Options

if TYPE_CHECKING:
    import inspect

POSITIONAL_MOST = 255  # arguments of the fast path

_ordinals: dict[tuple[str, str], int] = {}


class Export:
    """Where the function is in a session; shared by all handles of one decoration."""

    def __init__(self) -> None:
        self.nonce = 0  #: the session's
        self.token: tuple[int, int] = (0, 0)  #: index and generation of the object with its pickle


class RemoteFunction:
    """A function whose calls run in workers. Made by `ray_lite.remote`."""

    __name__: str
    __qualname__: str
    remote: _core.RemoteCall  #: f.remote(*args, **kwargs): submits a call; an ObjectID, a list of them, or None

    def __init__(self, function: Callable[..., Any], options: Options) -> None:
        functools.update_wrapper(self, function, updated=())
        own = getattr(function, "__dict__", {})
        self.__dict__.update({name: value for name, value in own.items() if not hasattr(RemoteFunction, name)})
        self._name = getattr(function, "__qualname__", None) or type(function).__qualname__
        self._function: Callable[..., Any] | None = function
        self._options = options
        self._signature = _signature_of(function, follow_wrapped=False)  # what a call has to satisfy
        self._shown = _signature_of(function, follow_wrapped=True)
        self._id = _next_id(getattr(function, "__module__", None) or "", self._name)
        self._export = Export()
        self._bind()

    def _bind(self) -> None:
        self.remote = _core.RemoteCall(self._slow)
        functools.update_wrapper(self.remote, self, updated=())
        if self._shown is not None:
            self.remote.__signature__ = self.__signature__ = self._shown

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"a remote function can't be called directly: write {self._name}.remote(...)")

    def __deepcopy__(self, memo: Any) -> RemoteFunction:
        return self  # PYTHON_MODE copies arguments; a function is what it is

    def __repr__(self) -> str:
        return f"<remote function {self._name}>"

    def options(self, **options: Any) -> RemoteFunction:
        """A handle of the same function with other options, for one call or many."""
        return self._with(self._options.updated(options))

    def _with(self, options: Options) -> RemoteFunction:
        other = object.__new__(RemoteFunction)
        other.__dict__.update(self.__dict__)
        other._options = options
        other._bind()
        return other

    def _submit(self, args: Any = (), kwargs: Any = None, num_return_vals: Any = None, num_cpus: Any = None,
                num_gpus: Any = None, resources: Any = None) -> Any:
        """A call with other resources, as in Ray of 2018: if one of them is given, the others are what an undecorated
        function has (1 CPU)."""
        given = {"num_return_vals": num_return_vals, "num_cpus": num_cpus, "num_gpus": num_gpus, "resources": resources}
        if any(given[name] is not None for name in ("num_cpus", "num_gpus", "resources")):
            plain = Options()
            given = {**given, "num_cpus": plain.num_cpus if num_cpus is None else num_cpus,
                     "num_gpus": num_gpus or 0, "resources": resources or {}}
        return self.options(**{name: value for name, value in given.items() if value is not None}).remote(
            *(args or ()), **(kwargs or {}))

    def _slow(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return session.current().submit(self, args, kwargs)

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments | None:
        """The arguments by name, or None for a builtin without a signature.

        Raises:
            TypeError: missing, surplus or unknown arguments, as the function itself would say.
        """
        if self._signature is None:
            return None
        try:
            bound = self._signature.bind(*args, **kwargs)
            for name, parameter in self._signature.parameters.items():
                # CPython 3.13.0 lets a keyword meant for **kwargs stand for a missing positional-only argument
                if parameter.kind is parameter.POSITIONAL_ONLY and parameter.default is parameter.empty:
                    if name not in bound.arguments:
                        raise TypeError(f"missing a required argument: {name!r}")
        except TypeError as error:
            raise TypeError(f"{self._name}.remote(): {error}") from None
        return bound

    def _positional_range(self) -> tuple[int, int]:
        """Least and most positional arguments with which a call without keywords is right."""
        if self._signature is None:
            return 0, POSITIONAL_MOST
        least = most = 0
        for parameter in self._signature.parameters.values():
            required = parameter.default is parameter.empty
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                most += 1
                least += required
            elif parameter.kind is parameter.VAR_POSITIONAL:
                most = POSITIONAL_MOST
            elif parameter.kind is parameter.KEYWORD_ONLY and required:
                least = POSITIONAL_MOST + 1
        return least, most

    def __reduce__(self) -> Any:
        token = session.current().export(self)
        facts = (self._name, self.__module__, self.__doc__, self._id)
        return _received, (facts, self._options, (self._signature, self._shown), token)


def _signature_of(function: Callable[..., Any], follow_wrapped: bool) -> inspect.Signature | None:
    import inspect  # it costs more than all of ray_lite, and workers don't need it

    try:
        return inspect.signature(function, follow_wrapped=follow_wrapped)
    except (TypeError, ValueError):
        return None  # some builtins have none


def _next_id(module: str, name: str) -> bytes:
    ordinal = _ordinals.get((module, name), 0)
    _ordinals[module, name] = ordinal + 1
    return _core.digest_id(f"{module}\0{name}\0{ordinal}".encode())


_handles: dict[tuple[Any, ...], RemoteFunction] = {}


def _received(facts: tuple[Any, ...], options: Options, signatures: tuple[Any, Any], token: tuple[int, int]) -> RemoteFunction:
    """The handle of a function that another process of this session exported; one a process and option set."""
    nonce = session.current().nonce
    key = (nonce, facts[-1], options, token)
    handle = _handles.get(key)
    if handle is None:
        handle = object.__new__(RemoteFunction)
        handle._name, handle.__module__, handle.__doc__, handle._id = facts
        handle.__name__ = handle._name.rpartition(".")[2]
        handle.__qualname__ = handle._name
        handle._function, handle._options, handle._signature, handle._shown = None, options, *signatures
        handle._export = Export()
        handle._export.nonce, handle._export.token = nonce, token
        handle._bind()
        _handles[key] = handle
    return handle
