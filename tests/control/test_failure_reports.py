"""failure_reports.py: what is shown, when, and how repeats fold."""

import math

import pytest

from ray_lite.control.failure_reports import REMEMBERED, Report, Reports


@pytest.fixture
def reports():
    return Reports(delay=0.5, pause=0.25)


def nobody(serial):
    return False


def test_nothing_is_due_without_reports(reports):
    assert reports.when() is None
    assert reports.due(math.inf, nobody) == ""


def test_a_failure_is_shown_after_the_delay_and_once(reports):
    reports.add(Report(1, "f", "Traceback\nValueError: no\n"), 10.0)
    assert reports.when() == 10.5
    assert reports.due(10.4, nobody) == ""
    shown = reports.due(10.5, nobody)
    assert shown == "ray_lite: task f failed, and no get() has fetched its result:\nTraceback\nValueError: no\n"
    assert reports.when() is None and reports.due(math.inf, nobody) == ""


def test_what_a_get_has_raised_is_not_shown(reports):
    reports.add(Report(1, "f", "a"), 0.0)
    reports.add(Report(2, "f", "b"), 0.0)
    shown = reports.due(1.0, lambda serial: serial == 1)
    assert "a" not in shown.splitlines() and "b" in shown.splitlines()


def test_repeats_are_one_text_with_a_count(reports):
    for serial in range(1, 5001):
        reports.add(Report(serial, "f", "boom"), 0.0)
    reports.add(Report(6000, "g", "boom"), 0.0)
    shown = reports.due(0.5, nobody)
    assert shown.count("boom") == 2 and "repeated 5,000 times" in shown
    assert "task g" in shown


def test_later_repeats_are_one_line_with_the_error(reports):
    reports.add(Report(1, "f", "Traceback\n  line\nValueError: no\n"), 0.0)
    reports.due(0.5, nobody)
    for serial in range(2, 5):
        reports.add(Report(serial, "f", "Traceback\n  line\nValueError: no\n"), 1.0)
    assert reports.due(1.5, nobody) == "ray_lite: task f failed again, repeated 3 times: ValueError: no\n"


def test_a_storm_is_a_few_shows(reports):
    shows = 0
    now = 0.0
    for serial in range(1, 1001):
        now += 0.001
        reports.add(Report(serial, "f", "x"), now)
        if reports.when() <= now:
            shows += bool(reports.due(now, nobody))
    assert 1 <= shows <= 3
    assert reports.due(math.inf, nobody)


def test_after_a_show_the_next_waits_a_little_but_less_than_a_second_in_all(reports):
    reports.add(Report(1, "f", "x"), 0.0)
    reports.due(0.5, nobody)
    reports.add(Report(2, "f", "y"), 0.1)
    assert reports.when() == 0.75


def test_a_note_needs_no_number_and_stands_for_itself(reports):
    reports.add(Report(0, "", "no more workers\n"), 0.0)
    assert reports.due(1.0, lambda serial: True) == "ray_lite: no more workers\n"


def test_it_remembers_a_bounded_number_of_texts(reports):
    for serial in range(1, REMEMBERED + 2):
        reports.add(Report(serial, "f", f"text {serial}"), 0.0)
    reports.due(1.0, nobody)
    assert len(reports._shown) == REMEMBERED
