"""Output of processes on its way: pipes in (Stream), terminals and capped files out.

A reader must never wait for a slow terminal, or the workers would wait, too: each terminal has a thread and a bounded backlog,
and what does not fit is dropped and counted.  Neighbour: process.py reads and closes the streams.
"""

from __future__ import annotations

import os
import queue
import threading
from typing import Protocol

from ray_lite.system.polling import readable, writable

CHUNK = 65_536  # bytes of one read: what a pipe holds by default
FULL_PIPE = 16  # most chunks that a pipe holds
FAULT = "Fatal Python error"  # first words of the fault handler's trace
TAIL_BYTES = 8_192  # bytes of a stream's end to keep for WorkerCrashedError


class Sink(Protocol):
    """A destination of output, whose methods neither block nor raise."""

    def write(self, data: bytes, author: object, label: bytes = b"") -> None:
        """Takes bytes that `author` wrote; an author is only compared. `label`: what each of its lines begins with."""

    def close(self) -> None:
        """Takes notice that no more output comes."""


def labelled(data: bytes, label: bytes, continues: bool) -> bytes:
    """Lines, each after a label; with `continues` the first one is the rest of a line that has its label already."""
    if not label:
        return data
    lines = data[:-1].replace(b"\n", b"\n" + label) + data[-1:]
    return lines if continues else label + lines


class Stream:
    """The read end of one process's stdout or stderr; passes on whole lines, so that no process splits another's."""

    def __init__(self, fd: int, sink: Sink) -> None:
        self.fd, self.sink = fd, sink
        self.part = b""  #: an incomplete line
        self.tail = b""
        os.set_blocking(fd, False)

    def read(self) -> bool:
        """Passes on the output that is there; False at the end of the stream."""
        try:
            data = os.read(self.fd, CHUNK)
        except BlockingIOError:
            return True
        self.tail = (self.tail + data)[-TAIL_BYTES:]
        lines, newline, self.part = (self.part + data).rpartition(b"\n")
        if newline:
            self.sink.write(lines + newline, self)
        if not data or len(self.part) > CHUNK:
            self.flush()
        return bool(data)

    def read_all(self) -> None:
        """Passes on all output written until now; bounded, since the writer may still write."""
        for _ in range(FULL_PIPE):
            if not readable(self.fd, 0) or not self.read():
                return

    def flush(self) -> None:
        """Passes on an incomplete line."""
        if self.part:
            self.sink.write(self.part, self)
            self.part = b""

    def last_words(self, count: int) -> str:
        """The last `count` lines of the stream, and in addition the trace of the fault handler."""
        before, fault, trace = self.tail.decode(errors="replace").rpartition(FAULT)
        if not fault:
            before, trace = trace, ""
        return "\n".join([*before.splitlines()[-count:], *(fault + trace).splitlines()])


class Terminal:
    """A descriptor that may be slow, such as the driver's stdout.

    Args:
        fd: the descriptor to write to.
        backlog: most bytes that wait to be written; more is dropped.
    """

    def __init__(self, fd: int, backlog: int) -> None:
        self.fd, self.backlog = fd, backlog
        self.dropped = 0
        self._unfinished: object = None  # author of an incomplete last line
        self._put = self._done = 0  # bytes queued and bytes written; each is changed by one thread only
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def write(self, data: bytes, author: object, label: bytes = b"") -> None:
        """Queues bytes for the terminal, or drops them; begins a new line after another author's incomplete line."""
        data = labelled(data, label, self._unfinished is author)
        if self._unfinished not in (None, author):
            data = b"\n" + data
        self._unfinished = None if data.endswith(b"\n") else author
        if self._put - self._done + len(data) > self.backlog:
            self.dropped += len(data)
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        if self.dropped:
            data = b"ray_lite: %d bytes of output were dropped here: the terminal was too slow\n%b" % (self.dropped, data)
            self.dropped = 0
        self._put += len(data)
        self._queue.put(data)

    def _run(self) -> None:
        while (data := self._queue.get()) is not None:
            try:
                self._write_all(data)
            except OSError:
                pass  # the terminal is gone, which is no fault of the writer
            self._done += len(data)

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self.fd, view) :]
            except BlockingIOError:  # the driver made the shared descriptor non-blocking
                writable(self.fd)

    def close(self) -> None:
        """Lets the thread end when all queued bytes are written."""
        self._queue.put(None)

    def drain(self, seconds: float) -> None:
        """Closes, and waits at most `seconds` until the queued bytes are written."""
        self.close()
        if self._thread is not None:
            self._thread.join(seconds)


class CappedFile:
    """A file that keeps the newest bytes: at half of its limit it is renamed to `<path>.1`, and a new file begins.

    Args:
        path: path of the file, which is made for its first byte and readable by this user only.
        most: most bytes of both files together.
    """

    def __init__(self, path: str, most: int) -> None:
        self.path, self.most = path, most
        self._fd = -1
        self._size = 0
        self._unfinished = False  # whether the last line is incomplete

    def write(self, data: bytes, author: object, label: bytes = b"") -> None:
        """Appends bytes; they are lost on a full disk, or without the directory."""
        data, self._unfinished = labelled(data, label, self._unfinished), not data.endswith(b"\n")
        try:
            for at in range(0, len(data), max(1, self.most // 2)):
                self._write(data[at : at + max(1, self.most // 2)])
        except OSError:
            pass  # the disk is full, or the directory is gone: lost output must not end the process

    def _write(self, data: bytes) -> None:
        if self._fd < 0:
            self._open()
        if self._size + len(data) > self.most // 2:
            os.close(self._fd)
            self._fd = -1
            os.replace(self.path, self.path + ".1")
            self._open()
        self._size += os.write(self._fd, data)

    def _open(self) -> None:
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._size = os.fstat(self._fd).st_size

    def drain(self, seconds: float) -> None:
        """Closes: what was written is in the file."""
        self.close()

    def close(self) -> None:
        """Closes the file, if there is one."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class CappedLog:
    """A file without a name here, such as another user's, that keeps the newest bytes: at its limit the older half goes.

    Args:
        fd: of the file, opened to append.
        most: most bytes.
    """

    def __init__(self, fd: int, most: int) -> None:
        self.fd, self.most = fd, most
        self._size = os.fstat(fd).st_size
        self._unfinished: object = None  # author of an incomplete last line

    def write(self, data: bytes, author: object, label: bytes = b"") -> None:
        """Appends bytes; they are lost on a full disk."""
        data = labelled(data, label, self._unfinished is author)
        if self._unfinished not in (None, author):
            data = b"\n" + data
        self._unfinished = None if data.endswith(b"\n") else author
        data = data[-self.most // 2 :]
        try:
            if self._size + len(data) > self.most:
                kept = os.pread(self.fd, self.most // 2, self._size - self.most // 2)
                os.ftruncate(self.fd, 0)
                self._size = os.write(self.fd, kept)
            self._size += os.write(self.fd, data)
        except OSError:
            pass  # lost output must not end the process

    def close(self) -> None:
        """Does nothing: the descriptor belongs to whoever opened it."""
