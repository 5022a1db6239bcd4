"""The control process: the node's one restartable child.  It pumps what workers write and shows failures nobody fetches.

    worker --a pipe each for stdout and stderr--> control process --> the driver's terminal, or capped files
    worker, node --reports--> the same, half a second later, unless a `get` has raised them

The node keeps its own copies of all descriptors, so that a new control process goes on where a killed one stopped and
nobody who writes notices.  Neighbours: node.py owns `Control`; output.py and reports.py do the work.
"""

from __future__ import annotations

import gc
import math
import os
import pickle
import select
import signal
import socket
import time
from collections.abc import Iterable
from typing import Any

from ray_lite import _core, output, reporter
from ray_lite.config import SCRIPT_MODE
from ray_lite.descriptors import readable
from ray_lite.forkserver import LOGS
from ray_lite.reports import Report, Reports
from ray_lite.watchdog import Watchdog

MESSAGE_MOST = 1 << 18  # bytes of a message: a report, or an order of the node
NODE = 0  # stands for the node's pid among the streams
END = b"end"


class Control:
    """The node's hold on its control process. It is started with the first worker, and again whenever it dies."""

    def __init__(self, region: _core.Region, setting: dict[str, Any], bell: int) -> None:
        self.region, self.setting, self.config, self.bell = region, setting, setting["config"], bell
        self.terminal = os.dup(1), os.dup(2)
        self.reports, self.reports_in = reporter.channel(self.config.report_patience)
        self.streams: dict[int, tuple[int, int]] = {}  # pid -> read ends of its stdout and stderr
        self.link: socket.socket | None = None
        self.pid = 0
        self.pidfd = -1
        self.started = -math.inf

    @property
    def sender(self) -> socket.socket | None:
        """Where failures are reported, if anybody wants to read them."""
        return self.reports_in if self.setting["driver_mode"] == SCRIPT_MODE else None

    def redirect_node(self) -> None:
        """The node's own output goes into files."""
        self.streams[NODE], writes = _pipes()
        _write_into(writes)

    def fork(self) -> int:
        """A child whose stdout and stderr come here; its pid, or 0 in the child.

        Raises:
            OSError: no process or descriptor to be had.
        """
        reads, writes = _pipes()
        try:
            pid = os.fork()
        except OSError:
            for fd in (*reads, *writes):
                os.close(fd)
            raise
        if pid == 0:
            _write_into(writes)
            for fd in (*reads, *self.descriptors()):
                os.close(fd)
            return 0
        for fd in writes:
            os.close(fd)
        self._adopt(pid, reads)
        return pid

    def due_in(self) -> float | None:
        """Seconds until it has to be started, not at once if it never runs for long; None while it runs."""
        return None if self.link is not None else max(0.0, self.started + self.config.control_restart - time.monotonic())

    def start(self, strangers: Iterable[int]) -> None:
        """Forks it. `strangers`: descriptors of the node that it must not have.

        Raises:
            OSError: no process or descriptor to be had; it is due again later, and nothing is lost until then.
        """
        self.started = time.monotonic()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        try:
            self.pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            raise
        if self.pid == 0:
            code = 1
            try:
                ours.close()
                for fd in strangers:
                    os.close(fd)
                _Pump(self, theirs).run()
                code = 0
            except BaseException:  # into the node's log: whatever it was, a new one goes on
                import traceback

                traceback.print_exc()
            finally:
                os._exit(code)
        theirs.close()
        try:
            self.pidfd = os.pidfd_open(self.pid)
        except OSError:
            ours.close()
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            raise
        self.link = ours

    def _adopt(self, pid: int, streams: tuple[int, int]) -> None:
        self.streams[pid] = streams
        if self.link is not None:
            try:
                socket.send_fds(self.link, [pickle.dumps(pid)], streams)
            except OSError:  # it is dead, or stuck: the next one inherits them
                os.kill(self.pid, signal.SIGKILL)

    def hears(self) -> int:
        """The descriptor on which it answers, or -1."""
        return -1 if self.link is None else self.link.fileno()

    def ask(self, pid: int) -> bool:
        """Asks for a dead worker's last words, which `answer` gives later; False: there will be no answer."""
        try:
            return self.link is not None and self.link.send(pickle.dumps(pid)) > 0
        except OSError:
            return False

    def answer(self) -> tuple[int, str] | None:
        """(pid, last words), or None when there is no answer (any more)."""
        try:
            message = self.link.recv(MESSAGE_MOST) if self.link is not None else b""
        except OSError:
            message = b""
        return pickle.loads(message) if message else None

    def forget(self, pid: int) -> None:
        """A worker is dead and buried; the control process reads its pipes to their ends."""
        for fd in self.streams.pop(pid):
            os.close(fd)

    def reap(self) -> None:
        """After its death."""
        os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        if self.link is not None:
            self.link.close()
        self.link, self.pidfd = None, -1

    def end(self) -> None:
        """It writes what is on its way, and ends."""
        if self.link is None:
            return
        try:
            self.link.send(END)
        except OSError:
            pass  # then it is stuck, and killed below
        if not readable(self.pidfd, self.config.drain):
            os.kill(self.pid, signal.SIGKILL)
        self.reap()

    def descriptors(self) -> list[int]:
        """All that a worker must not have, but the sender."""
        mine = [*self.terminal, self.reports.fileno(), self.pidfd, *(fd for pair in self.streams.values() for fd in pair)]
        return [fd for fd in (*mine, self.link.fileno() if self.link else -1) if fd >= 0]


