"""error_journal.py: what one process has written the next one reads."""

import os

import pytest

from ray_lite.control.error_journal import ErrorJournal
from ray_lite.control.error_table import Entry


@pytest.fixture
def fd():
    one = os.memfd_create("errors")
    yield one
    os.close(one)


def entries(first, last):
    return [Entry("task", f"number {n}", {"n": n}, float(n)) for n in range(first, last)]


def test_the_next_process_reads_and_goes_on(fd):
    for start in range(0, 9, 3):
        journal = ErrorJournal(fd, 1_000_000)
        assert list(journal.read()) == entries(0, start)
        journal.append(entries(start, start + 3))


def test_a_piece_of_an_entry_is_cut_off(fd):
    journal = ErrorJournal(fd, 1_000_000)
    journal.append(entries(0, 3))
    size = os.fstat(fd).st_size
    for cut in range(1, 30):
        os.ftruncate(fd, size - cut)
        again = ErrorJournal(fd, 1_000_000)
        assert list(again.read()) == entries(0, 2)
        again.append(entries(2, 3))
        assert list(ErrorJournal(fd, 1_000_000).read()) == entries(0, 3) and os.fstat(fd).st_size == size


def test_it_is_written_anew(fd):
    journal = ErrorJournal(fd, 500)
    for entry in entries(0, 100):
        journal.append([entry])
        if journal.is_long():
            journal.rewrite([entry])
    assert os.fstat(fd).st_size < 600
    assert list(ErrorJournal(fd, 500).read())[-1] == entries(99, 100)[0]
