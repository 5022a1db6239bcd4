"""Streams: the output of all processes of a session, from their pipes to the terminal or to files; its end stays in memory.

Neighbours: output.py has one stream and its sinks; process.py owns the streams, and tells the node last words.
"""

from __future__ import annotations

import math
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ray_lite.control.ends import NODE, Source
from ray_lite.control.output import CappedFile, CappedLog, Sink, Stream
from ray_lite.session_setting import SessionSetting
from ray_lite.system.session_dir import LOGS

SEVERAL = -1  # stands for the pids of several workers
ENDED_KEPT = 64  # processes that have ended whose output stays in memory


class Tail:
    """The newest output of a process.

    Args:
        most: most bytes.
    """

    def __init__(self, label: str, most: int) -> None:
        self.label, self.most = label, most
        self._pieces: deque[tuple[int, str, bytes]] = deque()  # (number, "out" or "err", whole lines)
        self._size = 0

    def add(self, number: int, stream: str, data: bytes) -> None:
        """Adds what was written; the oldest goes."""
        data = data[-self.most :]
        self._pieces.append((number, stream, data))
        self._size += len(data)
        while self._size > self.most:
            self._size -= len(self._pieces.popleft()[2])

    def since(self, number: int) -> list[tuple[int, str, str]]:
        """(number, stream, text) of the pieces after one."""
        return [(n, stream, data.decode(errors="replace")) for n, stream, data in self._pieces if n > number]


class Recorder:
    """The sink of one stream, which keeps what comes and passes it on.

    Args:
        sink: where it goes; `is_own`: it is closed with the stream.
        keep: takes whole lines, and who wrote them; returns what each of them begins with.
    """

    def __init__(self, sink: Sink, is_own: bool, keep: Callable[[bytes, object], bytes]) -> None:
        self.sink, self.is_own, self.keep = sink, is_own, keep

    def write(self, data: bytes, author: object, label: bytes = b"") -> None:
        """Keeps lines, and passes them on."""
        self.sink.write(data, author, self.keep(data, author))

    def close(self) -> None:
        """Closes the sink, if no other stream has it."""
        if self.is_own:
            self.sink.close()


class Streams:
    """The streams of a session's processes.

    Args:
        terminals: the driver's stdout and stderr.
        poll: gets the descriptors to watch.
    """

    def __init__(self, setting: SessionSetting, terminals: Sequence[Sink], poll: select.epoll) -> None:
        self.setting, self.config, self.terminals, self.poll = setting, setting.config, terminals, poll
        self.logs = os.path.join(setting.session_dir, LOGS)
        self.by_fd: dict[int, Stream] = {}
        self.tails: dict[int, Tail] = {}  #: by pid
        self._ended: deque[int] = deque()  # pids whose tails are kept for a while
        self._partial: dict[Stream, float] = {}  # streams with an incomplete line -> time to show it
        self._errors: dict[int, Stream] = {}  # pid -> stderr, until the node asks for the last words
        self._reading = threading.Lock()  # whoever answers a question reads the tails, in another thread
        self._number = 0  # pieces of output so far
        self._record = CappedLog(setting.log_fd, self.config.log_bytes) if setting.log_fd >= 0 else None
        self._writer = 0  # the first worker that wrote; SEVERAL: others have, too

    def open(self, pid: int, source: Source) -> None:
        """Begins to read the output of a process."""
        tail = Tail(source.label, self.config.log_tail)
        with self._reading:
            self.tails[pid] = tail
        into_files = pid == NODE or self.setting.redirect_worker_output
        name = "node" if pid == NODE else f"worker-{pid}"
        for fd, terminal, kind in zip(source.fds, self.terminals, ("out", "err"), strict=True):
            sink: Sink = terminal
            if into_files:
                sink = CappedFile(os.path.join(self.logs, f"{name}.{kind}"), self.config.log_bytes)
            stream = Stream(fd, Recorder(sink, into_files, partial(self._keep, pid, tail, kind)))
            self.by_fd[fd] = self._errors[pid] = stream  # the last one, stderr, stays in `_errors`
            self.poll.register(fd, select.EPOLLIN)

    def _keep(self, pid: int, tail: Tail, kind: str, data: bytes, author: object) -> bytes:
        """Keeps what a process writes; returns what each line begins with: an actor always says who it is, a worker once
        several of them write into the terminal."""
        with self._reading:
            self._number += 1
            tail.add(self._number, kind, data)
        name = f"({tail.label} pid={pid}) " if tail.label else f"(pid={pid}) " if pid != NODE else "(node) "
        if self._record is not None:
            self._record.write(data, author, name.encode())
        if tail.label:
            return name.encode()
        if pid == NODE or self.setting.redirect_worker_output:
            return b""
        if self._writer not in (0, pid):
            self._writer = SEVERAL
        self._writer = self._writer or pid
        return name.encode() if self._writer == SEVERAL else b""

    def read(self, fd: int) -> None:
        """Reads a stream that has data or is at its end."""
        stream = self.by_fd[fd]
        if not stream.read():
            self._close(fd)
        if stream.part:
            self._partial.setdefault(stream, time.monotonic() + self.config.partial_line)
        else:
            self._partial.pop(stream, None)

    def flush(self, now: float) -> None:
        """Shows lines that stayed incomplete for Config.partial_line."""
        for stream in [stream for stream, due in self._partial.items() if due <= now]:
            stream.flush()
            del self._partial[stream]

    def due(self) -> float:
        """The time of the next line to show though it is incomplete; infinite: there is none."""
        return min(self._partial.values(), default=math.inf)

    def take_last_words(self, pid: int) -> str:
        """The last lines that a dead process has written on stderr."""
        self._end(pid)
        stream = self._errors.pop(pid, None)
        if stream is None:
            return ""
        if self.by_fd.get(stream.fd) is stream:  # else it is at its end, and another one may have the descriptor now
            stream.read_all()
        return stream.last_words(self.config.last_lines)

    def _end(self, pid: int) -> None:
        """Forgets the output of the process that ended first, if that of many ended ones is kept."""
        self._ended.append(pid)
        if len(self._ended) > ENDED_KEPT:
            with self._reading:
                self.tails.pop(self._ended.popleft(), None)

    def _close(self, fd: int) -> None:
        """Closes a stream that is at its end."""
        self.poll.unregister(fd)
        stream = self.by_fd.pop(fd)
        stream.sink.close()
        os.close(fd)

    def finish(self) -> None:
        """Passes on the rest of the output, whose writers have all ended."""
        for stream in self.by_fd.values():
            stream.read_all()
            stream.flush()

    def written(self, after: int = 0, pid: int | None = None) -> dict[str, Any]:
        """What processes have written: `number`, for the next question, and `pieces` in the order in which they came, each
        (pid, label, "out" or "err", text).

        Args:
            after: the `number` of an earlier answer.
            pid: of one process. Default: all.
        """
        with self._reading:
            if pid is not None and pid not in self.tails:
                raise ValueError(f"nothing is known of process {pid}; there are {sorted(self.tails)}")
            found = [(number, one, tail.label, kind, text) for one, tail in self.tails.items() if pid in (None, one)
                     for number, kind, text in tail.since(after)]
            return {"number": self._number, "pieces": [piece[1:] for piece in sorted(found)]}
