"""SerialActor: an actor in PYTHON_MODE, which is an instance in the driver; its methods run at once.

One thread at a time is in an actor.  A call that a method makes to its own actor runs inside that method: a queued one could
not return its value.  Neighbour: serial_actors.py owns them.
"""

from __future__ import annotations

import contextvars
import os
import sys
import threading
import traceback
import uuid
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ray_lite.backends.copies import arguments_copied, copied
from ray_lite.calls.instance import ActorLoop, Exit, construct
from ray_lite.calls.methods import CHECKPOINT, TERMINATE, Creation, MethodCall, bound
from ray_lite.calls.returns import several
from ray_lite.calls.unfinished import check_finished, hide_loop
from ray_lite.exceptions import RayActorError
from ray_lite.values.failures import actor_error, constructor_failed, described, titled
from ray_lite.values.serialization import dumps

#: the actor whose method runs; None: code that is no actor's, such as a task's.  Weak, since event loops keep contexts.
current: contextvars.ContextVar[weakref.ref[SerialActor] | None] = contextvars.ContextVar("current", default=None)


class SerialActor:
    """One actor; it ends when nothing refers to it any more, since only handles do."""

    def __init__(self, creation: Creation) -> None:
        self.id = uuid.uuid4().bytes + uuid.uuid4().bytes[:4]
        self.reference = self.id
        self.cls, self.methods = creation.cls, creation.methods
        self.options, self.name = creation.options, creation.options.name
        self._title = titled(creation.methods.name, creation.options.name)
        self.calls = 0  #: calls of methods that have ended
        self.death = ""  #: how it died, once it has: each call raises RayActorError from then on
        self._cause: BaseException | None = None
        self.exits = False  #: whether a method has called exit_actor
        self._ends_well = False  # the end is a graceful one
        self.value: Any = None  #: the instance
        self._loop = ActorLoop()
        self._since_checkpoint = 0
        self._depth = 0  # calls that run
        self._lock = threading.RLock()
        self._pid = os.getpid()

    def construct(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Makes the instance. If the constructor fails, its error is the cause of each call's error, and is shown."""
        args, kwargs = arguments_copied(args, kwargs)
        with self._inside():
            try:
                self.value = construct(self.cls, self, args, kwargs)
            except (Exception, SystemExit) as error:
                how = constructor_failed(error)
                self._cause = error.with_traceback(None)  # the frames would keep what the constructor had made
                say(f"the actor {self._title} is dead: {how}")
                self.die(how)

    def call(self, call: MethodCall) -> Any:
        """Runs a method; returns its value, the list of its values, or None if it has no returns."""
        with self._lock:
            if self.death:
                raise self.error()
            if call.method.name == TERMINATE:
                return self.end("it was ended by __ray_terminate__")
            result = None
            with self._inside():
                if call.method.name == CHECKPOINT:
                    self._save()
                else:
                    result = self._result(call)
            if self._was_killed():
                raise self.error()  # by its own method
            return result

    def _was_killed(self) -> bool:
        return bool(self.death) and not self._ends_well

    def _result(self, call: MethodCall) -> Any:
        args, kwargs = arguments_copied(call.args, call.kwargs)
        count = call.num_return_vals
        try:
            result = self._loop.finished(bound(self.value, call.method.name)(*args, **kwargs), call.method.is_async)
            if self.exits:
                return [None] * count if count > 1 else None
            if count == 0:
                return None
            check_finished(call.method.shown_name, result, count > 1)
            return copied(result if count == 1 else several(result, count))
        except BaseException:
            if self.exits:  # whatever the method made of the exception that ends it
                return [None] * count if count > 1 else None
            raise
        finally:
            self._count()

    @contextmanager
    def _inside(self) -> Iterator[None]:
        """A context in which a call of this actor runs; what has to follow the outermost one follows."""
        token, around = current.set(weakref.ref(self)), hide_loop()
        self._depth += 1
        try:
            yield
        except Exit:
            pass
        finally:
            self._depth -= 1
            if around is not None:
                around.show()
            current.reset(token)
            if self.exits and not self.death:
                self.end("it ended itself by exit_actor()")
            elif self.death and self._depth == 0:
                self._leave()

    def _count(self) -> None:
        self.calls += 1
        self._since_checkpoint += 1
        if self._since_checkpoint == self.options.checkpoint_interval and not self.death:
            self._save()

    def _save(self) -> None:
        """Makes a checkpoint as in a process, to show whether that works; nothing ever restores it here."""
        self._since_checkpoint = 0
        try:
            dumps(self._hook("__ray_save__", lambda: self.value))
        except (Exception, SystemExit, Exit) as error:
            say(f"a checkpoint of {self.methods.name} failed: {described(error)}")

    def _hook(self, name: str, otherwise: Callable[[], Any]) -> Any:
        """The result of a method that the class may have, or else that of a function."""
        if name not in self.methods.known:
            return otherwise()
        return self._loop.finished(bound(self.value, name)(), self.methods.known[name].is_async)

    def end(self, how: str) -> None:
        """Ends the actor gracefully: `__ray_shutdown__` runs if the class has one, after the calls that run."""
        if not self.death and os.getpid() == self._pid:
            self.death, self._ends_well = how, True
            if self._depth == 0:
                self._leave()

    def die(self, how: str) -> None:
        """Ends the actor at once: no hook of it runs."""
        if not self.death:
            self.death = how
            if self._depth == 0:
                self._leave()

    def _leave(self) -> None:
        """Runs the hook if the end is a graceful one, and lets go of the instance."""
        if self.value is None:
            return
        token, around = current.set(weakref.ref(self)), hide_loop()
        try:
            if self._ends_well:
                self._hook("__ray_shutdown__", lambda: None)
        except KeyboardInterrupt:
            raise
        except BaseException:
            say(f"__ray_shutdown__ of {self.methods.name} failed:\n{traceback.format_exc()}")
        finally:
            self.value = None
            self._loop.close()
            if around is not None:
                around.show()
            current.reset(token)

    def error(self) -> RayActorError:
        """The error of a call after the death; an instance of the class of a constructor's error, too, if there can be one."""
        text = f"the actor {self._title} is dead: {self.death}"
        return actor_error(text, self.methods.name, self._cause)

    def __del__(self) -> None:
        self.end("its last handle is gone")


def say(text: str) -> None:
    """Tells the user something on stderr."""
    print(f"ray_lite: {text}", file=sys.stderr)
