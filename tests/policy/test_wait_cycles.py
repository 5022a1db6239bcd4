"""wait_cycles.py: which waits form cycles, when one is ended, and how it is told."""

import random

import pytest

from ray_lite.policy.wait_cycles import Cycles, Need, cycles, describe


def need(slot, needs, since=0, direct=True):
    return Need(slot, since, needs, 100 + slot, 100 + needs, direct)


RING = [need(1, 2, 5), need(2, 3, 9), need(3, 1, 7)]


def slots(found):
    return [[one.slot for one in cycle] for cycle in found]


@pytest.mark.parametrize(("needs", "found"), [
    ([], []),
    ([need(1, 2), need(2, 3)], []),
    ([need(1, 1)], [[1]]),
    (RING, [[1, 2, 3]]),
    ([need(9, 2), *RING, need(8, 9)], [[2, 3, 1]]),
    ([need(1, 2), need(2, 1), need(3, 3), need(4, 3)], [[1, 2], [3]]),
])
def test_cycles_are_found(needs, found):
    assert slots(cycles(needs)) == found


def test_cycles_of_random_needs():
    """Each slot of a cycle is met again by going on from it, and no other."""
    rng = random.Random(4)
    for _ in range(300):
        by_slot = {slot: need(slot, rng.randrange(1, 12)) for slot in rng.sample(range(1, 12), rng.randrange(1, 9))}
        found = {one.slot for cycle in cycles(by_slot.values()) for one in cycle}
        for slot in by_slot:
            at, met = slot, set()
            while at in by_slot and at not in met:
                met.add(at)
                at = by_slot[at].needs
            assert (slot in found) == (at == slot)


@pytest.fixture
def broken():
    """`broken(needs, now)`: the slots whose waits are ended, by one policy with a patience of a second."""
    policy = Cycles(1.0)
    return lambda needs, now: [(one.slot, one.since) for one in policy.broken(needs, now)]


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


def test_a_cycle_as_a_text():
    names = {101: "A.ask", 102: "B.ask", 103: "f"}
    ring = [need(1, 2), need(2, 3), need(3, 1)._replace(awaited=104, direct=False)]
    text = describe(ring, 3, lambda task: names.get(task, "A.name"))
    assert text.endswith("for ever: f waits for A.name, which can't begin before A.ask has ended; A.ask waits for B.ask; "
                         "B.ask waits for f")
