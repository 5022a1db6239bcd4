"""Actors in PYTHON_MODE: instances in the driver, whose methods run at once.

A call that a method makes to its own actor runs inside that method: a queued one could not return its value.  Neighbour:
serial.py owns them.  Must not start threads or processes.
"""

from __future__ import annotations

import sys
import threading
import traceback
import uuid
import weakref
from typing import Any, NoReturn

from ray_lite.backends.copies import arguments_copied
from ray_lite.calls.methods import CHECKPOINT, TERMINATE, Creation, MethodCall, bound
from ray_lite.calls.returns import several
from ray_lite.calls.unfinished import check_finished, hide_loop
from ray_lite.exceptions import RayActorError
from ray_lite.values.exception_state import both
from ray_lite.values.serialization import dumps


class Exit(BaseException):
    """Ends the method that called `exit_actor`."""


class SerialActor:
    """One actor; it ends when nothing refers to it any more, since only handles do."""

    def __init__(self, creation: Creation) -> None:
        self.id = uuid.uuid4().bytes + uuid.uuid4().bytes[:4]
        self.cls, self.methods = creation.cls, creation.methods
        self.options, self.name = creation.options, creation.options.name
        self.calls = 0  #: calls of methods that have ended
        self.death: RayActorError | None = None  #: the error of each call from now on
        self._instance: Any = None
        self._loop: Any = None
        self._since_checkpoint = 0

    def construct(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Calls the constructor, whose error is the cause of each later call's error."""
        args, kwargs = arguments_copied(args, kwargs)
        try:
            self._instance = self.cls(*args, **kwargs)
        except Exit:
            self.end("it ended itself in its constructor")
        except Exception as error:
            self.die(f"its constructor failed: {type(error).__name__}: {error}", error)

    def call(self, call: MethodCall) -> Any:
        """Runs a method; returns its value, the list of its values, or None if it has no returns."""
        if self.death is not None:
            raise self.death.with_traceback(None)
        if call.method.name == TERMINATE:
            return self.end("it was ended by __ray_terminate__")
        if call.method.name == CHECKPOINT:
            return self._save()
        args, kwargs = arguments_copied(call.args, call.kwargs)
        instance = self._instance
        try:
            result = bound(instance, call.method.name)(*args, **kwargs)
            if hasattr(result, "__await__"):
                result = self._finished(result)
            if call.num_return_vals == 0:
                return None
            check_finished(call.method.shown_name, result, call.num_return_vals > 1)
            return result if call.num_return_vals == 1 else several(result, call.num_return_vals)
        finally:
            self._count()

    def _finished(self, coroutine: Any) -> Any:
        """The result of a coroutine, on the actor's own event loop; a call inside a call gets a loop of its own."""
        import asyncio

        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        inner = self._loop.is_running()
        loop = asyncio.new_event_loop() if inner else self._loop
        around = hide_loop()
        try:
            return loop.run_until_complete(coroutine)
        finally:
            if inner:
                loop.close()
            if around is not None:
                around.show()

    def _count(self) -> None:
        self.calls += 1
        self._since_checkpoint += 1
        if self._since_checkpoint == self.options.checkpoint_interval and self.death is None:
            self._save()

    def _save(self) -> None:
        """Takes a checkpoint as in a process, to show whether that works; nothing ever restores it here."""
        self._since_checkpoint = 0
        try:
            save = getattr(type(self._instance), "__ray_save__", None)
            dumps(self._instance if save is None else save(self._instance))
        except Exception as error:
            _say(f"a checkpoint of {self.methods.name} failed: {type(error).__name__}: {error}")

    def end(self, how: str) -> None:
        """Ends the actor gracefully: `__ray_shutdown__` runs if the class has one."""
        if self.death is not None:
            return
        instance, loop, self._loop = self._instance, self._loop, None
        self.die(how)
        hook = getattr(type(instance), "__ray_shutdown__", None)
        try:
            if hook is not None:
                hook(instance)
        except Exception:
            _say(f"__ray_shutdown__ of {self.methods.name} failed:\n{traceback.format_exc()}")
        finally:
            if loop is not None and not loop.is_running():
                loop.close()

    def die(self, how: str, cause: BaseException | None = None) -> None:
        """Ends the actor at once: its calls raise RayActorError from now on."""
        if self.death is None:
            self._instance = None
            self.death = _death(f"the actor {self.methods.name} is dead: {how}", self.methods.name, cause)

    def __del__(self) -> None:
        self.end("its last handle is gone")


def _death(text: str, class_name: str, cause: BaseException | None) -> RayActorError:
    """The error of a dead actor's calls; an instance of the cause's class, too, if there can be one."""
    made = None if cause is None else both(RayActorError, cause, {"__str__": lambda self: vars(self)["_text"]})
    error: Any = RayActorError(text) if made is None else made
    vars(error)["_text"] = text
    error.class_name, error.cause, error.__cause__ = class_name, cause, cause
    return error  # type: ignore[no-any-return]


def _say(text: str) -> None:
    print(f"ray_lite: {text}", file=sys.stderr)


class SerialActors:
    """The actors of a session in PYTHON_MODE."""

    def __init__(self) -> None:
        self._alive: weakref.WeakSet[SerialActor] = weakref.WeakSet()
        self._running = threading.local()

    def create(self, creation: Creation) -> SerialActor:
        """A new actor, or with get_if_exists the one that has the name."""
        name = creation.options.name
        known = None if name is None else self._named().get(name)
        if known is not None and not creation.options.get_if_exists:
            raise ValueError(f"there is an actor named {name!r} already, of class {known.methods.name}: kill it first, use "
                             "another name, or give get_if_exists=True")
        if known is not None and known.cls is not creation.cls:
            raise ValueError(f"the actor named {name!r} is of class {known.methods.name}, not {creation.methods.name}")
        if known is not None:
            return known
        actor = SerialActor(creation)
        self._alive.add(actor)
        with self.inside(actor):
            actor.construct(creation.args, creation.kwargs)
        return actor

    def call(self, call: MethodCall) -> Any:
        """Runs a method; `exit_actor` in it ends the actor, and its value is None."""
        actor: SerialActor = call.actor
        with self.inside(actor):
            try:
                return actor.call(call)
            except Exit:
                actor.end("it ended itself by exit_actor()")
                return [None] * call.num_return_vals if call.num_return_vals > 1 else None

    def kill(self, actor: SerialActor) -> None:
        """Ends an actor without calling `__ray_shutdown__`."""
        actor.die("it was killed by ray_lite.kill")

    def named(self, name: str) -> SerialActor:
        """The live actor of this name. Raises ValueError if there is none."""
        known = self._named()
        if name not in known:
            raise ValueError(f"there is no actor named {name!r}; the names are {', '.join(map(repr, sorted(known))) or 'none'}")
        return known[name]

    def inside(self, actor: SerialActor | None) -> _Inside:
        """A context in which `current` is this actor; None: code that is no actor's, such as a task's."""
        return _Inside(self._running, actor)

    def current(self) -> SerialActor:
        """The actor whose method runs in this thread. Raises RuntimeError if none does."""
        actor: SerialActor | None = getattr(self._running, "actor", None)
        if actor is None:
            raise RuntimeError("this is no method of an actor")
        return actor

    def exit(self) -> NoReturn:
        """Ends the method that runs, and then its actor. Raises RuntimeError if none runs."""
        self.current()
        raise Exit

    def rows(self) -> list[dict[str, Any]]:
        """What `global_state.actors()` shows."""
        return [{"ActorID": actor.id.hex(), "ClassName": actor.methods.name, "Name": actor.name, "State": "ALIVE",
                 "CallsFinished": actor.calls, "CallsQueued": 0} for actor in self._alive if actor.death is None]

    def close(self) -> None:
        """Ends all actors gracefully."""
        for actor in list(self._alive):
            actor.end("its session has ended")

    def _named(self) -> dict[str, SerialActor]:
        return {actor.name: actor for actor in self._alive if actor.name is not None and actor.death is None}


class _Inside:
    """A context in which an actor is the current one of its thread."""

    def __init__(self, running: threading.local, actor: SerialActor | None) -> None:
        self.running, self.actor = running, actor

    def __enter__(self) -> None:
        self.before = getattr(self.running, "actor", None)
        self.running.actor = self.actor

    def __exit__(self, *_: object) -> None:
        self.running.actor = self.before
