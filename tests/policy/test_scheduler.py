"""scheduler.py: how many workers start, and what a death means for each task of the dead worker."""

import pytest

from ray_lite.policy.scheduler import (
    Died,
    Fail,
    Finish,
    PoolState,
    Requeue,
    Retire,
    Running,
    Scheduler,
    StartWorkers,
    actors_most,
)

KILLED = Died(pid=7, signal="SIGKILL", number=9)
TERMINATED = Died(pid=7, signal="SIGTERM", number=15)
SEGFAULT = Died(pid=7, signal="SIGSEGV", number=11)
EXITED = Died(pid=7, signal="", number=3)


ONE = PoolState(ready=1, idle=0, starting=0, cpus_free=20_000, fits=True, workers=0)


def wanted(**facts):
    return Scheduler(10).workers_wanted(ONE._replace(**facts))


def task(attempts=1, retries_left=3, innermost=True, complete=False):
    return Running(5, "f", "here.py:1 in g", attempts, retries_left, innermost, complete)


def test_nothing_starts_while_nothing_fits():
    assert wanted(ready=9, fits=False) == []


def test_one_worker_for_one_task():
    assert wanted() == [StartWorkers(1)]


def test_whoever_is_idle_or_starting_will_take_it():
    assert wanted(idle=1) == []
    assert wanted(starting=1) == []


def test_no_more_than_the_free_cpus_can_run():
    assert wanted(ready=100, cpus_free=40_000) == [StartWorkers(4)]
    assert wanted(ready=100, cpus_free=40_000, starting=3) == [StartWorkers(1)]


def test_tasks_without_cpus_start_too():
    assert wanted(cpus_free=0) == [StartWorkers(1)]
    assert wanted(cpus_free=-10_000) == [StartWorkers(1)]


def test_never_more_than_max_workers():
    assert wanted(ready=100, cpus_free=1_000_000, workers=8) == [StartWorkers(2)]
    assert wanted(ready=100, workers=10) == []


@pytest.mark.parametrize("death", [KILLED, TERMINATED])
def test_killed_from_outside_runs_again(death):
    assert Scheduler(9).on_death(death, task()) == Requeue(5, counted=True, front=False)


@pytest.mark.parametrize("death", [KILLED, TERMINATED])
def test_until_the_retries_are_used_up(death):
    assert isinstance(Scheduler(9).on_death(death, task(attempts=3, retries_left=1)), Requeue)
    assert isinstance(Scheduler(9).on_death(death, task(attempts=999, retries_left=1)), Requeue)
    assert isinstance(Scheduler(9).on_death(death, task(attempts=1, retries_left=0)), Fail)


@pytest.mark.parametrize("death", [SEGFAULT, EXITED])
def test_a_process_that_ended_itself_is_reported_at_once(death):
    assert isinstance(Scheduler(9).on_death(death, task()), Fail)


@pytest.mark.parametrize("death", [KILLED, SEGFAULT, EXITED])
def test_outer_tasks_are_innocent(death):
    assert Scheduler(9).on_death(death, task(retries_left=0, innermost=False)) == Requeue(5, counted=False, front=True)


@pytest.mark.parametrize("death", [KILLED, SEGFAULT, EXITED])
def test_a_task_that_had_sealed_everything_is_finished(death):
    assert Scheduler(9).on_death(death, task(complete=True)) == Finish(5)


def test_the_story_names_pid_cause_and_task():
    story = Scheduler(9).on_death(KILLED, task(attempts=4, retries_left=0)).text
    assert "pid 7" in story and "signal 9 (SIGKILL)" in story and "attempt 4 of 4" in story
    assert "task f, called at here.py:1 in g," in story
    assert ", called" not in Scheduler(9).on_death(KILLED, task(attempts=4, retries_left=0)._replace(site="")).text
    story = Scheduler(9).on_death(EXITED, task()).text
    assert "exit code 3" in story and "attempt" not in story


# ---------------------------------------------------------------- retiring, cancelling


def test_at_the_bound_who_can_run_nothing_makes_room():
    assert wanted(workers=10, resting=3) == [Retire()]
    assert wanted(workers=10, resting=3, starting=1) == []
    assert wanted(workers=10) == []
    assert wanted(workers=9, resting=3) == [StartWorkers(1)]


def test_brief_tasks_start_nobody_beyond_the_warm_ones():
    scheduler = Scheduler(100, warm=2, brief=0.01)

    def started(now, finished, running=2):
        return scheduler.workers_wanted(ONE._replace(ready=50, running=running, finished=finished, now=now))

    started(10.0, 0)  # the pace is taken
    assert started(10.02, 100) == [] == started(10.021, 100), "fifty a worker in 20 ms"
    assert started(10.04, 100) == [StartWorkers(2)], "nothing has ended since: they are long"
    assert started(10.06, 500, running=1) == [StartWorkers(2)], "fewer run than may"


def test_workers_beyond_the_warm_ones_may_rest():
    scheduler = Scheduler(100, warm=4)
    assert [scheduler.may_retire(number) for number in (3, 4, 5)] == [False, False, True]


@pytest.mark.parametrize("death", [KILLED, SEGFAULT, EXITED])
@pytest.mark.parametrize("innermost", [True, False])
def test_a_cancelled_task_never_runs_again(death, innermost):
    order = Scheduler(9).on_death(death, task(innermost=innermost)._replace(cancelled=True))
    assert isinstance(order, Fail) and order.error == "TaskCancelledError"
    assert order.text.startswith("task f was cancelled while it ran; the worker (pid 7)")
    forced = Scheduler(9).on_death(death._replace(forced=True), task(innermost=innermost)._replace(cancelled=True))
    assert forced.error == "TaskCancelledError" and forced.text == "task f was cancelled while it ran"
    assert Scheduler(9).on_death(death, task(complete=True)._replace(cancelled=True)) == Finish(5)


def test_who_dies_with_a_cancelled_one_is_innocent():
    forced = KILLED._replace(forced=True)
    assert Scheduler(9).on_death(forced, task(retries_left=0)) == Requeue(5, counted=False, front=True)


@pytest.mark.parametrize(("processes", "cpus", "most"), [
    (2045, 2, 2043), (2045, 0.5, 2044), (2045, 0, 2044), (8, 2, 6), (8, 64, 4), (3, 64, 2), (2, 2, 1), (1, 2, 0),
])
def test_tasks_always_have_room_for_a_worker(processes, cpus, most):
    assert actors_most(processes, cpus) == most