def _pipes() -> tuple[tuple[int, int], tuple[int, int]]:
    """The read ends and the write ends of two pipes, for stdout and stderr."""
    out = os.pipe()
    try:
        err = os.pipe()
    except OSError:
        for fd in out:
            os.close(fd)
        raise
    return (out[0], err[0]), (out[1], err[1])


def _write_into(ends: tuple[int, int]) -> None:
    """This process's stdout and stderr from now on."""
    for fd, end in enumerate(ends, 1):
        os.dup2(end, fd)
        os.close(end)


class _Pump:
    """The control process's own life, in the forked child."""

    def __init__(self, control: Control, link: socket.socket) -> None:
        gc.freeze()
        self.control, self.link, self.config = control, link, control.config
        self.logs = os.path.join(control.setting["session_dir"], LOGS)
        self.terminals = tuple(output.Terminal(fd, self.config.output_backlog) for fd in control.terminal)
        self.reports = Reports(self.config.report_delay, self.config.report_delay / 2)
        spared = {control.setting["driver"], os.getppid()}
        self.watchdog = Watchdog(lambda: _core.lock_owner(control.region), spared, self.say, self.config.watch)
        self.next_look = 0.0
        self.rung = False  # at the last look
        self.poll = select.epoll()
        self.poll.register(link.fileno(), select.EPOLLIN)
        self.poll.register(control.reports.fileno(), select.EPOLLIN)
        self.streams: dict[int, output.Stream] = {}
        self.partial: dict[output.Stream, float] = {}  # with an incomplete line, and when that is shown
        self.errors: dict[int, output.Stream] = {}  # pid -> stderr, until the node asked for its last words
        for pid, pair in control.streams.items():
            self.open(pid, pair)

    def run(self) -> None:
        """Until the node says so, or is gone."""
        while self.link.fileno() >= 0:
            events = self.poll.poll(self.patience())
            for fd, _ in events:
                if fd == self.link.fileno():
                    self.hear()
                elif fd == self.control.reports.fileno():
                    self.take_reports()
                else:
                    self.take(fd)
            now = time.monotonic()
            self.flush(now)
            self.show(now)
            if now >= self.next_look:
                self.next_look = now + self.watchdog.look()
                self.mend_bell()
        self.finish()

    def mend_bell(self) -> None:
        """Rings for somebody who claimed the doorbell and was stopped before he rang it: else it stays silent."""
        rung = _core.is_rung(self.control.region)
        if rung and self.rung:
            os.eventfd_write(self.control.bell, 1)
        self.rung = rung

    def say(self, text: str) -> None:
        """A line for the user."""
        self.terminals[1].write(f"ray_lite: {text}\n".encode(), self)

    def patience(self) -> float:
        """How long nothing has to be done if nothing comes in."""
        when = self.reports.when()
        times = [self.next_look, math.inf if when is None else when, *self.partial.values()]
        return max(0.0, min(times) - time.monotonic())

    def take(self, fd: int) -> None:
        """Reads a stream."""
        stream = self.streams[fd]
        if not stream.read():
            self.close(fd)
        if stream.part:
            self.partial.setdefault(stream, time.monotonic() + self.config.partial_line)
        else:
            self.partial.pop(stream, None)

    def flush(self, now: float) -> None:
        """Shows lines that have been incomplete for long."""
        for stream in [stream for stream, due in self.partial.items() if due <= now]:
            stream.flush()
            del self.partial[stream]

    def hear(self) -> None:
        """An order of the node: the streams of a new worker, a dead worker's last words, or the end."""
        try:
            message, fds, _, _ = socket.recv_fds(self.link, MESSAGE_MOST, 2)
        except ConnectionResetError:  # the node died before it read an answer
            message, fds = b"", []
        if fds:
            self.open(pickle.loads(message), (fds[0], fds[1]))
        elif message and message != END:
            self.tell(pickle.loads(message))
        else:
            self.poll.unregister(self.link.fileno())
            self.link.close()

    def open(self, pid: int, pair: tuple[int, int]) -> None:
        """Reads a process's output from now on."""
        into_files = pid == NODE or self.control.setting["redirect_worker_output"]
        name = "node" if pid == NODE else f"worker-{pid}"
        for fd, terminal, suffix in zip(pair, self.terminals, ("out", "err"), strict=True):
            sink: output.Sink = terminal
            if into_files:
                sink = output.CappedFile(os.path.join(self.logs, f"{name}.{suffix}"), self.config.log_bytes)
            self.streams[fd] = self.errors[pid] = output.Stream(fd, sink)  # the last one stays: stderr
            self.poll.register(fd, select.EPOLLIN)

    def tell(self, pid: int) -> None:
        """Answers with a dead worker's last words."""
        stream = self.errors.pop(pid, None)
        if stream is not None and stream.fd in self.streams:
            stream.read_all()
        words = stream.last_words(self.config.last_lines) if stream is not None else ""
        try:
            self.link.send(pickle.dumps((pid, words)))
        except OSError:
            pass  # the node is gone; the end is the next thing heard

    def close(self, fd: int) -> None:
        """A stream is at its end."""
        self.poll.unregister(fd)
        stream = self.streams.pop(fd)
        if stream.sink not in self.terminals:
            stream.sink.close()
        os.close(fd)

    def take_reports(self) -> None:
        """Takes all failures that were reported."""
        while True:
            try:
                message = self.control.reports.recv(MESSAGE_MOST)
            except BlockingIOError:
                return
            self.reports.add(Report(*pickle.loads(message)), time.monotonic())

    def show(self, now: float) -> None:
        """Shows the failures that are due by `now`."""
        when = self.reports.when()
        if when is not None and when <= now:
            text = self.reports.due(now, lambda serial: _core.was_raised(self.control.region, serial))
            self.terminals[1].write(text.encode(errors="replace"), self)

    def finish(self) -> None:
        """All writers have ended: what they left, and the failures that are still waiting."""
        self.take_reports()
        for stream in self.streams.values():
            stream.read_all()
            stream.flush()
        self.show(math.inf)
        for terminal in self.terminals:
            terminal.drain(self.config.drain)
