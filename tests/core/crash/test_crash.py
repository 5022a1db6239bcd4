"""The crash-state enumeration: after every instruction of every operation a survivor finds the region whole.

RAY_LITE_CRASH_OPS raises the number of random operations (default 600). CI takes a sample; overnight runs take more.
"""

import os
import random
import time
from collections import Counter

import pytest

OPERATIONS = int(os.environ.get("RAY_LITE_CRASH_OPS", "600"))
A_PROGRAM = 200  # operations of one region
NODE, DRIVER, ONE, TWO = range(4)
ORDERS = """put create room contain seal hold release expose find submit next finish help leave block unblock shape open
    become sweeping adopt requeue sweep abandon
    use unuse away exchange loose given""".split()
DONE, FULL_ARENA, CELL, RUN = 0, -21, 9000, 40_000
RUNG = 3


@pytest.mark.watchdog(600 + OPERATIONS // 4)
def test_no_crash_state_of_random_operations_is_broken(program):
    totals, counts, longest = Counter(), Counter(), 0
    begun = time.monotonic()
    for seed in range(max(1, OPERATIONS // A_PROGRAM)):
        one = program(seed, every=100)
        one.run(A_PROGRAM)
        one.region.check()
        totals.update(one.stepper.totals)
        counts.update(one.counts)
        longest = max(longest, one.region.statistics()["longest_section"])
    print(f"{dict(totals)} in {time.monotonic() - begun:.0f} s; longest log {longest}; {dict(counts)}")
    assert totals["states"] > 20 * totals["operations"]
    assert min(totals[name] for name in ("rolled", "published", "swept", "nested")) > 50
    assert [name for name in ORDERS if not counts[name]] == []
    assert longest <= 64


@pytest.mark.parametrize("switch", ["RL_PLANT_UNLOGGED", "RL_PLANT_EARLY_PUBLISH", "RL_PLANT_LATE_CLEAR"])
@pytest.mark.watchdog(300)
def test_each_planted_bug_is_found(program, switch):
    with pytest.raises(AssertionError) as found:
        for seed in range(20):
            program(seed, switch).run(40)
    print(f"{switch}: {found.value}")
    assert "after instruction" in str(found.value)


# --- cases that random programs meet rarely ---


@pytest.fixture
def one(program):
    return program(0)


def filled(one, who, size, count):
    return [one.do("create", who, id=one.new_id(), size=size)[1] for _ in range(count)]


@pytest.mark.watchdog(300)
def test_slabs_are_made_and_given_back(one):
    """A slab of four cells: made, filled, with room again, and emptied beside another of its class."""
    cells = filled(one, DRIVER, 32_768, 6)
    for i in (cells[0], cells[5], cells[4], cells[2], cells[3], cells[1]):
        one.do("release", DRIVER, a=i)


@pytest.mark.watchdog(300)
def test_runs_merge_on_both_sides(one):
    runs = filled(one, DRIVER, RUN, 5)
    for i in (runs[0], runs[2], runs[4], runs[1], runs[3]):
        one.do("release", DRIVER, a=i)
    filled(one, DRIVER, 3 * RUN, 1)


@pytest.mark.watchdog(300)
def test_a_submission_that_finds_no_room_is_unwound(one):
    """Its arguments are ready and not, and too many for one section."""
    held = [one.do("put", DRIVER, id=one.new_id(), size=8)[1] for _ in range(3)]
    _, t, _ = one.do("submit", DRIVER, id=one.new_id(), nreturns=9, queue=one.queues[0])
    held += one.stepper.returns(t)
    settings = dict(id=one.new_id(), targets=held, nreturns=10, size=1 << 30, queue=one.queues[0])
    assert one.do("submit", DRIVER, **settings)[0] == FULL_ARENA
    assert one.stepper.left()[1] == 63


@pytest.mark.watchdog(300)
def test_nested_containers_end_in_the_worst_order(one):
    """Garbage that makes garbage, with blocks whose end merges runs: the longest sections."""
    for _ in range(2):
        inner = filled(one, DRIVER, CELL, 3)
        for i in inner:
            one.do("seal", DRIVER, a=i)
        outer = [one.do("create", DRIVER, id=one.new_id(), size=size)[1] for size in (RUN, 41, CELL)]
        for i in outer:
            one.do("contain", DRIVER, a=i, targets=inner * 3)
            one.do("seal", DRIVER, a=i)
        [last] = filled(one, DRIVER, 10, 1)
        one.do("contain", DRIVER, a=last, targets=outer)
        for i in (*inner, *outer, last):
            one.do("release", DRIVER, a=i)
    assert one.stepper.holds(DRIVER) == []
    assert one.region.statistics()["refs"] == 0


@pytest.mark.watchdog(300)
def test_a_task_with_every_kind_of_end(one):
    """Many returns, wanted and not, edges of dependents in several shapes, arguments that die with it."""
    argument = filled(one, DRIVER, RUN, 1)
    one.do("seal", DRIVER, a=argument[0])
    one.do("submit", DRIVER, id=one.new_id(), targets=argument, nreturns=12, size=1000, queue=one.queues[1])
    one.do("release", DRIVER, a=argument[0])
    returns = [i for i, state, *_ in one.stepper.holds(DRIVER) if state == 1]
    for k, queue in enumerate(one.queues * 2):
        one.do("submit", DRIVER, id=one.new_id(), targets=returns[: k + 1], nreturns=1, queue=queue)
    for i in returns[4:]:
        one.do("release", DRIVER, a=i)
    _, t, _ = one.do("next", ONE)
    for i in one.stepper.returns(t)[::3]:
        one.do("room", ONE, a=i, size=CELL)
    one.do("next", ONE, a=t)
    assert one.region.statistics()["longest_section"] <= 64


@pytest.mark.watchdog(300)
def test_dependents_that_fill_the_log_still_wake_somebody(one):
    """The helper's section has no room left for the wake-ups that it owes: they are paid in the next."""
    one.do("submit", DRIVER, id=one.new_id(), nreturns=1, queue=one.queues[0])
    _, parent, _ = one.do("next", ONE)
    one.do("next", TWO)
    assert one.stepper.work(TWO)[0]
    one.do("submit", ONE, id=one.new_id(), nreturns=1, queue=one.queues[0], parent=parent)
    [child] = [i for i, state, *_ in one.stepper.holds(ONE) if state == 1]
    one.do("help", ONE, a=child)
    helped = one.stepper.work(ONE)[2][0]
    one.do("next", TWO)  # it was rung for the child, and came too late
    for queue in (one.queues[2], one.queues[2], one.queues[1], one.queues[1]):
        one.do("submit", ONE, id=one.new_id(), targets=[child], nreturns=0, queue=queue)
    assert one.stepper.work(TWO)[0], "nothing is ready yet"
    one.do("finish", ONE, a=helped)
    assert one.stepper.idle(TWO) == RUNG


@pytest.mark.watchdog(300)
def test_tables_and_arena_grow_in_the_middle(one):
    """Growth ends a section and begins it anew; here every table passes its first step."""
    rng = random.Random(5)
    held = filled(one, DRIVER, 41, 40)
    one.do("submit", DRIVER, id=one.new_id(), nreturns=14, size=CELL, queue=one.queues[0])
    for i in rng.sample(held, 10):
        one.do("release", DRIVER, a=i)
    filled(one, DRIVER, 6 * RUN, 2)


@pytest.mark.watchdog(300)
def test_an_unfinished_object_of_the_job_ends_with_its_creator(one):
    for end in ("release",), ("abandon", "release"):
        _, i, _ = one.do("create", ONE, id=one.new_id(), size=CELL, a=2)
        one.do("room", ONE, a=i, size=RUN)
        for what in end:
            one.do(what, ONE, a=i)
    assert one.stepper.left()[0] == 64
