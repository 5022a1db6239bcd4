"""ActorHandle: how a process reaches an actor; its attributes are the actor's methods.

An actor lives as long as there is a handle of it.  A method refers to the actor, not to the handle, so that a handle goes with
its last reference.  Neighbours: actor_class.py and actors.py make handles; backends keep what `_ray_actor` is.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NoReturn

from ray_lite import _core, session
from ray_lite._core import ObjectID
from ray_lite.calls.methods import Method, MethodCall
from ray_lite.options import RETURNS_MOST, whole


class ActorHandle:
    """A handle of an actor: `handle.method.remote(...)` calls a method.

    Args:
        actor: what the backend returned at the creation: it has `id` (20 bytes), `name` (or None) and `methods`.
    """

    _ray_actor: Any

    def __init__(self, actor: Any) -> None:
        self.__dict__["_ray_actor"] = actor
        self.__dict__["__doc__"] = actor.methods.doc
        for name in actor.methods.known.keys() & HIDDEN:  # Python would find its own method first
            if not actor.methods.known[name].yields:
                self.__dict__[name] = RemoteMethod(actor, actor.methods.find(name))

    @property
    def _ray_actor_id(self) -> ObjectID:
        """The actor's id, as an ObjectID: this is its name in Ray of 2018."""
        return ObjectID(self._ray_actor.id)

    def __getattr__(self, name: str) -> RemoteMethod:
        actor = self.__dict__["_ray_actor"]
        method = self.__dict__[name] = RemoteMethod(actor, actor.methods.find(name))
        return method

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"attributes of an actor can't be set: write a method of {self._ray_actor.methods.name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"attributes of an actor can't be deleted: write a method of {self._ray_actor.methods.name}")

    def __dir__(self) -> list[str]:
        return list(self._ray_actor.methods.known)

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("a handle can't be called directly: write handle.method.remote(...)")

    def __eq__(self, other: object) -> bool:
        return self._ray_actor.id == other._ray_actor.id if isinstance(other, ActorHandle) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._ray_actor.id)

    def __copy__(self) -> ActorHandle:
        return self

    def __deepcopy__(self, memo: Any) -> ActorHandle:
        return self

    def __reduce__(self) -> Any:
        return _found, (self._ray_actor.reference,)

    def __repr__(self) -> str:
        actor = self._ray_actor
        named = "" if actor.name is None else f", {actor.name!r}"
        return f"Actor({actor.methods.name}{named}, {actor.id.hex()})"


HIDDEN = set(dir(ActorHandle))  #: methods of an actor with these names have to be in the handle's own dict


def _found(reference: Any) -> ActorHandle:
    return ActorHandle(session.current().actors.find(reference))


class RemoteMethod:
    """A method of an actor; `remote` calls it.

    `remote(*args, **kwargs)` returns the id of the result, the ids of several, or None if there is none, at once.  It raises
    TypeError if the method does not take these arguments, and PendingCallsLimitExceeded if the actor has max_pending_calls
    calls that have not begun.
    """

    remote: _core.RemoteCall

    def __init__(self, actor: Any, method: Method, num_return_vals: int | None = None) -> None:
        self._actor, self._method = actor, method
        self._num_return_vals = method.num_return_vals if num_return_vals is None else num_return_vals
        self.remote = _core.RemoteCall(partial(_call, actor, method, self._num_return_vals))  # no cycle: it keeps the actor
        one: Any
        for one in (self, self.remote):
            one.__name__, one.__qualname__, one.__doc__ = method.name, method.shown_name, method.doc
            one.__signature__ = method.signatures.shown

    def options(self, **options: Any) -> RemoteMethod:
        """The method with other options.

        Args:
            num_return_vals: number of ids that a call returns.

        Raises:
            TypeError: an unknown option, or a wrong type.  ValueError: out of range.
        """
        for name in options:
            if name != "num_return_vals":
                raise TypeError(f"option {name!r} is unknown; methods have num_return_vals")
        count = options.get("num_return_vals", self._num_return_vals)
        return RemoteMethod(self._actor, self._method, whole("num_return_vals", count, 0, RETURNS_MOST))

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(f"a method of an actor can't be called directly: write handle.{self._method.name}.remote(...)")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RemoteMethod):
            return NotImplemented
        return self._facts() == other._facts()

    def __hash__(self) -> int:
        return hash(self._facts())

    def _facts(self) -> tuple[bytes, str, int]:
        return self._actor.id, self._method.name, self._num_return_vals

    def __deepcopy__(self, memo: Any) -> RemoteMethod:
        return self

    def __reduce__(self) -> Any:
        return _found_method, (self._actor.reference, *self._facts()[1:])

    def __repr__(self) -> str:
        return f"<remote method {self._method.shown_name} of actor {self._actor.id.hex()}>"


def _call(actor: Any, method: Method, num_return_vals: int, remote: _core.RemoteCall, args: Any, kwargs: Any) -> Any:
    method.bind(args, kwargs)
    return session.current().actors.call(MethodCall(actor, method, num_return_vals, args, kwargs, remote))


def _found_method(reference: Any, name: str, num_return_vals: int) -> RemoteMethod:
    actor = session.current().actors.find(reference)
    return RemoteMethod(actor, actor.methods.find(name), num_return_vals)
