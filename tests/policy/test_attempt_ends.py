"""attempt_ends.py: the table is whole, and docs/internals.md shows it."""

import re

import pytest
from sources import ROOT

from ray_lite.policy.attempt_ends import TABLE, End, Follows, cancelled_text, follows


def test_docs_show_the_table():
    page = (ROOT / "docs/internals.md").read_text()
    rows = page.partition("| end of an attempt |")[2].partition("\n\n")[0].splitlines()[2:]
    shown = {tuple(re.split(r" +\| +", row.strip("| "))) for row in rows}
    assert shown == {(end.value, after.value if after else "-", cancelled.value) for end, (after, cancelled) in TABLE.items()}


def test_every_end_has_its_row_and_a_cancelled_task_no_other_attempt():
    assert set(TABLE) == set(End)
    assert Follows.ATTEMPT not in {follows(end, True) for end in End}


def test_what_stands_for_others_stands_for_a_cancelled_task_unless_it_died():
    stands = {end for end in set(End) - {End.CANCELLATION} if follows(end, False) is Follows.OUTCOME}
    assert {end for end in stands if follows(end, True) is not Follows.OUTCOME} == {End.CRASH}


def test_only_a_cancelled_task_ends_by_its_cancellation():
    with pytest.raises(ValueError, match="was not cancelled can't end like this: its TaskCancelledError got out"):
        follows(End.CANCELLATION, False)


@pytest.mark.parametrize("end, attempts, last, text", [
    (End.UNBEGUN, 0, "", "before it began"), (End.UNBEGUN, 1, "", "before it began again"),
    (End.CANCELLATION, 1, "", "while it ran"), (End.CRASH, 2, "it died", "while it ran; it died"),
])  # fmt: skip
def test_the_text(end, attempts, last, text):
    assert cancelled_text("f", end, attempts, last) == f"task f was cancelled {text}"
