"""ActorHandle: how a process reaches an actor; its attributes are the actor's methods.

An actor lives as long as there is a handle of it.  A method refers to the actor, not to the handle, so that a handle goes with
its last reference.  Neighbours: actor_class.py and actors.py make handles; backends keep what `_ray_actor` is.
"""

from __future__ import annotations

from typing import Any

from ray_lite import session
from ray_lite.calls.methods import Method, MethodCall
from ray_lite.options import RETURNS_MOST, whole

# what copy and pickle look for on an object: on a handle never methods of the actor
PICKLING = {"__reduce__", "__reduce_ex__", "__getstate__", "__class__", "__dict__", "__deepcopy__"}


class ActorHandle:
    """A handle of an actor: `handle.method.remote(...)` calls a method.

    Args:
        actor: what the backend returned at the creation: it has `id` (20 bytes), `name` (or None) and `methods`.
    """

    def __init__(self, actor: Any) -> None:
        self._ray_actor = actor
        for name in actor.methods.known:
            if hasattr(ActorHandle, name) and name not in PICKLING:  # Python would find its own method first
                self.__dict__[name] = RemoteMethod(actor, actor.methods.find(name))

    @property
    def _ray_actor_id(self) -> Any:
        """The actor's id, as an ObjectID: this is its name in Ray of 2018."""
        from ray_lite._core import ObjectID

        return ObjectID(self._ray_actor.id)

    def __getattr__(self, name: str) -> RemoteMethod:
        method = self.__dict__[name] = RemoteMethod(self._ray_actor, self._ray_actor.methods.find(name))
        return method

    def __dir__(self) -> list[str]:
        return list(self._ray_actor.methods.known)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("a handle can't be called directly: write handle.method.remote(...)")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActorHandle) and self._ray_actor.id == other._ray_actor.id

    def __hash__(self) -> int:
        return hash(self._ray_actor.id)

    def __copy__(self) -> ActorHandle:
        return self

    def __deepcopy__(self, memo: Any) -> ActorHandle:
        return self

    def __repr__(self) -> str:
        actor = self._ray_actor
        named = "" if actor.name is None else f", {actor.name!r}"
        return f"Actor({actor.methods.name}{named}, {actor.id.hex()})"


class RemoteMethod:
    """A method of an actor; `remote` calls it."""

    def __init__(self, actor: Any, method: Method, num_return_vals: int | None = None) -> None:
        self._actor, self._method = actor, method
        self._num_return_vals = method.num_return_vals if num_return_vals is None else num_return_vals
        self.__name__, self.__qualname__ = method.name, method.shown_name
        self.__doc__ = method.doc

    @property
    def __signature__(self) -> Any:
        """Signature of the method without the instance, for `inspect.signature`."""
        return self._method.signatures.shown

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the method; returns the id of its result, the ids of several, or None if it has none, at once.

        Raises:
            TypeError: the method does not take these arguments.
            PendingCallsLimitExceeded: the actor has max_pending_calls calls that have not begun.
        """
        self._method.bind(args, kwargs)
        return session.current().actors.call(MethodCall(self._actor, self._method, self._num_return_vals, args, kwargs))

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

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"a method of an actor can't be called directly: write handle.{self._method.name}.remote(...)")

    def __deepcopy__(self, memo: Any) -> RemoteMethod:
        return self

    def __repr__(self) -> str:
        return f"<remote method {self._method.shown_name} of actor {self._actor.id.hex()}>"
