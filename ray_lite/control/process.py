"""The control process itself, in the child that control_starter.py forks: passes on what workers write, and shows failures.

    worker --a pipe each for stdout and stderr--> control process --> the driver's terminal, or capped files
    worker, node --reports--> control process --half a second later, unless a `get` has raised them--> the driver's stderr

It also watches for a process that was stopped inside the lock.  Neighbours: output.py, failure_reports.py and lock_watchdog.py
do the work.
"""

from __future__ import annotations

import gc
import math
import os
import pickle
import select
import socket
import time
from typing import NamedTuple

from ray_lite import _core
from ray_lite.control.failure_reports import Report, Reports
from ray_lite.control.lock_watchdog import LockWatchdog
from ray_lite.control.output import CappedFile, Sink, Stream, Terminal
from ray_lite.session_setting import SessionSetting
from ray_lite.system.session_dir import LOGS

MESSAGE_MOST = 1 << 18  # most bytes of a message: a report, or an order of the node
NODE = 0  # stands for the node's pid in tables of streams
END = b"end"


class Source(NamedTuple):
    """What a process writes."""

    label: str  #: the class of the actor whose process it is: each line says so; "": it is no actor's
    fds: tuple[int, int]  #: read ends of its stdout and stderr


class Ends(NamedTuple):
    """The node's descriptors that the control process uses; each restarted control process gets the same."""

    link: socket.socket  #: orders of the node, and answers to it
    reports: socket.socket  #: the receiving end of reports
    terminal: tuple[int, int]  #: the driver's stdout and stderr
    bell: int  #: the node's doorbell
    streams: dict[int, Source]  #: by pid


class ControlProcess:
    """The event loop of the control process."""

    def __init__(self, region: _core.Region, setting: SessionSetting, ends: Ends) -> None:
        gc.freeze()
        self.region, self.setting, self.ends, self.config = region, setting, ends, setting.config
        self.logs = os.path.join(setting.session_dir, LOGS)
        self.terminals = tuple(Terminal(fd, self.config.output_backlog) for fd in ends.terminal)
        self.reports = Reports(self.config.report_delay, self.config.report_delay / 2)
        spared = {setting.driver_pid, os.getppid()}
        self.watchdog = LockWatchdog(lambda: _core.lock_owner(region), spared, self.say, self.config.watch)
        self.next_look = 0.0
        self.rung = False  # whether the doorbell was claimed at the last check
        self.poll = select.epoll()
        self.poll.register(ends.link.fileno(), select.EPOLLIN)
        self.poll.register(ends.reports.fileno(), select.EPOLLIN)
        self.streams: dict[int, Stream] = {}
        self.partial: dict[Stream, float] = {}  # streams with an incomplete line -> time to show it
        self.errors: dict[int, Stream] = {}  # pid -> stderr, until the node asks for the last words
        for pid, source in ends.streams.items():
            self.open(pid, source)

    def run(self) -> None:
        """Works until the node orders the end, or is gone."""
        while self.ends.link.fileno() >= 0:
            events = self.poll.poll(self.patience())
            for fd, _ in events:
                if fd == self.ends.link.fileno():
                    self.on_order()
                elif fd == self.ends.reports.fileno():
                    self.take_reports()
                else:
                    self.take_output(fd)
            now = time.monotonic()
            self.flush(now)
            self.show(now)
            if now >= self.next_look:
                self.next_look = now + self.watchdog.look()
                self.repair_bell()
        self.finish()

    def repair_bell(self) -> None:
        """Rings the doorbell for a process that claimed it and was stopped before it rang: no other process would ring."""
        rung = _core.is_bell_rung(self.region)
        if rung and self.rung:
            os.eventfd_write(self.ends.bell, 1)
        self.rung = rung

    def say(self, text: str) -> None:
        """Shows a line on the driver's stderr."""
        self.terminals[1].write(f"ray_lite: {text}\n".encode(), self)

    def patience(self) -> float:
        """Seconds until the next work that needs no event."""
        when = self.reports.when()
        times = [self.next_look, math.inf if when is None else when, *self.partial.values()]
        return max(0.0, min(times) - time.monotonic())

    def take_output(self, fd: int) -> None:
        """Reads a stream that has data or is at its end."""
        stream = self.streams[fd]
        if not stream.read():
            self.close(fd)
        if stream.part:
            self.partial.setdefault(stream, time.monotonic() + self.config.partial_line)
        else:
            self.partial.pop(stream, None)

    def flush(self, now: float) -> None:
        """Shows lines that stayed incomplete for Config.partial_line."""
        for stream in [stream for stream, due in self.partial.items() if due <= now]:
            stream.flush()
            del self.partial[stream]

    def on_order(self) -> None:
        """Carries out an order of the node: read a new worker's streams, tell a dead worker's last words, or end."""
        try:
            message, fds, _, _ = socket.recv_fds(self.ends.link, MESSAGE_MOST, 2)
        except ConnectionResetError:  # the node died before it read an answer
            message, fds = b"", []
        if fds:
            pid, label = pickle.loads(message)
            self.open(pid, Source(label, (fds[0], fds[1])))
        elif message and message != END:
            self.tell(pickle.loads(message))
        else:
            self.poll.unregister(self.ends.link.fileno())
            self.ends.link.close()

    def open(self, pid: int, source: Source) -> None:
        """Begins to read the output of a process."""
        label = f"({source.label} pid={pid}) ".encode() if source.label else b""
        into_files = pid == NODE or self.setting.redirect_worker_output
        name = "node" if pid == NODE else f"worker-{pid}"
        for fd, terminal, suffix in zip(source.fds, self.terminals, ("out", "err"), strict=True):
            sink: Sink = terminal
            if into_files:
                sink = CappedFile(os.path.join(self.logs, f"{name}.{suffix}"), self.config.log_bytes)
            self.streams[fd] = self.errors[pid] = Stream(fd, sink, label)  # the last one, stderr, stays in `errors`
            self.poll.register(fd, select.EPOLLIN)

    def tell(self, pid: int) -> None:
        """Sends a dead worker's last words to the node."""
        stream = self.errors.pop(pid, None)
        if stream is not None and stream.fd in self.streams:
            stream.read_all()
        words = stream.last_words(self.config.last_lines) if stream is not None else ""
        try:
            self.ends.link.send(pickle.dumps((pid, words)))
        except OSError:
            pass  # the node is gone: the end of the link is the next event

    def close(self, fd: int) -> None:
        """Closes a stream that is at its end."""
        self.poll.unregister(fd)
        stream = self.streams.pop(fd)
        if stream.sink not in self.terminals:
            stream.sink.close()
        os.close(fd)

    def take_reports(self) -> None:
        """Takes all reports that have arrived."""
        while True:
            try:
                message = self.ends.reports.recv(MESSAGE_MOST)
            except BlockingIOError:
                return
            self.reports.add(Report(*pickle.loads(message)), time.monotonic())

    def show(self, now: float) -> None:
        """Shows the failures that are due by `now`."""
        when = self.reports.when()
        if when is not None and when <= now:
            text = self.reports.due(now, lambda serial: _core.was_raised(self.region, serial))
            self.terminals[1].write(text.encode(errors="replace"), self)

    def finish(self) -> None:
        """Shows the rest of the output, whose writers have all ended, and the failures that still wait."""
        self.take_reports()
        for stream in self.streams.values():
            stream.read_all()
            stream.flush()
        self.show(math.inf)
        for terminal in self.terminals:
            terminal.drain(self.config.drain)
