"""held_waits.pyx: who is first in a queue for what actors hold for life, and who holds it; the node is rung for who waits."""

import time

import pytest

from ray_lite import _core

CPU = 10_000
WAITER, SERIAL, KIND, LENGTH, LACKS, AMOUNT, HOLDERS, NUMBER = range(8)


@pytest.fixture
def held(company):
    """A company with two CPUs, and an actor that holds one for life."""
    crew = company(cpus=2 * CPU)
    crew.holder = crew.create(holds=CPU)
    crew.start()
    assert crew.calls.get(crew.call(crew.holder, "note")) == 0
    return crew


def test_nobody_waits(held):
    assert _core.held_waits(held.region) == [] and not _core.can_start_actor(held.region)


def test_an_actor_that_can_not_be_started(held):
    late, further = (held.create(holds=2 * CPU) for _ in range(2))
    assert held.start() == [] and not _core.can_start_actor(held.region)
    one, = _core.held_waits(held.region)
    assert one == (held.of(late), one[SERIAL], "life", 2, _core.CPU, 2 * CPU, [held.of(held.holder)], 1)
    assert held.of(further) != one[WAITER]


def test_an_actor_that_lacks_only_a_process(held):
    late = held.create()
    one, = _core.held_waits(held.region)
    assert one[WAITER] == held.of(late) and one[KIND:] == ("life", 1, 0, 0, [], 0) and _core.can_start_actor(held.region)


def test_a_task(held):
    x = held.calls.call("late", 2 * CPU)(0)
    one, = _core.held_waits(held.region)
    assert one[KIND:] == ("task", 1, _core.CPU, 2 * CPU, [held.of(held.holder)], 1)
    assert _core.task_of(held.region, x)[0] == one[WAITER]


def test_a_turn(held):
    caller = held.create(needs=2 * CPU)
    held.start()
    held.call(caller, "note", 1)
    one, = wait_for_one(held)
    assert one[WAITER] == held.of(caller) and one[KIND:] == ("turn", 1, _core.CPU, 2 * CPU, [held.of(held.holder)], 1)


def wait_for_one(crew):
    """The waits, once there is one: the process of an actor asks for its turn itself."""
    end = time.monotonic() + 10
    while True:
        found = _core.held_waits(crew.region)
        if found and found[0][KIND] == "turn":
            return found
        assert time.monotonic() < end, "the actor asks for no turn"


def test_what_tasks_release_is_not_listed(held, wait_until):
    """One CPU is the tasks', and one of them works."""
    region = held.region
    held.worker()
    runs = held.calls.call("nap")(0.5)
    wait_until(lambda: region.statistics()["cpus_free"] == 0, what="it runs")
    x = held.calls.call("late")(0)
    assert _core.held_waits(region) == []
    assert [held.calls.get(one) for one in (runs, x)] == [None, "late"]


def test_the_node_is_rung_once_while_somebody_waits(held, make_region):
    """It looks from then on, until it finds nobody: what hangs must be seen, though nothing else happens."""
    rung = make_region.files_of(held.region).rung
    rung()
    assert not _core.must_look(held.region)
    held.create(holds=2 * CPU)
    assert rung() and _core.must_look(held.region)
    held.create(holds=2 * CPU)
    held.calls.call("late", 2 * CPU)(0)
    assert not rung()


def test_the_node_is_rung_for_a_task_that_waits(held, make_region):
    rung = make_region.files_of(held.region).rung
    rung()
    assert not _core.must_look(held.region)
    held.calls.call("late", 2 * CPU)(0)
    assert rung()
