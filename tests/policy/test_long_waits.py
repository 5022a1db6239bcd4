"""long_waits.py: each wait that lasts is told once."""

import pytest

from ray_lite.policy.long_waits import HeldWait, HeldWaits

GPU = HeldWait(7, 1, "life", 1, 2, 10_000, [3], 1)
FULL = HeldWait(8, 1, "life", 5, 0, 0, [], 0)


@pytest.fixture
def due():
    policy = HeldWaits(5.0)
    return lambda now, *waits: policy.due(waits, now)


def test_a_wait_that_lasts_is_told_once(due):
    assert due(10.0, GPU) == [] == due(14.9, GPU)
    assert due(15.0, GPU) == [GPU] and due(16.0, GPU) == [] == due(99.0, GPU)


@pytest.mark.parametrize("other", [[], [GPU._replace(serial=2)], [GPU._replace(waiter=9)], [GPU._replace(kind="task")],
                                   [GPU._replace(resource=3)]])
def test_a_wait_that_ended_meanwhile_is_new(due, other):
    assert due(10.0, GPU) == [] == due(14.0, *other)
    assert due(15.0, GPU) == [] and due(20.0, GPU) == [GPU]


def test_each_has_its_own_time(due):
    other = GPU._replace(waiter=9)
    assert due(10.0, GPU) == [] == due(12.0, GPU, other)
    assert due(15.0, GPU, other) == [GPU] and due(17.0, GPU, other) == [other]


def test_that_processes_lack_is_told_once_while_any_actor_waits_for_one(due):
    later = FULL._replace(waiter=9)
    assert due(10.0, FULL) == [] and due(15.0, FULL) == [FULL]
    assert due(16.0, later) == [] == due(22.0, later)
    assert due(23.0) == [] == due(24.0, FULL) and due(29.0, FULL) == [FULL]
