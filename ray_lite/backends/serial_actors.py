"""The actors of a session in PYTHON_MODE.  Neighbours: serial_actor.py is one actor, serial.py owns the one SerialActors."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from typing import Any, NoReturn

from ray_lite.backends.serial_actor import SerialActor, current
from ray_lite.calls.instance import Exit
from ray_lite.calls.methods import Creation, MethodCall
from ray_lite.exceptions import RayActorError


class SerialActors:
    """See abc.Actors for the methods' contracts."""

    def __init__(self) -> None:
        self._known: weakref.WeakValueDictionary[bytes, SerialActor] = weakref.WeakValueDictionary()  # by id, oldest first
        self._lock = threading.RLock()

    def create(self, creation: Creation) -> SerialActor:
        """A new actor, or with get_if_exists the one that has the name; its constructor has run."""
        name, cls = creation.options.name, creation.cls
        with self._lock:
            known = None if name is None else self._named(name)
            if known is not None and not creation.options.get_if_exists:
                del known
                gc.collect()  # an actor that only garbage refers to has no name
                known = self._named(name)
            if known is None:
                actor = SerialActor(creation)
                self._known[actor.id] = actor
            elif not creation.options.get_if_exists:
                raise ValueError(f"there is an actor named {name!r} already, of class {known.methods.name}: kill it first, use "
                                 "another name, or give get_if_exists=True")
            elif (known.cls.__module__, known.cls.__qualname__) != (cls.__module__, cls.__qualname__):
                raise ValueError(f"the actor named {name!r} is of class {known.methods.name}, not {creation.methods.name}")
            else:
                return known
        actor.construct(creation.args, creation.kwargs)
        return actor

    def call(self, call: MethodCall) -> Any:
        """Runs the method at once, and raises its error."""
        if not isinstance(call.actor, SerialActor):
            raise RayActorError(f"the actor of {call.method.shown_name} was of an earlier session")
        return call.actor.call(call)

    def kill(self, actor: SerialActor) -> None:
        if not isinstance(actor, SerialActor):
            raise RayActorError(f"the actor of class {actor.methods.name} was of an earlier session")
        actor.die("it was killed by ray_lite.kill")

    def named(self, name: str) -> SerialActor:
        with self._lock:
            known = self._named(name)
            if known is None:
                names = ", ".join(sorted(repr(actor.name) for actor in self._alive() if actor.name is not None))
                raise ValueError(f"there is no actor named {name!r}; the names are {names or 'none'}")
            return known

    def find(self, id: bytes) -> SerialActor:
        """The actor of this id. Raises RayActorError if it is gone."""
        actor = self._known.get(id)
        if actor is None:
            raise RayActorError(f"the actor {id.hex()} is gone")
        return actor

    def current(self) -> SerialActor:
        reference = current.get()
        actor = None if reference is None else reference()
        if actor is None:
            raise RuntimeError("this is no method of an actor")
        return actor

    def exit(self) -> NoReturn:
        self.current().exits = True
        raise Exit

    def rows(self) -> list[dict[str, Any]]:
        """What `global_state.actors()` shows."""
        return [{"ActorID": actor.id.hex(), "ClassName": actor.methods.name, "Name": actor.name, "State": "ALIVE",
                 "Pid": os.getpid(), "CallsFinished": actor.calls, "CallsQueued": 0, "Restarts": 0} for actor in self._alive()]

    def close(self) -> None:
        """Ends all actors gracefully, the oldest first."""
        for actor in self._alive():
            actor.end("its session has ended")

    def _alive(self) -> list[SerialActor]:
        return [actor for actor in list(self._known.values()) if not actor.death]

    def _named(self, name: str | None) -> SerialActor | None:
        return next((actor for actor in self._alive() if actor.name == name), None)
