"""What processes write, on its way: pipes in (Stream), terminals and capped files out.

A reader must never wait for a slow terminal, or workers would: each terminal has a thread and a bounded backlog, and what
doesn't fit is dropped and counted.  Neighbours: control_process.py runs it.
"""

from __future__ import annotations

import os
import queue
import threading
from typing import Protocol

from ray_lite.system.polling import readable, writable

CHUNK = 65_536  # bytes read at once: what a pipe holds by default
FULL_PIPE = 16  # chunks that it holds at most
FAULT = "Fatal Python error"  # begins what the fault handler writes
TAIL_BYTES = 8_192  # of a stream's end that is kept for death stories


class Sink(Protocol):
    """Where output goes. Its methods neither block nor raise."""

    def write(self, data: bytes, author: object) -> None:
        """Takes bytes that somebody wrote."""

    def close(self) -> None:
        """Nothing more will come."""


class Stream:
    """The read end of one process's stdout or stderr; hands on whole lines, so that processes don't cut each other's."""

    def __init__(self, fd: int, sink: Sink) -> None:
        self.fd, self.sink = fd, sink
        self.part = b""  #: of a line that is not complete
        self.tail = b""
        os.set_blocking(fd, False)

    def read(self) -> bool:
        """Hands on what is there; False at the end of the stream."""
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
        """Hands on all that was written until now; bounded, since the writer may be alive."""
        for _ in range(FULL_PIPE):
            if not readable(self.fd, 0) or not self.read():
                return

    def flush(self) -> None:
        """Hands on the incomplete line, too."""
        if self.part:
            self.sink.write(self.part, self)
            self.part = b""

    def last_words(self, count: int) -> str:
        """The last lines that came through here; what the fault handler wrote comes on top of the count."""
        before, fault, trace = self.tail.decode(errors="replace").rpartition(FAULT)
        if not fault:
            before, trace = trace, ""
        return "\n".join([*before.splitlines()[-count:], *(fault + trace).splitlines()])


class Terminal:
    """A descriptor that may be slow, such as the driver's stdout.

    Args:
        fd: where to write.
        backlog: bytes that may wait for it; more is dropped.
    """

    def __init__(self, fd: int, backlog: int) -> None:
        self.fd, self.backlog = fd, backlog
        self.dropped = 0
        self._unfinished: object = None  # whose incomplete line is the last
        self._put = self._done = 0  # bytes; each is changed by one thread only
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def write(self, data: bytes, author: object) -> None:
        """Queues bytes for the terminal, or drops them. Nobody's line goes on where another's stopped, or died."""
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
            data = b"ray_lite: %d bytes of output were dropped here, nobody read them in time\n%b" % (self.dropped, data)
            self.dropped = 0
        self._put += len(data)
        self._queue.put(data)

    def _run(self) -> None:
        while (data := self._queue.get()) is not None:
            try:
                self._write_all(data)
            except OSError:
                pass  # the terminal is gone; whoever writes to it is not to blame
            self._done += len(data)

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self.fd, view) :]
            except BlockingIOError:  # the driver made its own end non-blocking
                writable(self.fd)

    def close(self) -> None:
        """Nothing more will come: the thread ends when all is written."""
        self._queue.put(None)

    def drain(self, seconds: float) -> None:
        """Closes, and waits so long for what is on its way."""
        self.close()
        if self._thread is not None:
            self._thread.join(seconds)


class CappedFile:
    """A file that keeps the newest bytes: when it is half full, it becomes `<path>.1` and begins anew.

    Args:
        path: made with its first byte, readable for this user only.
        most: bytes that both parts take at most.
    """

    def __init__(self, path: str, most: int) -> None:
        self.path, self.most = path, most
        self._fd = -1
        self._size = 0

    def write(self, data: bytes, author: object) -> None:
        """Appends bytes; on a full disk, or without the directory, they are lost."""
        try:
            for at in range(0, len(data), max(1, self.most // 2)):
                self._write(data[at : at + max(1, self.most // 2)])
        except OSError:
            pass  # no space, or the session's directory is gone: output is not worth a crash

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

    def close(self) -> None:
        """Closes the file, if there is one."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
