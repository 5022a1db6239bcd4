"""output.py: whole lines, bounded files, and terminals that stop nobody."""

import os
import stat

import pytest

from ray_lite.control.output import CappedFile, Stream, Terminal


class Kept:
    def __init__(self):
        self.writes = []

    def write(self, data, author, label=b""):
        self.writes.append(data)

    def close(self):
        pass


@pytest.fixture
def pipe():
    ends = list(os.pipe())
    yield ends
    for fd in ends:
        os.close(fd)


@pytest.fixture
def stream(pipe):
    return Stream(pipe[0], Kept())


def test_lines_are_handed_on_whole(pipe, stream):
    os.write(pipe[1], b"one\ntw")
    assert stream.read()
    os.write(pipe[1], b"o\nthree")
    assert stream.read()
    assert stream.sink.writes == [b"one\n", b"two\n"]
    stream.flush()
    assert stream.sink.writes[-1] == b"three" and not stream.part


def test_nothing_there_is_not_the_end(stream):
    assert stream.read() and stream.sink.writes == []


def test_the_end_hands_on_the_rest():
    read, write = os.pipe()
    stream = Stream(read, Kept())
    os.write(write, b"last words")
    os.close(write)
    assert stream.read() and not stream.read()
    os.close(read)
    assert b"".join(stream.sink.writes) == b"last words"


def test_a_line_without_an_end_does_not_pile_up(pipe, stream):
    for _ in range(3):
        os.write(pipe[1], b"x" * 60_000)
        stream.read()
    assert len(stream.part) <= 65_536
    stream.flush()
    assert b"".join(stream.sink.writes) == b"x" * 180_000


def test_last_lines(pipe, stream):
    os.write(pipe[1], b"".join(b"line %d\n" % k for k in range(100)) + b"\xff half")
    stream.read_all()
    assert stream.last_words(3) == "line 98\nline 99\n\N{REPLACEMENT CHARACTER} half"


def test_a_file_is_made_with_its_first_byte_for_this_user(tmp_path):
    file = CappedFile(str(tmp_path / "log"), 1000)
    assert list(tmp_path.iterdir()) == []
    file.write(b"hello\n", None)
    file.close()
    assert (tmp_path / "log").read_bytes() == b"hello\n"
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600


def test_a_file_keeps_the_newest_and_no_more_than_its_cap(tmp_path):
    file = CappedFile(str(tmp_path / "log"), 1000)
    lines = [b"line %04d\n" % k for k in range(1000)]
    for line in lines:
        file.write(line, None)
    file.close()
    parts = [(tmp_path / name).read_bytes() for name in ("log.1", "log")]
    assert sum(map(len, parts)) <= 1000 and len(parts[0]) == 500
    assert b"".join(lines).endswith(b"".join(parts))


def test_a_write_larger_than_the_cap_is_cut(tmp_path):
    file = CappedFile(str(tmp_path / "log"), 1000)
    file.write(bytes(10_000) + b"end", None)
    file.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1000
    assert (tmp_path / "log").read_bytes().endswith(b"end")


def test_a_file_goes_on_where_another_process_stopped(tmp_path):
    for text in (b"a", b"b"):
        file = CappedFile(str(tmp_path / "log"), 1000)
        file.write(text, None)
        file.close()
    assert (tmp_path / "log").read_bytes() == b"ab"


def test_no_directory_is_no_crash(tmp_path):
    file = CappedFile(str(tmp_path / "none" / "log"), 1000)
    file.write(b"x", None)
    file.close()


def test_a_terminal_gets_everything_in_order(pipe):
    terminal = Terminal(pipe[1], 1000)
    terminal.write(b"one\n", None)
    terminal.write(b"two\n", None)
    terminal.drain(10)
    assert os.read(pipe[0], 100) == b"one\ntwo\n"


def test_a_full_terminal_drops_and_says_how_much(pipe, wait_until):
    os.set_blocking(pipe[1], False)
    try:
        while True:
            os.write(pipe[1], bytes(65536))
    except BlockingIOError:
        pass
    terminal = Terminal(pipe[1], 1000)
    terminal.write(b"a" * 900 + b"\n", None)
    terminal.write(b"b" * 900 + b"\n", None)
    assert terminal.dropped == 901
    os.set_blocking(pipe[0], False)

    def read():
        try:
            return os.read(pipe[0], 1 << 20).lstrip(b"\0")
        except BlockingIOError:
            return b""

    assert wait_until(read) == b"a" * 900 + b"\n"
    wait_until(lambda: terminal._done == 901)
    terminal.write(b"c\n", None)
    text = wait_until(read)
    terminal.drain(10)
    assert b"901 bytes" in text and text.endswith(b"\nc\n")


def test_a_closed_terminal_is_no_crash():
    read, write = os.pipe()
    os.close(read)
    terminal = Terminal(write, 1000)
    terminal.write(b"x", None)
    terminal.drain(10)
    os.close(write)


def test_nobodys_line_goes_on_where_anothers_stopped(pipe, wait_until):
    """Of two writers, one of whom died in the middle of a line; who goes on himself is not interrupted."""
    terminal = Terminal(pipe[1], 1 << 20)
    for data, author in ((b"half", "one"), (b" of it", "one"), (b"line\n", "two"), (b"rest\n", "one"), (b"end", "two")):
        terminal.write(data, author)
    terminal.drain(5)
    assert os.read(pipe[0], 1000) == b"half of it\nline\nrest\nend"


def test_lines_are_labelled_but_not_the_rest_of_one(pipe):
    """A line that another author cut begins anew."""
    terminal, one, other = Terminal(pipe[1], 1000), object(), object()
    for author, data in ((one, b"a\nb"), (one, b"c\nd"), (other, b"x\n"), (one, b"e\n\nf\n")):
        terminal.write(data, author, b"(1) " if author is one else b"(2) ")
    terminal.write(b"plain\n", None)
    terminal.drain(10)
    assert os.read(pipe[0], 1000) == b"(1) a\n(1) bc\n(1) d\n(2) x\n(1) e\n(1) \n(1) f\nplain\n"


def test_lines_of_a_file_are_labelled(tmp_path):
    file = CappedFile(str(tmp_path / "log"), 1000)
    for data in (b"a\nb", b"c\n", b"d\n"):
        file.write(data, None, b"(1) ")
    file.close()
    assert (tmp_path / "log").read_bytes() == b"(1) a\n(1) bc\n(1) d\n"
