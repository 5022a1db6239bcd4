"""text.py: sizes, times, amounts, tables."""

import pytest

from ray_lite.cli.text import counted, duration, number, size, table


@pytest.mark.parametrize("count, text", [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (1_234_567, "1.2 MB"), (5e9, "5.0 GB"),
                                         (7e15, "7.0 PB"), (7e18, "7,000.0 PB")])
def test_sizes(count, text):
    assert size(count) == text


@pytest.mark.parametrize("seconds, text", [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_300, "2.0 h"), (200_000, "2.3 d")])
def test_times(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize("amount, text", [(0, "0"), (2.0, "2"), (0.5, "0.5"), (1234.25, "1,234.25"), (-1, "-1")])
def test_amounts(amount, text):
    assert number(amount) == text


@pytest.mark.parametrize(("number_of", "text"), [(0, "0 workers"), (1, "1 worker"), (2000, "2,000 workers")])
def test_numbers_of_things(number_of, text):
    assert counted(number_of, "worker") == text


def test_a_table():
    assert table(["name", "count", "what"], [["a", 1_000, "x"], ["long", 2, "yy"]]) == (
        "name  count  what\na     1,000  x\nlong      2  yy")
    assert table(["a"], []) == "a"
