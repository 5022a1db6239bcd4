"""ActorRunner: the TaskRunner of an actor's process.  Neighbours: calls/instance.py; main.py runs the loop."""

from __future__ import annotations

from typing import Any

from ray_lite import _core
from ray_lite.calls.instance import ActorLoop, Constructor, Exit, MethodFunction, construct
from ray_lite.exceptions import SerializationError
from ray_lite.store.named_values import name_of
from ray_lite.values.failures import dead
from ray_lite.workers.cancellation import calls_users_code
from ray_lite.workers.task_facts import task_facts
from ray_lite.workers.task_runner import TaskRunner

EXITED = "it ended itself by exit_actor()"


class ActorRunner(TaskRunner):
    """The runner of an actor's `_core.Worker`."""

    def fail(self, task: int, error: BaseException) -> bool:
        """Ends the actor if its constructor failed, or a method called `exit_actor`; the rest is as for tasks."""
        if isinstance(error, Exit):
            self._leave(EXITED)
            for index in _core.task_returns(self.region, task):
                if index:
                    self.store.fill(index, self._none())
            return False
        name = self.name(task_facts(self.region, task).function)
        if name.endswith(".__init__"):
            self._leave(f"its constructor failed: {type(error).__name__}: {error}", error.with_traceback(error.__traceback__))
        return super().fail(task, error)

    def lose(self, task: int) -> None:
        """Fails a call that was taken and does not begin any more, since the actor ends by itself."""
        failure = dead(self._class_name(), EXITED)
        for index in _core.task_returns(self.region, task):
            if index:
                self.store.fail(index, failure)

    def _none(self) -> Any:
        from ray_lite.values.serialization import dumps

        return dumps(None)

    def _leave(self, how: str, cause: BaseException | None = None) -> None:
        name = self._class_name()
        x = _core.create_object(self.region, _core.next_put_id(), 0, False)
        try:
            self.store.fail(_core.object_index(x), dead(name, how, cause))
        except SerializationError:  # the exception can't be pickled: the text must suffice
            self.store.fail(_core.object_index(x), dead(name, how))
        _core.seal_object(self.region, x)
        _core.leave_actor(self.region, x)
        self.over = True

    def _class_name(self) -> str:
        return name_of(self.store, _core.facts_of_actor(self.region, _core.own_actor(self.region)))


for function in (MethodFunction.__call__, MethodFunction._result, ActorLoop.finished, Constructor.__call__, construct):
    calls_users_code(function.__code__)
