"""jobs.pyx: the jobs of a session share its resources and its store, and nothing else."""

import os
import select

import pytest

from ray_lite import _core
from ray_lite.exceptions import RaySystemError

CPU = 10_000


@pytest.fixture
def gate():
    file = os.eventfd(0, os.EFD_SEMAPHORE)
    yield file
    os.close(file)


@pytest.fixture
def jobs(make_region, tasks, gate):
    """`jobs(cpus=...)`: the regions of two jobs, and the tasks of each."""

    def make(**changes):
        first = make_region(**changes)
        second = make_region.files_of(first).another_job()
        table = {"echo": lambda x: x, "who": lambda: os.getpid(), "holds": lambda: os.eventfd_read(gate)}
        return first, second, tasks(first, table), tasks(second, table)

    yield make


def is_rung(bell):
    return bool(select.select([bell], [], [], 0)[0])


def test_a_shape_belongs_to_one_job(jobs):
    first, second, *_ = jobs()
    assert (first.job, second.job, first.statistics()["jobs"]) == (1, 2, 2)
    assert _core.demand_queue(first, CPU) != _core.demand_queue(second, CPU)


def test_workers_run_the_tasks_of_their_job(jobs, worker):
    first, second, ones, others = jobs()
    (one, _), (other, _) = worker(first, ones.worker), worker(second, others.worker)
    for _ in range(50):
        assert (ones.get(ones.call("who")()), others.get(others.call("who")())) == (one.pid, other.pid)
    _core.close_session(first)
    assert _core.is_closing(first) and not _core.is_closing(second)
    _core.close_session(second)


@pytest.mark.parametrize("stalls", [False, True])
def test_a_cpu_that_one_job_frees_wakes_an_idle_worker_of_another(jobs, worker, wait_until, gate, stalls):
    """Whether its tasks are stalled, since a worker has seen that they lack the CPU, or wait in the ring."""
    first, second, ones, others = jobs(cpus=CPU)
    worker(first, ones.worker)
    worker(second, others.worker)
    wait_until(lambda: second.statistics()["idle"] == 1, what="an idle worker")
    held = ones.call("holds")()
    wait_until(lambda: first.statistics()["cpus_free"] == 0, what="the CPU is taken")
    waits = others.call("echo")(5)
    if stalls:
        worker(second, others.worker)
        wait_until(lambda: second.statistics()["stalled"] == 1, what="its task is stalled")
    os.eventfd_write(gate, 1)
    assert others.get(waits, 1500) == 5  # idle workers look by themselves only after 2 s
    assert ones.get(held) == 1
    _core.close_session(first)
    _core.close_session(second)


def test_if_it_has_no_idle_worker_its_node_is_rung_through_the_host(jobs, worker, wait_until, make_region, gate):
    first, second, ones, others = jobs(cpus=CPU)
    control, arena, host, bell = make_region.files_of(first).files
    worker(first, ones.worker)
    held = ones.call("holds")()
    wait_until(lambda: first.statistics()["cpus_free"] == 0, what="the CPU is taken")
    waits = others.call("echo")(5)
    _core.answer_bell(first), _core.take_rung_jobs(first)
    for file in (host, bell):
        if is_rung(file):
            os.eventfd_read(file)
    os.eventfd_write(gate, 1)
    assert ones.get(held) == 1
    wait_until(lambda: is_rung(host), what="the host is rung")
    assert _core.take_rung_jobs(first) == [2] and _core.take_rung_jobs(first) == []
    worker(second, others.worker)
    assert others.get(waits) == 5
    _core.close_session(first)
    _core.close_session(second)


def test_a_task_waits_for_an_object_of_another_job(jobs, worker, wait_until, gate):
    first, second, ones, others = jobs()
    worker(second, others.worker)
    wait_until(lambda: second.statistics()["idle"] == 1, what="an idle worker")
    made = ones.call("echo")(7)
    second.make_current()
    handed = _core.ObjectID(made.binary())
    _core.resolve_all(second, [handed])
    first.make_current()
    waits = others.call("echo")(handed)
    worker(first, ones.worker)
    assert others.get(waits, 1500) == 7
    _core.close_session(first)
    _core.close_session(second)


def test_a_region_without_that_job_is_not_attached(make_region):
    place = make_region.files_of(make_region())
    for job in (0, 2, 255, 1 << 31):
        with pytest.raises(RaySystemError, match=f"no job {job}"):
            _core.Region.attach(*place.files, (0, 0, 0), job)
