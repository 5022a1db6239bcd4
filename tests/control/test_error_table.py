"""error_table.py: the newest entries, bounded in number and in bytes."""

import random

import pytest

from ray_lite.control.error_table import DRIVER, OVERHEAD, Entry, ErrorTable


def entry(number, size=10):
    return Entry("task", f"{number}".ljust(size), {}, float(number))


def numbers(entries):
    return [int(one.timestamp) for one in entries]


def test_the_newest_stay_the_oldest_go():
    table = ErrorTable(3, 1_000_000)
    assert table.since() == []
    for number in range(5):
        table.add(entry(number))
    assert numbers(table.since()) == [2, 3, 4] and table.added == 5
    assert table.statistics() == {"added": 5, "dropped": 2, "bytes": 3 * (OVERHEAD + 10)}


def test_since():
    table = ErrorTable(4, 1_000_000)
    for number in range(6):
        table.add(entry(number))
    assert [numbers(table.since(after)) for after in (0, 2, 3, 5, 6, 99)] == [[2, 3, 4, 5]] * 2 + [[3, 4, 5], [5], [], []]


def test_bytes_are_bounded_but_the_newest_entry_stays():
    table = ErrorTable(1_000, 10 * (OVERHEAD + 100))
    for number in range(25):
        table.add(entry(number, 100))
    assert numbers(table.since()) == list(range(15, 25))
    table.add(entry(25, 1_000_000))
    assert numbers(table.since()) == [25]


def test_any_sequence_is_what_a_list_would_keep():
    dice = random.Random(1)
    for _ in range(50):
        most, table, model = dice.randrange(1, 20), None, []
        table = ErrorTable(most, 1 << 40)
        for number in range(dice.randrange(60)):
            table.add(entry(number))
            model.append(number)
            after = dice.randrange(number + 2)
            assert numbers(table.since(after)) == [n for n in model[-most:] if n >= after]


FACTS = {"type": "task", "message": "text", "data": {"function_name": "f", "attempts": 2, "x": None}, "timestamp": 1.5}


def test_an_entry_of_an_attached_driver():
    assert Entry.of(FACTS, 7) == Entry("task", "text", {**FACTS["data"], DRIVER: 7}, 1.5)


@pytest.mark.parametrize("change", [
    {"type": 5}, {"type": "x" * 2_000}, {"message": None}, {"message": "x" * 70_000}, {"data": []}, {"data": {"x": [1]}},
    {"data": {"x": {}}}, {"data": {"x": "y" * 2_000}}, {"data": {str(k): k for k in range(40)}}, {"data": {"x": 1 << 70}},
    {"timestamp": float("nan")}, {"timestamp": 1e300}, {"timestamp": -1}, {"timestamp": "1"}, {"more": 1},
])
def test_what_is_no_entry_of_an_attached_driver(change):
    with pytest.raises((ValueError, TypeError)):
        Entry.of({**FACTS, **change}, 7)
