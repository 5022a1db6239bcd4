"""The crash-state enumeration: after every instruction of every operation a survivor finds the region whole.

RAY_LITE_CRASH_OPS raises the number of random operations (default 1000). CI takes a sample; overnight runs take more.
"""

import os
import random

import pytest

OPERATIONS = int(os.environ.get("RAY_LITE_CRASH_OPS", "1000"))
NODE, DRIVER, ONE, TWO = range(4)
ORDERS = """put create room contain seal hold release expose find submit next finish inline leave block unblock shape open
    adopt_slot sweeping sweep adopt requeue free abandon
    read unread create_spilled exchange trim_take trim_finish cancel take_cancelled again retire age
    thread_wait thread_wake lend look mark await""".split()
DONE, FULL_ARENA, CELL, RUN = 0, -21, 9000, 40_000
RUNG = 3


@pytest.mark.watchdog(600 + OPERATIONS // 4)
def test_no_crash_state_of_random_operations_is_broken(enumeration, program):
    totals, counts, longest = enumeration(program, ORDERS)
    assert totals["states"] > 20 * totals["operations"]
    assert min(totals[name] for name in ("rolled", "published", "swept", "nested")) > 50
    assert [name for name in ORDERS if not counts[name]] == []
    assert longest <= 64


@pytest.mark.parametrize("switch", ["RL_MUTANT_UNLOGGED", "RL_MUTANT_EARLY_PUBLISH", "RL_MUTANT_LATE_CLEAR"])
@pytest.mark.watchdog(300)
def test_each_mutant_is_found(program, switch):
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
@pytest.mark.parametrize("spilled", [False, True])
def test_a_run_that_is_trimmed_is_nobodys(one, spilled):
    """It counts neither as used nor as spilled, and no object owns it."""
    _, i, _ = one.do("create_spilled" if spilled else "create", DRIVER, id=one.new_id(), size=5 * RUN)
    one.do("release", DRIVER, a=i)
    empty = one.region.statistics()
    assert one.do("trim_take", NODE, b=spilled)[0] == 0
    during = one.region.statistics()
    assert all(during[key] == empty[key] for key in ("objects", "bytes_used", "bytes_spilled", "bytes_committed"))
    one.do("trim_finish", NODE, a=1, b=spilled)
    assert one.region.statistics()["bytes_committed"] < empty["bytes_committed"] or spilled


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
def test_a_task_with_every_sort_of_end(one):
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
    """The section of whoever ran it inline has no room left for the wake-ups that it owes: they are paid in the next."""
    one.do("submit", DRIVER, id=one.new_id(), nreturns=1, queue=one.queues[0])
    _, parent, _ = one.do("next", ONE)
    one.do("next", TWO)
    assert one.stepper.work(TWO)[0]
    one.do("submit", ONE, id=one.new_id(), nreturns=1, queue=one.queues[0], parent=parent)
    [child] = [i for i, state, *_ in one.stepper.holds(ONE) if state == 1]
    one.do("inline", ONE, a=child)
    inner = one.stepper.work(ONE)[2][0]
    one.do("next", TWO)  # it was rung for the child, and came too late
    for queue in (one.queues[2], one.queues[2], one.queues[1], one.queues[1]):
        one.do("submit", ONE, id=one.new_id(), targets=[child], nreturns=0, queue=queue)
    assert one.stepper.work(TWO)[0], "nothing is ready yet"
    one.do("finish", ONE, a=inner)
    assert one.stepper.availability(TWO) == RUNG


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


# --- cancelled, run again, aged, retired ---

QUEUED, RUNS = 1, 2
CUSTOM, WIDE = 6, 7  # places of their shapes in Program.queues
FRONT, COUNTED = 2, 1


def call(one, queue, **settings):
    """A task of a shape, submitted by the driver; its record."""
    return one.do("submit", DRIVER, id=one.new_id(), queue=one.queues[queue], **settings)[1]


def cancel(one, t, force=False):
    return one.do("cancel", DRIVER, a=t, b=dict(one.stepper.tasks())[t], size=force)[1]


@pytest.mark.watchdog(300)
def test_tasks_are_cancelled_wherever_they_are(one):
    """In the ring, stalled, waiting, running, and as the last one of a shape for which all is reserved."""
    wide = [call(one, WIDE, nreturns=2) for _ in range(3)]
    assert one.do("next", ONE)[1] == wide[0]
    one.do("next", TWO)
    assert one.stepper.work(TWO)[0] and one.region.statistics()["stalled"] == 1
    one.do("age", NODE)
    assert one.region.statistics()["reserved"]
    custom = call(one, CUSTOM, nreturns=1)
    waits = call(one, 2, targets=one.stepper.returns(wide[2]))
    for t in (wide[2], waits, custom, wide[1]):
        assert cancel(one, t) == QUEUED
    assert not one.region.statistics()["reserved"]
    assert [cancel(one, wide[0], force) for force in (False, True)] == [RUNS, RUNS]
    one.do("next", ONE, a=wide[0])
    one.end()


@pytest.mark.watchdog(300)
def test_what_could_not_run_because_of_a_reservation_runs_when_that_is_cancelled(one):
    """Nothing is stalled any more then, and so nobody rechecks: but whoever is idle is rung."""
    first = call(one, 2)
    assert one.do("next", ONE)[1] == first
    large = call(one, 3)
    one.do("next", TWO)
    one.do("age", NODE)
    small = call(one, 2)
    assert one.region.statistics()["reserved"] and one.stepper.work(TWO)[0], "it is not the small one's turn"
    assert cancel(one, large) == QUEUED
    assert one.stepper.availability(TWO) == RUNG
    assert one.do("next", TWO)[1] == small
    one.do("next", ONE, a=first)
    one.do("next", TWO, a=small)
    one.end()


@pytest.mark.watchdog(300)
def test_a_cancelled_task_lets_go_of_many_arguments(one):
    """Of those that are ready, those that come after the cancellation, and those that never come."""
    makes = [call(one, 0, nreturns=14) for _ in range(2)]
    arguments = [i for t in makes for i in one.stepper.returns(t)]
    waits = call(one, 3, targets=arguments, nreturns=12, size=CELL)
    behind = call(one, CUSTOM, targets=one.stepper.returns(waits))
    one.do("next", ONE)
    assert cancel(one, waits) == QUEUED
    one.do("next", ONE, a=makes[0])
    assert one.cancelled() == waits and one.cancelled() == 0
    one.do("next", ONE, a=makes[1])
    assert one.do("next", TWO)[1] == behind or one.stepper.work(ONE)[2] == [behind]
    one.end()


@pytest.mark.parametrize("queue", [3, 4, 5, CUSTOM, WIDE])
@pytest.mark.parametrize("how", [0, COUNTED, FRONT, FRONT | COUNTED] if OPERATIONS > 1000 else [FRONT])
@pytest.mark.watchdog(300)
def test_a_task_runs_again_after_others_that_stalled(one, queue, how):
    """Its half-filled returns are dropped; what it held is for whoever is stalled, unless it goes before them."""
    t = call(one, queue, nreturns=3)
    others = [call(one, queue), call(one, 3), call(one, WIDE)]
    contents = filled(one, DRIVER, CELL, 3)
    for i in contents:
        one.do("seal", DRIVER, a=i)
    assert one.do("next", ONE)[1] == t
    one.do("next", TWO)
    for i in one.stepper.returns(t):
        one.do("room", ONE, a=i, size=CELL)
        one.do("contain", ONE, a=i, targets=contents * 3)
    for i in contents:
        one.do("release", DRIVER, a=i)
    one.do("again", ONE, a=t, b=how)
    assert one.stepper.work(ONE)[2] == []
    seen = []
    while t not in seen and len(seen) < 4:
        seen.append(one.do("next", ONE, a=seen[-1] if seen else 0)[1])
    alike = [other for other, its in zip(others, (queue, 3, WIDE), strict=True) if its == queue]
    assert seen[-1] == t and not (how & FRONT and set(alike) & set(seen))
    one.do("next", ONE, a=seen[-1])
    one.end()


@pytest.mark.watchdog(300)
def test_a_task_that_is_run_inline_runs_again(one):
    """Only the outer one's resources are held, and stay so."""
    outer = call(one, 3)
    one.do("next", ONE)
    inner = one.do("submit", ONE, id=one.new_id(), nreturns=1, queue=one.queues[2], parent=outer)[1]
    [x] = one.stepper.returns(inner)
    for how in (0, COUNTED, FRONT):
        assert one.do("inline", ONE, a=x)[1] == inner
        one.do("again", ONE, a=inner, b=how)
        assert one.stepper.work(ONE)[2] == [outer]
    one.do("inline", ONE, a=x)
    one.do("finish", ONE, a=inner)
    one.do("next", ONE, a=outer)
    one.end()


@pytest.mark.watchdog(300)
def test_the_longest_idle_worker_retires(one):
    """A task comes before it has left: another runs it. It may have looked just before it was asked, and stand idle again."""
    for who in (ONE, TWO):
        one.do("next", who)
    assert one.do("retire", NODE, size=0)[1] == 0
    assert one.do("retire", NODE, size=1 << 62)[1] == one.stepper.slot(ONE)
    t = call(one, 3)
    assert one.stepper.leaving(ONE) and one.stepper.availability(TWO) == RUNG
    assert one.do("next", ONE)[1] == t
    one.do("again", ONE, a=t, b=FRONT)
    one.do("leave", ONE)
    one.die(ONE)
    assert one.do("next", TWO)[1] == t
    one.do("next", TWO, a=t)
    assert one.do("retire", NODE, size=1 << 62)[1] == one.stepper.slot(TWO)
    one.do("next", TWO)
    assert one.do("retire", NODE, size=1 << 62)[1] == one.stepper.slot(TWO), "it is asked once more"
    one.retired(TWO)
    one.end()


@pytest.mark.watchdog(300)
def test_what_is_stalled_for_long_is_not_overtaken(one):
    """Small tasks would always leave too little for a large one."""
    smalls = [call(one, 2) for _ in range(2)]
    for who in (ONE, TWO):
        one.do("next", who)
    large = call(one, 3)
    one.do("next", ONE, a=smalls[0])
    one.do("age", NODE)
    assert one.region.statistics()["reserved"]
    more, beside = call(one, 2), call(one, CUSTOM)
    assert one.do("next", ONE)[1] == beside, "it needs nothing of what is reserved"
    assert one.do("next", ONE, a=beside)[1] == 0
    assert one.do("next", TWO, a=smalls[1])[1] == large
    assert one.do("next", ONE)[1] == 0
    assert one.do("next", TWO, a=large)[1] == more
    one.do("next", TWO, a=more)
    one.end()


@pytest.mark.watchdog(300)
def test_what_is_kept_is_anybodys_while_nobody_can_give_the_rest(one):
    """Who holds a part of the GPU blocks: then who is stalled for what was kept goes on, and afterwards it is kept again."""
    parent = call(one, 5)
    assert one.do("next", ONE)[1] == parent
    large = call(one, 4)
    one.do("next", TWO)
    one.do("age", NODE)
    assert one.region.statistics()["reserved"]
    child, other = call(one, 5), call(one, 5)
    assert one.do("next", TWO)[1] == 0 and one.region.statistics()["stalled"] == 2
    one.do("block", ONE)
    assert one.stepper.availability(TWO) == RUNG
    assert one.do("next", TWO)[1] == child
    one.do("unblock", ONE)
    assert one.do("next", TWO, a=child)[1] == 0
    assert one.do("next", ONE, a=parent)[1] == large
    one.do("next", ONE, a=large)
    assert one.do("next", TWO)[1] == other or one.stepper.work(ONE)[2] == [other]
    one.end()


@pytest.mark.watchdog(300)
def test_loans_end_with_the_wait_or_the_task(one):
    """What lacks CPUs gets those of a worker whose thread waits; its next task, taken as the first ends, has its own again."""
    parent = call(one, 3)
    assert one.do("next", ONE)[1] == parent
    one.do("thread_wait", ONE, b=1)
    first, second = call(one, 3), call(one, 3)
    assert one.do("next", TWO)[1] == 0
    one.do("look", NODE)
    one.do("lend", NODE, a=one.stepper.slot(ONE))
    assert one.stepper.threads(ONE) == (1, 1, True) and one.stepper.availability(TWO) == RUNG
    assert one.do("next", TWO)[1] == first
    one.do("block", ONE)
    one.do("thread_wake", ONE, b=1)
    assert one.stepper.threads(ONE) == (0, 0, False)
    one.do("unblock", ONE)
    one.do("thread_wait", ONE)
    one.do("lend", NODE, a=one.stepper.slot(ONE))
    assert one.do("next", TWO, a=first)[1] == second
    one.do("thread_wake", ONE, b=2)
    assert one.stepper.threads(ONE) == (0, 0, True), "it waited in vain"
    assert one.do("next", ONE, a=parent)[1] == 0 and one.stepper.threads(ONE) == (0, 0, False)
    one.do("next", TWO, a=second)
    one.do("look", NODE)
    one.end()
