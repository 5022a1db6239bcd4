"""error_journal.py: what one process has written the next one reads, wherever the first one was killed."""

import contextlib
import os

import pytest

from ray_lite.control.error_journal import HEAD, ErrorJournal
from ray_lite.control.error_table import Entry


@pytest.fixture
def fds():
    both = os.memfd_create("errors"), os.memfd_create("errors")
    yield both
    for fd in both:
        os.close(fd)


def entries(first, last):
    return [Entry("task", f"number {n}", {"n": n}, float(n)) for n in range(first, last)]


def read(fds):
    return list(ErrorJournal(fds, 1_000_000).read())


def test_the_next_process_reads_and_goes_on(fds):
    for start in range(0, 9, 3):
        journal = ErrorJournal(fds, 1_000_000)
        assert list(journal.read()) == entries(0, start)
        journal.append(entries(start, start + 3))


def test_a_piece_of_an_entry_is_cut_off(fds):
    ErrorJournal(fds, 1_000_000).append(entries(0, 3))
    size = os.fstat(fds[0]).st_size
    for cut in range(1, 30):
        os.ftruncate(fds[0], size - cut)
        again = ErrorJournal(fds, 1_000_000)
        assert list(again.read()) == entries(0, 2)
        again.append(entries(2, 3))
        assert read(fds) == entries(0, 3) and os.fstat(fds[0]).st_size == size


def test_it_is_written_anew(fds):
    journal = ErrorJournal(fds, 500)
    for entry in entries(0, 100):
        journal.append([entry])
        if journal.is_long():
            journal.rewrite([entry])
            assert read(fds) == [entry]
    assert sum(os.fstat(fd).st_size for fd in fds) < 700
    assert read(fds)[-1] == entries(99, 100)[0]


class Killed(Exception):
    """Instead of a system call."""


def dying(calls, steps):
    """A wrapper of system calls of which so many are done."""
    left = [steps]

    def wrap(name):
        def call(*arguments):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return calls[name](*arguments)

        return call

    return wrap


@pytest.mark.parametrize("steps", range(6))
def test_nothing_is_lost_wherever_the_writing_anew_is_cut_short(fds, monkeypatch, steps):
    """Each system call may be the last one."""
    calls = {name: getattr(os, name) for name in ("ftruncate", "pwrite")}
    journal, wrap = ErrorJournal(fds, 500), dying(calls, steps)
    journal.append(entries(0, 5))
    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        for name in calls:
            patch.setattr(os, name, wrap(name))
        journal.rewrite(entries(2, 5))
    assert read(fds) == (entries(2, 5) if steps >= 3 else entries(0, 5))


def test_a_number_without_entries_counts(fds):
    os.pwrite(fds[1], HEAD.pack(3), 0)
    assert read(fds) == []
