"""The crash-state enumeration of actors: whoever dies between two instructions, no call is lost, none is in two places."""

import os
import time
from collections import Counter

import pytest

OPERATIONS = int(os.environ.get("RAY_LITE_CRASH_OPS", "1000"))
A_PROGRAM, MORE = 200, 8
ORDERS = """open_actor next_call kill_actor leave_actor retire_actor retry_actor end_actor due drain_actor free_actor
    named end_call calls_wait submit block unblock cancel take_cancelled restart_actor save_checkpoint lose_past""".split()
SEEN = (*ORDERS, "names found", "calls that run again")


@pytest.mark.watchdog(600 + OPERATIONS // 4)
def test_no_crash_state_of_random_calls_is_broken(calls):
    totals, counts, longest = Counter(), Counter(), 0
    begun = time.monotonic()
    enough = max(1, OPERATIONS // A_PROGRAM)
    for seed in range(enough + MORE):
        if seed >= enough and all(counts[name] for name in SEEN):
            break
        one = calls(seed, every=100)
        one.run(A_PROGRAM)
        one.end()
        one.region.check()
        totals.update(one.stepper.totals)
        counts.update(one.counts)
        longest = max(longest, one.region.statistics()["longest_section"])
    print(f"{dict(totals)} in {time.monotonic() - begun:.0f} s; longest log {longest}; {dict(counts)}")
    assert min(totals[name] for name in ("rolled", "published", "swept", "nested")) > 50
    assert [name for name in SEEN if not counts[name]] == []
    assert longest <= 64
