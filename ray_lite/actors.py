"""The public functions about actors: each checks its arguments before anything changes, then calls the current backend.

Neighbours: api.py has the others; actor_class.py and actor_handle.py are what users hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from ray_lite import session
from ray_lite.actor_handle import ActorHandle
from ray_lite.calls.methods import RETURNS
from ray_lite.options import RETURNS_MOST, whole


def method(*args: Any, **options: Any) -> Callable[[Any], Any]:
    """Options of a method of a remote class: `@method(num_return_vals=2)`.

    Args:
        num_return_vals: number of ids that a call returns. Default 1.

    Raises:
        TypeError: other arguments, or a wrong type.  ValueError: out of range.
    """
    if args or list(options) != ["num_return_vals"]:
        raise TypeError("method takes one option, by name: @method(num_return_vals=2)")
    count = whole("num_return_vals", options["num_return_vals"], 0, RETURNS_MOST)

    def decorate(function: Any) -> Any:
        if isinstance(function, (property, type)):
            raise TypeError(f"method is for methods, not for {function!r}")
        setattr(getattr(function, "__func__", function), RETURNS, count)
        return function

    return decorate


def get_actor(name: str) -> ActorHandle:
    """A handle of the live actor of this name.

    Raises:
        TypeError: not a string.  ValueError: there is no such actor; the message lists the names.
    """
    if not isinstance(name, str):
        raise TypeError(f"get_actor takes a name, got {name!r}")
    return ActorHandle(session.current().actors.named(name))


def kill(actor: ActorHandle) -> None:
    """Ends an actor at once, for good: no exit handler runs, and its queued calls raise RayActorError. Idempotent.

    Raises:
        TypeError: not a handle.  RayActorError: the handle is of an earlier session.
    """
    if not isinstance(actor, ActorHandle):
        raise TypeError(f"kill takes the handle of an actor, got {actor!r}; cancel(id) ends a task")
    session.current().actors.kill(actor._ray_actor)


def exit_actor() -> NoReturn:
    """Ends the actor whose method calls this, after the call, whose value is None: its queued calls raise RayActorError.

    Raises:
        RuntimeError: this is no method of an actor.
    """
    session.current().actors.exit()


def current_actor() -> ActorHandle:
    """A handle of the actor whose method calls this, which it may also pass on. Kept by the actor itself, it does not keep the
    actor alive.

    Raises:
        RuntimeError: this is no method of an actor.
    """
    return ActorHandle(session.current().actors.current())
