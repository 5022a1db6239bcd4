"""task_ends.py: whom the node ends for the user's sake, and whom because no worker can be started."""

import types

import pytest

from ray_lite.node import task_ends
from ray_lite.node.task_ends import TaskEnds
from ray_lite.store.listing import ALL
from ray_lite.workers.task_facts import TaskFacts

QUEUED = 1  # result of `cancel`
WHY = "no worker could be started"


class Core:
    """A region in which task `k` returns object `k`; those in `cancelled` are the node's to end."""

    PENDING = 1

    def __init__(self, tasks):
        self.tasks, self.cancelled, self.failures, self.others = tasks, [], {}, []

    def largest(self, region, least, what, in_memory):
        assert what == ALL
        return list(self.tasks)

    def object_facts(self, region, index):
        return index, 0, self.PENDING, 0, [], 0, False, False, False

    def task_of(self, region, x):
        return x, 7

    def job_of_task(self, region, task):
        return 2 if task in self.others else region.job

    def cancel(self, region, task, serial, force):
        if task in self.cancelled:
            return 0
        self.cancelled.append(task)
        return QUEUED

    def take_cancelled_queued(self, region):
        return self.cancelled.pop() if self.cancelled else 0

    def task_facts(self, region, task):
        return 0, 0, 0, 3, 1, b"", 7, False

    def task_returns(self, region, task):
        return [task]

    def finish_task(self, region, task):
        pass


@pytest.fixture
def core(monkeypatch):
    core = Core([3, 4, 5])
    monkeypatch.setattr(task_ends, "_core", core)
    monkeypatch.setattr(task_ends, "task_facts", lambda region, task: TaskFacts(*core.task_facts(region, task)))
    monkeypatch.setattr(TaskEnds, "function_name", lambda *_: "f")
    return core


@pytest.fixture
def ends(core):
    store = types.SimpleNamespace(fail=lambda index, failure: core.failures.update({index: failure}))
    return TaskEnds(types.SimpleNamespace(job=1), store, None)


def test_only_tasks_of_the_job_are_given_up(core, ends):
    core.others = [4]
    ends.give_up(WHY)
    ends.cancel_hopeless(0)
    assert sorted(core.cancelled) == [3, 5]


def test_what_the_user_had_cancelled_is_told_so_even_when_no_worker_can_be_started(core, ends):
    core.cancel(None, 4, 7, False)
    ends.give_up(WHY)
    ends.cancel_hopeless(0)
    ends.end_cancelled()
    assert {index: failure.error for index, failure in core.failures.items()} == {
        3: "RaySystemError", 4: "TaskCancelledError", 5: "RaySystemError"}  # fmt: skip
    assert core.failures[3].text == f"task f could not begin: {WHY}"
    assert not ends.due


def test_a_record_that_was_given_up_is_another_task_later(core, ends):
    ends.give_up(WHY)
    ends.cancel_hopeless(0)
    ends.end_cancelled()
    core.cancel(None, 3, 7, False)
    ends.end_cancelled()
    assert core.failures[3].error == "TaskCancelledError"


def test_with_a_worker_nobody_is_given_up(core, ends):
    ends.give_up(WHY)
    ends.cancel_hopeless(1)
    ends.end_cancelled()
    assert core.failures == {} and not ends.due
