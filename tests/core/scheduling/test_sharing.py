"""sharing.pyx: a job that waits for CPUs and has less than its share gets some, however many tasks others have queued."""

import time

import pytest

from ray_lite import _core

CPU = 10_000
MANY, FEW = 3000, 60


@pytest.fixture
def jobs(make_region, tasks):
    """`jobs(number, cpus=...)`: the tasks of so many jobs, whose one function takes a millisecond."""

    def make(number, **changes):
        first = make_region(**changes)
        others = [make_region.files_of(first).another_job() for _ in range(number - 1)]
        return [tasks(region, {"short": lambda: time.sleep(0.001)}) for region in (first, *others)]

    return make


def unfinished(calls, ids):
    _core.resolve_all(calls.region, ids)
    return calls.region.statistics()["ready"]


@pytest.mark.parametrize("number, cpus", [(2, 1), (2, 2), (3, 2)])
def test_who_comes_later_gets_a_share(jobs, worker, number, cpus):
    """Of one CPU in turns; of two, one each, or with three jobs in turns."""
    crews = jobs(number, cpus=cpus * CPU, objects=1 << 13)
    first = [crews[0].call("short")() for _ in range(MANY)]
    for crew in crews:
        for _ in range(cpus):
            worker(crew.region, crew.worker)
    few = [[crew.call("short")() for _ in range(FEW)] for crew in crews[1:]]
    for crew, ids in zip(crews[1:], few, strict=True):
        for x in ids:
            crew.get(x)
    assert unfinished(crews[0], first) > MANY // 2, "it has not had all CPUs"
    for crew in crews:
        _core.close_session(crew.region)


def test_cpus_are_left_to_nobody_who_does_not_wait(jobs, worker, wait_until):
    """The only job that has tasks uses all CPUs, whatever it has left to others before."""
    one, other = jobs(2, cpus=2 * CPU, objects=1 << 12)
    for crew in (one, one, other, other):
        worker(crew.region, crew.worker)
    both = [crew.call("short")() for _ in range(300) for crew in (one, other)]
    for crew, x in zip([one, other] * 300, both, strict=True):
        crew.get(x)
    for crew in (one, other):
        ids = [crew.call("short")() for _ in range(500)]
        wait_until(lambda crew=crew: crew.region.statistics()["cpus_free"] == 0, what="both CPUs are taken")
        for x in ids:
            crew.get(x)
    for crew in (one, other):
        _core.close_session(crew.region)
