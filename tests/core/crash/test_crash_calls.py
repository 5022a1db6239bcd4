"""The crash-state enumeration of actors: whoever dies between two instructions, no call is lost, none is in two places."""

import os

import pytest

OPERATIONS = int(os.environ.get("RAY_LITE_CRASH_OPS", "1000"))
ORDERS = """open_actor next_call kill_actor leave_actor retire_actor retry_actor end_actor due drain_actor free_actor
    named end_call calls_wait call_awaits submit block unblock cancel take_cancelled restart_actor save_checkpoint
    lose_past""".split()
SEEN = (*ORDERS, "names found", "calls that run again")


@pytest.mark.watchdog(600 + OPERATIONS // 4)
def test_no_crash_state_of_random_calls_is_broken(enumeration, calls):
    totals, counts, longest = enumeration(calls, SEEN)
    assert min(totals[name] for name in ("rolled", "published", "swept", "nested")) > 50
    assert [name for name in SEEN if not counts[name]] == []
    assert longest <= 64


@pytest.mark.watchdog(600)
def test_past_calls_run_again_in_their_order_whenever_the_process_dies(calls):
    """It dies in a call, while it runs past ones again, after a checkpoint, and once calls were given up."""
    one = calls(0)
    one.make_lasting()
    a, who = one.seat()
    creation = one.do("next_call", who)[1]
    made = [one.post(1, a, nreturns=2) for _ in range(4)]
    one.run_these(who, creation, made[:2])
    one.bring_back_from(who, made)
    one.run_these(who, one.do("next_call", who)[1], made[:1])
    one.bring_back_from(who, made)
    one.run_these(who, one.do("next_call", who)[1], made)
    one.do("next_call", who, a=made[-1])
    one.save_one(who)
    more = [one.post(1, a) for _ in range(3)]
    one.run_these(who, 0, more[:1])
    one.bring_back_from(who, more)
    one.run_these(who, 0, more)
    one.do("lose_past", who)
    assert one.stepper.past(a) == [] and not one.stepper.back(a)[0]
    one.end()
