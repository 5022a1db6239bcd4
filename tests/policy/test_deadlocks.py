"""deadlocks.py: when CPUs are lent, and which wait ends when nothing can go on."""

import math

import pytest

from ray_lite.policy.deadlocks import BreakDeadlock, Deadlocks, LendCpus, WaitState

CPU = 10_000
CALM = WaitState(
    waiting=0, last=0, chained=0, blocked=0, lendable=0, finished=70, lendable_cpus=0, short_cpus=0, lacks=False, fits=False,
    workers=9, max_workers=9, idle=0, now=100.0,
)
AT_LIMIT = CALM._replace(waiting=9, blocked=9, last=5, fits=True)
HELD = CALM._replace(waiting=2, blocked=2, last=5, workers=5, idle=3, lacks=True)
SHORT = CALM._replace(waiting=2, lendable=2, lendable_cpus=2 * CPU, short_cpus=CPU, lacks=True, last=5, workers=4, idle=1)


@pytest.fixture
def decide():
    """`decide(state, **changes)`, of one policy with a patience of a second."""
    policy = Deadlocks(1.0)
    return lambda state, **changes: policy.decide(state._replace(**changes))


# ---------------------------------------------------------------- waits in vain


def test_the_last_to_wait_gives_up_when_nothing_ends_any_more(decide):
    assert decide(AT_LIMIT) == [] == decide(AT_LIMIT, now=100.9)
    assert decide(AT_LIMIT, now=101.0) == [BreakDeadlock(5)]


@pytest.mark.parametrize("change", [{"finished": 71}, {"waiting": 8}, {"fits": False}, {"workers": 8}])
def test_progress_or_room_is_no_deadlock(decide, change):
    assert decide(AT_LIMIT) == [] == decide(AT_LIMIT, now=100.9, **change)
    assert decide(AT_LIMIT, now=101.0) == [] == decide(AT_LIMIT, now=101.5)


def test_who_holds_what_the_others_need_gives_up(decide):
    """However many workers there could be: those that are idle find nothing to do."""
    assert decide(HELD) == [] and decide(HELD, now=101.0) == [BreakDeadlock(5)]


@pytest.mark.parametrize("change", [{"finished": 71}, {"waiting": 1}, {"idle": 2}, {"lacks": False}, {"waiting": 0, "idle": 5}])
def test_while_somebody_works_nobody_gives_up(decide, change):
    assert decide(HELD) == [] == decide(HELD, now=101.0, **change)


@pytest.mark.parametrize("state", [AT_LIMIT, HELD])
def test_the_rest_of_a_chain_is_quick(decide, state):
    """What it waited for runs into the same wall, or the others still wait: no second of patience for each."""
    assert decide(state) == [] and decide(state, now=101.0) == [BreakDeadlock(5)]
    rest = state._replace(chained=state.waiting, finished=71)
    assert decide(rest, now=101.1) == []
    assert decide(rest, now=101.21, last=3) == [BreakDeadlock(3)]


@pytest.mark.parametrize("state", [AT_LIMIT, HELD])
def test_an_unrelated_one_takes_its_time(decide, state):
    assert decide(state) == [] and decide(state, now=101.0) == [BreakDeadlock(5)]
    other = state._replace(chained=state.waiting - 1, finished=71)
    assert decide(other, now=101.1) == [] == decide(other, now=102.0)
    assert decide(other, now=102.1) == [BreakDeadlock(5)]


def test_a_chain_ends_after_a_while(decide):
    assert decide(HELD) == [] and decide(HELD, now=101.0) == [BreakDeadlock(5)]
    late = HELD._replace(chained=2, finished=71)
    assert decide(late, now=103.0) == [] == decide(late, now=103.9)
    assert decide(late, now=104.0) == [BreakDeadlock(5)]


# ---------------------------------------------------------------- lending


def test_what_lacks_only_cpus_gets_those_of_waiting_threads(decide):
    assert decide(SHORT) == [] == decide(SHORT, now=100.9)
    assert decide(SHORT, now=101.0) == [LendCpus(CPU)]
    assert decide(SHORT, now=101.0) == [], "once"


@pytest.mark.parametrize("change", [{"finished": 71}, {"short_cpus": 0, "lacks": False}, {"fits": True, "lacks": False}])
def test_nothing_is_lent_while_things_move(decide, change):
    assert decide(SHORT) == [] == decide(SHORT, now=100.9, **change)
    assert decide(SHORT, now=101.0) == [] == decide(SHORT, now=101.5)


def test_nothing_is_lent_that_does_not_help(decide):
    """A worker that holds the rest works, and will end."""
    short = SHORT._replace(short_cpus=3 * CPU)
    assert decide(short) == [] == decide(short, now=105.0)


def test_a_thread_that_waits_only_at_times_is_met_some_time(decide):
    absent = SHORT._replace(waiting=0, lendable=0, lendable_cpus=0)
    assert decide(absent) == [] == decide(absent, now=101.5)
    assert decide(SHORT, now=101.6) == [LendCpus(CPU)]


def test_the_next_loan_follows_soon(decide):
    assert decide(SHORT) == [] and decide(SHORT, now=101.0) == [LendCpus(CPU)]
    assert decide(SHORT, now=101.1, finished=71) == []
    assert decide(SHORT, now=101.21, finished=71) == [LendCpus(CPU)]
    assert decide(SHORT, now=104.0, finished=72) == [] == decide(SHORT, now=104.5, finished=72)


def test_a_loan_is_no_reason_for_an_early_error(decide):
    assert decide(SHORT) == [] and decide(SHORT, now=101.0) == [LendCpus(CPU)]
    assert decide(HELD, now=101.1, finished=71) == [] == decide(HELD, now=102.0, finished=71)
    assert decide(HELD, now=102.1, finished=71) == [BreakDeadlock(5)]


def test_all_is_lent_before_a_wait_ends(decide):
    """What is reserved for a shape may be free once nobody counts as working."""
    threads = HELD._replace(lendable=1)
    assert decide(threads) == [] and decide(threads, now=101.0) == [LendCpus(-1)]
    assert decide(HELD, now=101.0) == [BreakDeadlock(5)]


def test_at_the_limit_there_is_nothing_to_lend(decide):
    threads = AT_LIMIT._replace(lendable=9, lendable_cpus=9 * CPU)
    assert decide(threads) == [] and decide(threads, now=101.0) == [BreakDeadlock(5)]


def test_the_next_look_is_when_patience_ends():
    policy = Deadlocks(1.0)
    policy.decide(CALM)
    assert policy.due(100.0) == math.inf
    policy.decide(SHORT)
    assert policy.due(100.25) == 0.75
    policy.decide(SHORT._replace(now=101.0, lendable_cpus=0, waiting=0))
    assert policy.due(101.0) == math.inf, "overdue: not again and again"
