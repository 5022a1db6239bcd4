"""TaskEnds: ends the tasks that no worker ends: those of dead workers, those cancelled in the queue, and hopeless ones.

Neighbours: deaths.py and supervisor.py call; policy/scheduler.py decides.
"""

from __future__ import annotations

from typing import Any

from ray_lite import _core
from ray_lite.control.report_channel import Reporter
from ray_lite.exceptions import ObjectLostError
from ray_lite.policy.attempt_ends import End, cancelled_text
from ray_lite.policy.scheduler import Fail, Finish, Requeue, Running
from ray_lite.store.kept_labels import kept_text
from ray_lite.store.listing import ALL, ObjectFacts
from ray_lite.store.object_store import Store
from ray_lite.values.failures import Failure, SystemFailure
from ray_lite.workers.task_facts import TaskFacts, task_facts

AT_ONCE = 500  # cancelled tasks that are ended at a time, in some milliseconds; other events come in between


def plain(attributes: dict[str, Any]) -> dict[str, Any]:
    """The facts of an error that its entry shows besides the text."""
    return {name: value for name, value in attributes.items() if name not in ("last_words", "task_name", "cause")}


class TaskEnds:
    """Ends tasks for the node."""

    def __init__(self, region: _core.Region, store: Store, reporter: Reporter) -> None:
        self.region, self.store, self.reporter = region, store, reporter
        self.more = False  #: there may be more cancelled tasks to end
        self._hopeless = ""  # why no worker can run the tasks of the candidates
        self._candidates: list[int] = []  # objects whose tasks may still have to fail for that reason
        self._given_up: dict[tuple[int, int], str] = {}  # why, by (record, serial), of tasks that are to fail for it

    @property
    def due(self) -> bool:
        """Whether there are more tasks to end."""
        return self.more or bool(self._candidates)

    def function_name(self, facts: TaskFacts) -> str:
        """The name of a task's function, or "(unknown)": a process may have died while it exported the function."""
        return kept_text(self.region, facts.function) or "(unknown)"

    def apply(self, order: Finish | Requeue | Fail) -> None:
        """Carries out one instruction about a task that the node has adopted."""
        if isinstance(order, Requeue):
            _core.requeue_task(self.region, order.task, order.counted, order.front)
            return
        if isinstance(order, Fail):
            failure: Failure | SystemFailure = SystemFailure(order.error, order.text, order.attributes)
            if order.error == "WorkerCrashedError":  # the caller of `cancel` needs no report
                failure = self.reporter.report(order.name, failure, "worker_crash", plain(order.attributes))
            for index in _core.task_returns(self.region, order.task):
                if index:
                    self.store.fail(index, failure)
        _core.finish_task(self.region, order.task)

    def apply_death(self, order: Finish | Requeue | Fail, task: Running, how: str) -> None:
        """Carries out an instruction about a task whose attempt a death has ended."""
        # First the table of errors: whoever has seen what the death did can find it there.
        if isinstance(order, Requeue) and order.counted:
            self.reporter.keep("worker_died", task.name, how, {"attempts": task.attempts})
        elif isinstance(order, Fail) and order.error == "RayActorError":
            self.reporter.keep("worker_crash", task.name, order.text, plain(order.attributes))
        self.apply(order)

    def end_cancelled(self) -> None:
        """Fails some of the tasks that were cancelled before they began, or before they began again."""
        self.more = all(self._end_one() for _ in range(AT_ONCE))

    def _end_one(self) -> bool:
        task = _core.take_cancelled_queued(self.region)
        if task:
            facts = task_facts(self.region, task)
            name, why = self.function_name(facts), self._given_up.pop((task, facts.serial), "")
            error, text = "TaskCancelledError", cancelled_text(name, End.UNBEGUN, facts.attempts)
            if why:
                error, text = "RaySystemError", f"task {name} could not begin: {why}"
            self.apply(Fail(task, name, text, {}, error))
        return task != 0

    def give_up(self, hopeless: str) -> None:
        """Begins to fail all tasks that are not running, since no worker can be started; `hopeless`: the text that says why."""
        self._hopeless = hopeless
        self._candidates = _core.largest(self.region, 0, ALL, False)

    def cancel_hopeless(self, workers: int) -> None:
        """Cancels some of the tasks that are given up, unless there are workers after all, or dead ones whose tasks return to
        the queue."""
        if workers:
            self._candidates.clear()
        for index in [self._candidates.pop() for _ in range(min(AT_ONCE, len(self._candidates)))]:
            try:
                facts = ObjectFacts(*_core.object_facts(self.region, index))
                task = _core.task_of(self.region, facts.id) if facts.state == _core.PENDING else (0, 0)
                if _core.job_of_task(self.region, task[0]) != self.region.job:
                    continue
                if _core.cancel(self.region, *task, False):  # 0: the user has cancelled it already
                    self._given_up[task] = self._hopeless
            except ObjectLostError:
                continue  # the object was freed meanwhile
