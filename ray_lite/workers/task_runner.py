"""TaskRunner: the work around a task that the core's worker loop leaves to Python.

It loads functions and arguments, stores results that are not plain, fails tasks or lets them run again, and adapts the process
to a task's shape and runtime environment.  `_core.Worker` calls these methods by name: the protocol is `_core._Runner`.
Neighbours: backend.py owns it; attempt_error.py says what follows an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from ray_lite import _core
from ray_lite.calls.arguments import unpack
from ray_lite.calls.functions import FunctionTable
from ray_lite.calls.returns import several
from ray_lite.calls.runtime_env import RuntimeEnv
from ray_lite.calls.unfinished import UNFINISHED, Finished, check_finished
from ray_lite.control.report_channel import Reporter
from ray_lite.options import WorkerOptions
from ray_lite.policy.attempt_ends import Follows
from ray_lite.store.kept_labels import kept_text
from ray_lite.store.object_store import Store
from ray_lite.values.failures import ArgumentFailed, described
from ray_lite.values.serialization import dumps
from ray_lite.workers.attempt_error import AttemptError
from ray_lite.workers.cancellation import calls_users_code
from ray_lite.workers.child import end_child
from ray_lite.workers.resource_env import ResourceEnv
from ray_lite.workers.signal_watch import SignalWatch
from ray_lite.workers.task_facts import task_facts


class Host(Protocol):
    """What a TaskRunner needs of the process it runs in."""

    region: _core.Region
    store: Store
    functions: FunctionTable
    runtime_env: RuntimeEnv

    @property
    def inline_depth(self) -> int:
        """Number of inline tasks on top of each other now."""

    def wait_for_function(self, x: _core.ObjectID) -> None:
        """Waits for a function that another process is exporting."""

    def raise_cancelled(self) -> None:
        """Raises TaskCancelledError in the innermost task."""


class TaskRunner:
    """The runner of one worker's `_core.Worker`."""

    over = False  #: whether the process ends after this task
    exits: BaseException | None = None  #: what is raised after this call if it ends its actor, whatever it returns

    def __init__(self, host: Host, resource_env: ResourceEnv, reporter: Reporter, signals: SignalWatch) -> None:
        self.host, self.resource_env, self.reporter, self.signals = host, resource_env, reporter, signals
        self.region, self.store = host.region, host.store
        self.options = WorkerOptions()  #: options of the task that runs
        self._counts_calls = False  # whether a task has had max_calls
        self._options: dict[int, WorkerOptions] = {0: WorkerOptions()}  # by index of the object that holds them
        self._names: dict[int, str] = {}
        self._calls: dict[int, int] = {}
        self._unloadable: set[int] = set()  # functions that could not be loaded here

    def function(self, index: int) -> Callable[..., Any]:
        """Loads the callable from a task's function object, which another process may still be writing."""
        self.host.wait_for_function(_core.function_handle(self.region, index))
        try:
            return self.host.functions.load(index)
        except Exception as error:
            if index not in self._unloadable:
                self._unloadable.add(index)
                self.reporter.keep("register_remote_function", self.name(index), described(error))
            raise

    def name(self, index: int) -> str:
        """Name of the function in an object, for reports."""
        if index not in self._names:
            self._names[index] = kept_text(self.region, index)
        return self._names[index]

    def load(self, x: _core.ObjectID, writable: bool) -> Any:
        """Loads an argument's value; raises ArgumentFailed if it is a failure, which then becomes the task's failure."""
        value, failure = self.store.load(x, writable)
        if failure is not None:
            raise ArgumentFailed(failure)
        return value

    def arguments(self, task: int, data: bytes, writable: bool) -> tuple[list[Any], dict[str, Any]]:
        """Unpickles a task's arguments and puts the values of ids in their places."""
        refs = _core.task_arguments(self.region, task)
        return unpack(data, refs, lambda x: self.load(x, writable), lambda: self.task_name(task))

    def task_name(self, task: int) -> str:
        """Name of a task's function, for reports."""
        return self.name(task_facts(self.region, task).function)

    def several(self, task: int, result: Any) -> list[Any]:
        """The values of a result with several returns; a generator of the user's runs here."""
        facts = task_facts(self.region, task)
        check_finished(self.name(facts.function), result, True)
        return several(result, facts.nreturns)

    def store_result(self, task: int, result: Any) -> None:
        """Stores a task's result, or its several values; returns that an earlier attempt sealed stay as they are."""
        returns = _core.task_returns(self.region, task)
        if not any(returns):
            return  # a call that runs again: all its results are there, and may be let go in part
        if len(returns) == 1:
            if type(result) in UNFINISHED:
                check_finished(self.task_name(task), result, False)
            result = [result]
        for index, value in zip(returns, result, strict=True):
            if index:
                self.store.fill(index, dumps(value, "result").followed_by(self.task_name(task)))

    def fail(self, task: int, error: BaseException) -> bool:
        """Stores the error in the task's returns, or returns True if the task is to run again instead. Never raises.

        If the task is cancelled after this asked, the core does not let it begin again.
        """
        self.signals.put_back()  # before a handler of the task can raise in here
        facts = task_facts(self.region, task)
        attempt = AttemptError(error, facts, self.options.retry_exceptions)
        if attempt.follows is Follows.ATTEMPT:
            return True
        failure = attempt.failure(self.name(facts.function), self.reporter)
        for index in _core.task_returns(self.region, task):
            if index:
                self.store.fail(index, failure)
        if error.__traceback__ is not None:
            import traceback

            traceback.clear_frames(error.__traceback__)  # the frames hold views of the arguments
        return False

    def raise_cancelled(self) -> None:
        """Raises TaskCancelledError in a cancelled task that is about to call its function."""
        self.host.raise_cancelled()

    @property
    def asks(self) -> bool:
        """Whether the core is to call `after` after each task."""
        return self._counts_calls

    def after(self, function: int) -> bool:
        """Puts signals back; returns whether the worker has run the function as often as its max_calls says."""
        self.signals.put_back()
        self._calls[function] = self._calls.get(function, 0) + 1
        return 0 < self.options.max_calls <= self._calls[function]

    def leave_child(self, error: BaseException | None) -> NoReturn:
        """Ends a forked child that has come to the end of the task's function: only its parent may finish the task."""
        end_child(error)

    def runtime_env(self, index: int) -> None:
        """Changes this process to the runtime environment of the next task."""
        self.host.runtime_env.apply(index)

    def shape(self, queue: int) -> bool:
        """Adapts to the resources and options of the next task; False: this worker can't run it."""
        cpus, options = _core.shape_facts(self.region, queue)
        self.options = WorkerOptions()  # they stay if the task's own can't be loaded
        if options not in self._options:
            self._options[options], _ = self.store.load(_core.function_handle(self.region, options))
        self.options = self._options[options]
        if not self.resource_env.change(cpus, may_decline=self.host.inline_depth == 0):
            return False
        self.store.set_copy_threads(cpus)
        self._counts_calls = self._counts_calls or self.options.max_calls > 0
        return True


for function in (TaskRunner.several, several, Finished.__call__):
    calls_users_code(function.__code__)
