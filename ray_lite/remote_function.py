"""RemoteFunction: what `@remote` makes of a function.

It holds the function with its options; `remote` is the core's RemoteCall, which submits plain calls by itself and leaves the
rest to `_slow`.  The function's id is fixed at decoration: H(module, qualname, ordinal of the decoration).  Neighbours: api.py
decorates; calls/functions.py exports the function at its first call in a session.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray_lite import _core, session
from ray_lite.calls.functions import Call, Function, Signatures, Token
from ray_lite.calls.unfinished import check_returns, finished, is_generator_function, shown_name
from ray_lite.options import Options

if TYPE_CHECKING:
    import inspect

_ordinals: dict[tuple[str, str], int] = {}


class RemoteFunction:
    """A function whose calls run in workers. Made by `ray_lite.remote`.

    A call `f.remote(...)` returns at once. It raises TypeError for arguments that don't fit, SerializationError for one that
    can't be pickled, ValueError for a demand that the session can never meet, ObjectStoreFullError without room for the
    arguments, and RaySystemError without a session. An ObjectID that is an argument becomes its value; one inside a list or a
    dict stays an id.
    """

    __name__: str
    __qualname__: str
    remote: _core.RemoteCall  #: f.remote(*args, **kwargs) submits a call and returns an ObjectID, a list, or None

    def __init__(self, function: Callable[..., Any], options: Options) -> None:
        name, yields = shown_name(function), is_generator_function(function)
        if yields:
            check_returns(name, options.num_return_vals)
        functools.update_wrapper(self, function, updated=())
        own = getattr(function, "__dict__", {})
        self.__dict__.update({name: value for name, value in own.items() if not hasattr(RemoteFunction, name)})
        signatures = Signatures(_signature_of(function, follow_wrapped=False), _signature_of(function, follow_wrapped=True))
        module = getattr(function, "__module__", None) or ""
        self._target = Function(name, _next_id(module, name), finished(function), signatures)
        self._target.yields, self._target.module = yields, module or "?"
        self._options = options
        self._bind()

    def _bind(self) -> None:
        self.remote = _core.RemoteCall(self._slow)
        functools.update_wrapper(self.remote, self, updated=())
        shown = self._target.signatures.shown
        if shown is not None:
            self.remote.__signature__ = self.__signature__ = shown

    @property
    def _function(self) -> Callable[..., Any] | None:
        """The function itself; values/serialization.py looks for it behind a name."""
        return self._target.body

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"a remote function can't be called directly: write {self._target.name}.remote(...)")

    def __deepcopy__(self, memo: Any) -> RemoteFunction:
        return self  # PYTHON_MODE copies arguments, but a function needs no copy

    def __repr__(self) -> str:
        return f"<remote function {self._target.name}>"

    def options(self, **options: Any) -> RemoteFunction:
        """A handle of the same function with other options, for one call or many."""
        other = object.__new__(RemoteFunction)
        other.__dict__.update(self.__dict__)
        other._options = self._options.updated(options)
        if self._target.yields:
            check_returns(self._target.name, other._options.num_return_vals)
        other._bind()
        return other

    def _submit(self, args: Any = (), kwargs: Any = None, num_return_vals: Any = None, num_cpus: Any = None,
                num_gpus: Any = None, resources: Any = None) -> Any:
        """Submits a call with other resources, as in Ray of 2018: if one of them is given, the others are the defaults (1 CPU),
        not those of the decoration."""
        given = {"num_return_vals": num_return_vals, "num_cpus": num_cpus, "num_gpus": num_gpus, "resources": resources}
        if any(given[name] is not None for name in ("num_cpus", "num_gpus", "resources")):
            plain = Options()
            given = {**given, "num_cpus": plain.num_cpus if num_cpus is None else num_cpus,
                     "num_gpus": num_gpus or 0, "resources": resources or {}}
        return self.options(**{name: value for name, value in given.items() if value is not None}).remote(
            *(args or ()), **(kwargs or {}))

    def _slow(self, remote: _core.RemoteCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return session.current().submit(Call(self._target, self._options, args, kwargs, remote))

    def __reduce__(self) -> Any:
        token = session.current().export(self._target)
        facts = (self._target.name, self.__module__, self.__doc__, self._target.id)
        return _received, (facts, self._options, tuple(self._target.signatures), token)


def _signature_of(function: Callable[..., Any], follow_wrapped: bool) -> inspect.Signature | None:
    import inspect  # its import takes longer than that of ray_lite, and workers don't need it

    try:
        return inspect.signature(function, follow_wrapped=follow_wrapped)
    except (TypeError, ValueError):
        return None  # some builtins have no signature


def _next_id(module: str, name: str) -> bytes:
    ordinal = _ordinals.get((module, name), 0)
    _ordinals[module, name] = ordinal + 1
    return _core.digest_id(f"{module}\0{name}\0{ordinal}".encode())


_handles: dict[tuple[Any, ...], RemoteFunction] = {}


def _received(facts: tuple[Any, ...], options: Options, signatures: tuple[Any, Any], token: Token) -> RemoteFunction:
    """The handle of a function that another process exported; this process has one handle for each set of options."""
    session_id = session.current().session_id
    key = (session_id, facts[-1], options, token)
    handle = _handles.get(key)
    if handle is None:
        handle = object.__new__(RemoteFunction)
        name, handle.__module__, handle.__doc__, function_id = facts
        handle.__name__, handle.__qualname__ = name.rpartition(".")[2], name
        handle._target, handle._options = Function(name, function_id, None, Signatures(*signatures)), options
        handle._target.mark_exported(session_id, token)
        handle._bind()
        _handles[key] = handle
    return handle
