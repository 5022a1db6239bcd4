"""wait_cycles.py: which waits form cycles, when one is ended, and how it is told."""

import random

import pytest

from ray_lite.policy.wait_cycles import Cycles, Need, cycles, describe, hopeless


def need(task, needs, since=1, direct=True):
    """A wait of a task for one other, or for any of a tuple."""
    needs = needs if isinstance(needs, tuple) else (needs,)
    return Need(task, 7, 100 + task, since, 900, needs, needs[0] if needs else 0, direct)


RING = [need(1, 2, 5), need(2, 3, 9), need(3, 1, 7)]


def tasks(found):
    return [[one.task for one in cycle] for cycle in found]


@pytest.mark.parametrize(("needs", "found"), [
    ([], []),
    ([need(1, 2), need(2, 3)], []),
    ([need(1, 1)], [[1]]),
    (RING, [[1, 2, 3]]),
    ([need(9, 2), *RING, need(8, 9)], [[2, 3, 1]]),
    ([need(1, 2), need(2, 1), need(3, 3), need(4, 3)], [[1, 2], [3]]),
    ([need(1, (2, 3)), need(2, 1)], []),
    ([need(1, (2, 3)), need(2, 1), need(3, 4)], []),
    ([need(1, (2, 3)), need(2, 1), need(3, 1)], [[1, 2]]),
    ([need(1, (1, 2)), need(2, (1, 2)), need(3, (2, 1))], [[1]]),
    ([need(1, (2, 3)), need(2, 1), need(3, 3)], [[1, 2], [3]]),
])
def test_cycles_are_found(needs, found):
    assert tasks(cycles(needs)) == found


def test_cycles_of_random_needs():
    """Each task of a cycle is met again by going on from it, and no other."""
    rng = random.Random(4)
    for _ in range(300):
        by_task = {task: need(task, rng.randrange(1, 12)) for task in rng.sample(range(1, 12), rng.randrange(1, 9))}
        found = {one.task for cycle in cycles(by_task.values()) for one in cycle}
        for task in by_task:
            at, met = task, set()
            while at in by_task and at not in met:
                met.add(at)
                at = by_task[at].needs[0]
            assert (task in found) == (at == task)


def test_random_needs_of_which_one_is_enough():
    """Whoever is hopeless stays so, whatever else ends; and a wait of each knot is in a cycle that is found."""
    rng = random.Random(5)
    knots = 0
    for _ in range(500):
        left = {task: need(task, tuple(rng.sample(range(1, 12), rng.randrange(1, 4))))
                for task in rng.sample(range(1, 12), rng.randrange(4, 11))}
        found = hopeless(left.values())
        goes_on = set(range(1, 12)) - set(left)
        while more := {task for task, one in left.items() if task not in goes_on and goes_on & {*one.needs}}:
            goes_on |= more
        assert set(found) == set(left) - goes_on
        assert bool(cycles(left.values())) == bool(found)
        knots += bool(found)
    assert knots > 50


@pytest.fixture
def broken():
    """`broken(needs, now)`: the tasks whose waits are ended, by one policy with a patience of a second."""
    policy = Cycles(1.0)
    return lambda needs, now: [(one.task, one.since) for one in policy.broken(needs, now)]


def test_the_wait_that_began_last_is_ended_after_a_while(broken):
    assert broken(RING, 50.0) == [] == broken(RING, 50.9)
    assert broken(RING, 51.0) == [(2, 9)]
    assert broken(RING, 51.9) == [], "it may take a moment to notice"
    assert broken(RING, 52.0) == [(2, 9)]


@pytest.mark.parametrize("between", [
    [], RING[:2], [*RING[:2], need(3, 4, 7)], [*RING[:2], need(3, 1, 10)], [need(1, 2, 5), need(2, 1, 9), need(3, 1, 7)],
])
def test_a_cycle_that_was_another_one_meanwhile_is_new(broken, between):
    assert broken(RING, 50.0) == [] == broken(between, 50.9)
    assert broken(RING, 51.0) == [] == broken(RING, 51.9)
    assert broken(RING, 52.0) == [(2, 9)]


def test_each_cycle_has_its_own_time(broken):
    own = need(4, 4, 3)
    assert broken(RING, 50.0) == [] == broken([*RING, own], 50.5)
    assert broken([*RING, own], 51.0) == [(2, 9)]
    assert broken([own, *RING], 51.5) == [(4, 3)]


def test_a_wait_of_unknown_age_is_as_old_as_it_is_known(broken):
    """Its age in ns: it is known from 50 s on, before the other one of 50.5 s, or after that of 49.5 s."""
    for other, last in ((50.5, 2), (49.5, 1)):
        policy = Cycles(1.0)
        ring = [need(1, 2, 0), need(2, 1, int(other * 1e9))]
        assert policy.broken(ring[:1], 50.0) == [] == policy.broken(ring, 50.6)
        assert [one.task for one in policy.broken(ring, 51.6)] == [last]


def test_all_that_a_cycle_needs_must_stay_the_same(broken):
    """The first one needs any of two, and the cycle is with one of them."""
    ring = [need(1, (2, 3), 5), need(2, 1, 9), need(3, 3, 2)]
    assert broken(ring, 50.0) == []
    assert broken([*ring[:2], need(3, 3, 11)], 50.9) == [], "the other one went on meanwhile"
    assert broken([*ring[:2], need(3, 3, 11)], 51.1) == []
    assert sorted(broken([*ring[:2], need(3, 3, 11)], 51.9)) == [(2, 9), (3, 11)]


def test_a_cycle_as_a_text():
    names = {1: "A.ask", 2: "B.ask", 3: "f"}
    ring = [need(3, 1)._replace(awaited=4, direct=False), need(1, 2), need(2, 3)]
    text = describe(ring, lambda task: names.get(task, "A.name"))
    assert text.endswith("for ever: f waits for A.name, which can't begin before A.ask has ended; A.ask waits for B.ask; "
                         "B.ask waits for f")


def test_a_need_of_nothing_is_none():
    """The actor may have ended its calls at the moment of the look."""
    assert cycles([need(1, ())]) == [] == cycles([need(1, 2), need(2, ())])
