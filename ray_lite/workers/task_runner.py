"""TaskRunner: what the core's worker loop asks for around a task.

Loading functions and arguments, storing results that are not plain, failing tasks or running them again, and adapting the
process to a task's shape and runtime environment.  `_core.Worker` calls these methods by name: the protocol is `_core._Runner`.
Neighbours: backend.py owns it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from ray_lite import _core
from ray_lite.calls.arguments import unpack
from ray_lite.control.report_channel import Reporter
from ray_lite.exceptions import TaskCancelledError
from ray_lite.options import WorkerOptions
from ray_lite.policy.retries import may_retry
from ray_lite.values.failures import ArgumentFailed, Failure, SystemFailure, pack
from ray_lite.values.serialization import dumps, loads
from ray_lite.workers.child import end_child
from ray_lite.workers.resource_env import ResourceEnv

if TYPE_CHECKING:
    from ray_lite.workers.backend import WorkerBackend


class TaskFacts(NamedTuple):
    """What a task's record says (`_core.task_facts`)."""

    function: int  #: index of the object with the function
    site: int  #: of the object with the call site, or 0
    attempts: int  #: begun so far
    max_retries: int
    nreturns: int
    id: bytes
    serial: int
    cancelled: bool


class TaskRunner:
    """The runner of one worker's `_core.Worker`."""

    def __init__(self, backend: WorkerBackend, resource_env: ResourceEnv, reporter: Reporter) -> None:
        self.backend, self.resource_env, self.reporter = backend, resource_env, reporter
        self.region, self.store = backend.region, backend.store
        self.options = WorkerOptions()  #: of the task that runs
        self.counts_calls = False  #: the core is to ask `is_enough` after each task
        self._options: dict[int, WorkerOptions] = {0: WorkerOptions()}  # by index of the object that holds them
        self._names: dict[int, str] = {}
        self._calls: dict[int, int] = {}

    def function(self, index: int) -> Callable[..., Any]:
        """The callable behind a task's function object, which may still be on its way."""
        self.backend.wait_for_function(_core.function_handle(self.region, index))
        return self.backend.functions.load(index)

    def name(self, index: int) -> str:
        """The function's name, for reports."""
        if index not in self._names:
            self._names[index] = loads(_core.payload(self.region, _core.function_handle(self.region, index))[1])
        return self._names[index]

    def load(self, x: _core.ObjectID, writable: bool) -> Any:
        """An argument's value; raises ArgumentFailed if it is a failure, which is then the task's."""
        value, failure = self.store.load(x, writable)
        if failure is not None:
            raise ArgumentFailed(failure)
        return value

    def arguments(self, task: int, data: bytes, writable: bool) -> tuple[list[Any], dict[str, Any]]:
        """Arguments that were pickled, with the values of ids in their places."""
        return unpack(data, _core.task_arguments(self.region, task), lambda x: self.load(x, writable))

    def store_result(self, task: int, result: Any) -> None:
        """Puts values into a task's returns; those that an earlier attempt sealed stay."""
        returns = _core.task_returns(self.region, task)
        values = [result] if len(returns) == 1 else _several(result, len(returns))
        for index, value in zip(returns, values, strict=True):
            if index:
                self.store.fill(index, dumps(value, "result"))

    def fail(self, task: int, error: BaseException) -> bool:
        """Gives the task's returns the error, or (True) says that it is to run again. Never raises."""
        facts = TaskFacts(*_core.task_facts(self.region, task))
        if self._is_retried(facts, error):
            return True
        failure = self._failure(facts, error)
        for index in _core.task_returns(self.region, task):
            if index:
                self.store.fail(index, failure)
        if error.__traceback__ is not None:
            import traceback

            traceback.clear_frames(error.__traceback__)  # they hold the arguments' views
        return False

    def _is_retried(self, facts: TaskFacts, error: BaseException) -> bool:
        """Whether the user wants another attempt after this error, and there is one left."""
        if facts.cancelled or isinstance(error, ArgumentFailed):
            return False
        try:
            if not isinstance(error, self.options.retry_exceptions):
                return False
        except BaseException:  # the class runs code of the user's: this would hide the task's error, and end the worker
            return False
        return may_retry(facts.attempts, facts.max_retries)

    def _failure(self, facts: TaskFacts, error: BaseException) -> Failure | SystemFailure:
        """What to store for an error; reported, unless it is known already or was wished for."""
        name = self.name(facts.function)
        if facts.cancelled and isinstance(error, TaskCancelledError):
            return SystemFailure("TaskCancelledError", f"task {name} was cancelled while it ran")
        failure = pack(error, name)
        if isinstance(error, ArgumentFailed):  # it was reported where the argument failed
            return failure
        if isinstance(failure, Failure) and self.options.retry_exceptions:
            failure = failure._replace(attempts=facts.attempts)
        return self.reporter.report(name, failure)

    def raise_cancelled(self) -> None:
        """A cancelled task is about to call its function."""
        self.backend.cancellation.raise_it()

    def is_enough(self, function: int) -> bool:
        """Whether the worker has run the function as often as its max_calls says."""
        self._calls[function] = self._calls.get(function, 0) + 1
        return 0 < self.options.max_calls <= self._calls[function]

    def leave_child(self, error: BaseException | None) -> NoReturn:
        """Ends a child that the task forked and that came to the end of the task: the task is its parent's."""
        end_child(error)

    def runtime_env(self, index: int) -> None:
        """Changes to the runtime environment of the next task."""
        self.backend.runtime_env.apply(index)

    def shape(self, queue: int) -> bool:
        """Adapts to the resources and options of the next task; False: this worker can't run it."""
        cpus, options = _core.shape_facts(self.region, queue)
        self.options = WorkerOptions()  # if its own can't be loaded
        if options not in self._options:
            self._options[options], _ = self.store.load(_core.function_handle(self.region, options))
        self.options = self._options[options]
        if not self.resource_env.change(cpus, may_decline=self.backend.inline.depth == 0):
            return False
        self.store.set_copy_threads(cpus)
        self.counts_calls = self.counts_calls or self.options.max_calls > 0
        return True


def _several(result: Any, count: int) -> list[Any]:
    """The values of a result for so many returns."""
    values = list(result) if isinstance(result, (tuple, list)) else None
    if values is None or len(values) != count:
        got = f"{len(values)} values" if values is not None else f"one {type(result).__name__}"
        raise ValueError(f"the task has num_return_vals={count} and must return a tuple or list of so many, not {got}")
    return values
