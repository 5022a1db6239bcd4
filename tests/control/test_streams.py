"""streams.py: what processes write is kept, bounded, and said who wrote it."""

import os
import select

import pytest

from ray_lite.config import Config
from ray_lite.control.ends import NODE, Source
from ray_lite.control.pipes import make_pipes
from ray_lite.control.streams import ENDED_KEPT, Streams, Tail
from ray_lite.policy.resources import Resources
from ray_lite.session_setting import SessionInfo, SessionSetting
from ray_lite.system.machine import Limit


class Screen:
    """A terminal's place."""

    def __init__(self):
        self.shown = b""

    def write(self, data, author, label=b""):
        self.shown += b"".join(label + line for line in data.splitlines(keepends=True))

    def close(self):
        raise AssertionError("a terminal outlives its streams")


@pytest.fixture
def streams(tmp_path):
    """`streams()`: streams, whose terminal is `.out`; `.writes[pid]`: a process's stdout."""
    made = []

    def make(redirect=False, **config):
        info = SessionInfo(Config(**config), Resources(1, (), "", {}), 1, session_dir=str(tmp_path))
        os.mkdir(tmp_path / "logs")
        setting = SessionSetting(info, Limit(1, ""), Limit(1, ""), 1, 0, [], [], redirect_worker_output=redirect)
        one = Streams(setting, (Screen(), Screen()), select.epoll())
        one.out, one.writes = one.terminals[0], {}
        made.append(one)
        return one

    yield make
    for one in made:
        for fd in [fd for ends in one.writes.values() for fd in ends]:
            os.close(fd)
        for fd in list(one.by_fd):
            one._close(fd)
        one.poll.close()


def begin(streams, pid, label=""):
    reads, streams.writes[pid] = make_pipes()
    streams.open(pid, Source(label, reads))


def write(streams, pid, data, kind=0):
    os.write(streams.writes[pid][kind], data)
    for fd, _ in streams.poll.poll(5):
        streams.read(fd)


def test_each_line_says_who_wrote_it_once_several_do(streams):
    one = streams()
    for pid in (11, 12):
        begin(one, pid)
    write(one, 11, b"a\nb\n")
    assert one.out.shown == b"a\nb\n"
    write(one, 12, b"c\n")
    write(one, 11, b"d\n")
    assert one.out.shown == b"a\nb\n(pid=12) c\n(pid=11) d\n"


def test_actors_always_say_who_they_are_and_make_nobody_else_do(streams):
    one = streams()
    begin(one, 11)
    begin(one, 12, "Counter")
    write(one, 12, b"c\n")
    write(one, 11, b"a\n")
    assert one.out.shown == b"(Counter pid=12) c\na\n"


def test_files_have_no_prefix_but_that_of_actors(streams, tmp_path):
    one = streams(redirect=True)
    for pid in (11, 12):
        begin(one, pid)
        write(one, pid, b"line\n")
    assert one.out.shown == b""
    assert [(tmp_path / "logs" / f"worker-{pid}.out").read_bytes() for pid in (11, 12)] == [b"line\n"] * 2


def test_the_newest_output_can_be_asked_for(streams):
    one = streams(log_tail=100)
    for pid in (11, 12):
        begin(one, pid, "Counter" if pid == 12 else "")
    write(one, 11, b"first\n")
    write(one, 12, b"second\n", kind=1)
    answer = one.written()
    assert answer["pieces"] == [(11, "", "out", "first\n"), (12, "Counter", "err", "second\n")]
    write(one, 11, b"third\n")
    assert one.written(answer["number"])["pieces"] == [(11, "", "out", "third\n")]
    assert one.written(pid=12)["pieces"] == [(12, "Counter", "err", "second\n")]
    for number in range(50):
        write(one, 11, b"line %d\n" % number)
    text = "".join(piece[3] for piece in one.written(pid=11)["pieces"])
    assert len(text) <= 100 and text.endswith("line 48\nline 49\n")


def test_the_output_of_some_that_have_ended_is_kept(streams):
    one = streams()
    for pid in range(100, 100 + ENDED_KEPT + 10):
        begin(one, pid)
        write(one, pid, b"%d\n" % pid)
        for fd in one.writes.pop(pid):
            os.close(fd)
        one.take_last_words(pid)
    kept = {piece[0] for piece in one.written()["pieces"]}
    assert kept == set(range(110, 100 + ENDED_KEPT + 10))


def test_the_node_goes_into_a_file(streams, tmp_path):
    one = streams()
    begin(one, NODE)
    write(one, NODE, b"oops\n", kind=1)
    assert (tmp_path / "logs" / "node.err").read_bytes() == b"oops\n" and one.terminals[1].shown == b""


def test_a_piece_larger_than_a_tail_is_cut():
    tail = Tail("", 10)
    tail.add(1, "out", b"x" * 100 + b"\n")
    assert tail.since(0) == [(1, "out", "x" * 9 + "\n")]


def test_last_words_are_not_those_of_who_has_the_descriptor_now(streams):
    """A process's streams end, and the next process's get their numbers, before the node asks for its last words."""
    one = streams()
    begin(one, 11, "Counter")
    os.write(one.writes[11][1], b"its own\n")
    numbers = sorted(one.by_fd)
    for fd in one.writes.pop(11):
        os.close(fd)
    for fd in numbers:
        while fd in one.by_fd:
            one.read(fd)
    begin(one, 12)
    assert sorted(one.by_fd) == numbers
    os.write(one.writes[12][1], b"another's\n")
    assert one.take_last_words(11) == "its own"
    write(one, 12, b"")
    assert one.terminals[1].shown == b"(Counter pid=11) its own\nanother's\n"
