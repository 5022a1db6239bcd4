"""ActorRunner: the TaskRunner of an actor's process.

Neighbours: calls/instance.py (what the calls run), checkpoints.py; main.py runs the loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray_lite import _core
from ray_lite.calls.actor_facts import ProcessFacts
from ray_lite.calls.instance import ActorLoop, Constructor, Exit, MethodFunction, construct, instance
from ray_lite.calls.methods import bound
from ray_lite.exceptions import ObjectStoreFullError, SerializationError
from ray_lite.store.kept_labels import kept_label
from ray_lite.values.failures import ArgumentFailed, constructor_failed, dead, described, unpack
from ray_lite.values.serialization import dumps
from ray_lite.workers.cancellation import calls_users_code
from ray_lite.workers.checkpoints import Checkpoints
from ray_lite.workers.task_runner import TaskRunner

EXITED = "it ended itself by exit_actor()"


class ActorRunner(TaskRunner):
    """The runner of an actor's `_core.Worker`."""

    checkpoints: Checkpoints

    def begin(self, worker: _core.Worker, most: int) -> None:
        """Restores the state of the actor if an earlier process has saved one. `most`: past calls that are kept at most."""
        kept = _core.facts_of_actor(self.region, _core.own_actor(self.region))
        facts = ProcessFacts(*kept_label(self.region, kept))
        self._class_name, self._name = facts.class_name, facts.name
        misplaced = self._enter(facts.runtime_env)
        self.checkpoints = Checkpoints(self.store, self.reporter, facts, most)
        self.checkpoints.begin(worker)
        instance.save, instance.ask = self.checkpoints.save, worker.ask
        saved = _core.saved_checkpoint(self.region)
        if saved is None:
            return
        try:
            if misplaced is not None:
                raise misplaced
            constructor: Any = self.function(facts.constructor[0])
            instance.is_async = constructor.is_async
            self.checkpoints.restore(constructor.cls, self.load(saved, True))
        except BaseException as error:  # whatever it is: a process that died of it would be followed by one that dies of it
            instance.value = None
            self.checkpoints.say_restore_failed(error)
            self._leave(f"its state could not be restored: {described(error)}", error)

    def _enter(self, environment: int) -> OSError | None:
        """Changes to the runtime environment of the creation, in which all calls run; the error if its directory is gone. The
        constructor's call meets that error, too."""
        try:
            self.runtime_env(environment)
        except OSError as error:
            return error
        return None

    def function(self, index: int) -> Callable[..., Any]:
        """What a call of the actor calls: the method itself where nothing else is to be done."""
        function = super().function(index)
        if isinstance(function, MethodFunction) and function.is_plain:
            return bound(instance.value, function.name)  # type: ignore[no-any-return]
        return function

    @property
    def exits(self) -> BaseException | None:  # type: ignore[override]
        """Exit if the method has called `exit_actor`, whatever it made of the exception that ends it."""
        return Exit() if instance.exits else None

    def checkpoint(self) -> None:
        """Makes a checkpoint between two calls."""
        self.checkpoints.save()
        if instance.exits:
            self._leave(EXITED)

    def fail(self, task: int, error: BaseException) -> bool:
        """Ends the actor if its constructor failed, or a method called `exit_actor`; the rest is as for tasks. What a call
        raises that had ended in an earlier process is known already."""
        if isinstance(error, Exit) or instance.exits:
            self._leave(EXITED)
            for index in _core.task_returns(self.region, task):
                if index:
                    self.store.fill(index, dumps(None))
            return False
        constructs, replays = _core.call_facts(self.region, task)
        if constructs:
            self._leave_at_once(error)
        elif replays:
            self.signals.put_back()
            return False
        return super().fail(task, error)

    def _leave_at_once(self, error: BaseException) -> None:
        """Ends the actor, whose constructor failed, or could not be called since an argument is an error."""
        if not isinstance(error, ArgumentFailed):
            self._leave(constructor_failed(error), error)
            return
        argument = unpack(error.failure)
        self._leave(f"an argument of its constructor failed: {argument}", vars(argument).get("cause") or argument)

    def lose(self, task: int) -> None:
        """Fails a call that was taken and does not begin any more, since the actor ends by itself."""
        failure = dead(self._class_name, self._name, EXITED)
        for index in _core.task_returns(self.region, task):
            if index:
                self.store.fail(index, failure)

    def _leave(self, how: str, cause: BaseException | None = None) -> None:
        self.over = True
        try:
            x = _core.create_object(self.region, _core.next_put_id(), 0, False)
        except ObjectStoreFullError:  # the node has a text for this case
            _core.leave_actor(self.region)
            return
        try:
            self.store.fail(_core.object_index(x), dead(self._class_name, self._name, how, cause))
        except SerializationError:  # the exception can't be pickled: the text must suffice
            self.store.fail(_core.object_index(x), dead(self._class_name, self._name, how))
        _core.seal_object(self.region, x)
        _core.leave_actor(self.region, x)


for function in (MethodFunction.__call__, ActorLoop.finished, Constructor.__call__, construct):
    calls_users_code(function.__code__)
