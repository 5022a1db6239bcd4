"""The crash-state enumeration of two jobs: whoever dies between two instructions, also while the host ends a job."""

import os

import pytest

OPERATIONS = int(os.environ.get("RAY_LITE_CRASH_OPS", "1000"))
ORDERS = """open_job drop_job lose lose_cancelled lose_tasks forget_sites unkeep free_queues free_job submit next finish inline
    cancel take_cancelled hold release sweep adopt free age""".split()


@pytest.mark.watchdog(600 + OPERATIONS // 4)
def test_no_crash_state_of_two_jobs_is_broken(enumeration, guests):
    totals, counts, longest = enumeration(guests, ORDERS)
    assert min(totals[name] for name in ("rolled", "published", "swept", "nested")) > 50
    assert [name for name in ORDERS if not counts[name]] == []
    assert longest <= 64
