"""The control process itself, in the child that control_starter.py forks: passes on what workers write, and shows failures.

    worker --a pipe each for stdout and stderr--> control process --> the driver's terminal, or capped files
    worker, node --reports--> control process --half a second later, unless a `get` has raised them--> the driver's stderr

It keeps the newest output and errors, and answers questions about the session (questions.py).  It also watches for a process
that was stopped inside the lock.  Neighbours: streams.py, failure_reports.py, error_table.py and lock_watchdog.py do the work.
"""

from __future__ import annotations

import contextlib
import gc
import math
import os
import pickle
import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

from ray_lite import _core
from ray_lite.config import SCRIPT_MODE
from ray_lite.control.ends import END, MESSAGE_MOST, Ends, Source
from ray_lite.control.error_forwarder import ErrorForwarder
from ray_lite.control.error_log import ErrorLog
from ray_lite.control.error_table import Entry
from ray_lite.control.failure_reports import Report, Reports
from ray_lite.control.lock_watchdog import LockWatchdog
from ray_lite.control.output import CappedFile, Terminal
from ray_lite.control.questions import Answer, Files, QuestionServer
from ray_lite.control.store_publisher import StorePublisher
from ray_lite.control.streams import Streams
from ray_lite.session_setting import SessionSetting
from ray_lite.system.process import owner_of
from ray_lite.system.session_dir import session_log
from ray_lite.tracing.spool import Spool


def _terminals(setting: SessionSetting, ends: Ends) -> tuple[Terminal, Terminal] | tuple[CappedFile, CappedFile]:
    if setting.sharing is None:
        out, err = (Terminal(fd, setting.config.output_backlog) for fd in ends.terminal)
        return out, err
    log = CappedFile(session_log(setting.session_dir), setting.config.log_bytes)
    return log, log


def _traces(region: _core.Region, spool: Spool) -> Answer:
    """The answer with all traces that there are."""

    def traces(detail: bool | None = None, files: bool = True) -> Files:
        """`detail`: whether processes record details from now on; None: as before. `files`: whether the traces are wanted."""
        if detail is not None:
            _core.set_traces_detail(region, detail)
            spool.start()
        if files:
            spool.collect()
        return Files(spool.facts() if files else {}, spool.files() if files else [])

    return traces


class ControlProcess:
    """The event loop of the control process.

    Args:
        answers: to questions about the session, by name; those about output and errors are answered here.
    """

    def __init__(self, region: _core.Region, setting: SessionSetting, ends: Ends, answers: dict[str, Answer]) -> None:
        gc.freeze()
        _core.observe(region)
        self.region, self.setting, self.ends, self.config = region, setting, ends, setting.config
        self.terminals = _terminals(setting, ends)
        self.reports = Reports(self.config.report_delay, self.config.report_delay / 2)
        self.errors = ErrorLog(ends.errors, self.config, self._entries)
        self.watchdog = LockWatchdog(lambda: _core.lock_owner(region), self.is_spared, self.say, self.config.watch,
                                     self.is_ours)
        self.next_look = 0.0
        self.rung = False  # whether the doorbell was claimed at the last check
        self.poll = select.epoll()
        self.streams = Streams(setting, self.terminals, self.poll)
        self.handlers: dict[int, Callable[[], None]] = {
            ends.link.fileno(): self.on_order, ends.reports.fileno(): self.errors.take}
        for fd in self.handlers:
            self.poll.register(fd, select.EPOLLIN)
        for pid, source in ends.streams.items():
            self.streams.open(pid, source)
        self.spool = Spool(region, self.config.trace_bytes, self.config.trace_pause)
        own: dict[str, Answer] = {"errors": self.errors.answer, "logs": self.streams.written, "report": self.errors.add_reports,
                                  "traces": _traces(region, self.spool)}
        if "status" in answers:
            own["status"] = lambda: {**answers["status"](), "errors": self.errors.statistics()["added"]}
        self.copier = self._copier(answers)
        questions = QuestionServer(ends.listener, {**answers, **own}, self.may_ask)
        self._to_start: list[Callable[[], None]] = [questions.start, self.spool.start]
        self._to_start += [self.copier.start] if self.copier else []
        self.start_threads()

    def _copier(self, answers: dict[str, Answer]) -> StorePublisher | ErrorForwarder | None:
        """What copies errors to where others see them: the control store, or an attached driver's host."""
        setting = self.setting
        copier: StorePublisher | ErrorForwarder | None = None
        if setting.attachment:
            copier = ErrorForwarder(setting.attachment.session_dir, setting.driver_pid, self.config, self.errors)
        elif setting.store.binaries:
            copier = StorePublisher(setting, answers["tables"], self.errors)
        if copier:
            self.errors.on_new = copier.wake
        return copier

    def run(self) -> None:
        """Works until the node orders the end, or is gone."""
        while self.ends.link.fileno() >= 0:
            for fd, _ in self.poll.poll(self.patience()):
                if fd in self.handlers:
                    self.handlers[fd]()
                else:
                    self.streams.read(fd)
            now = time.monotonic()
            self.streams.flush(now)
            self.show(now)
            if now >= self.next_look:
                self.next_look = now + self.watchdog.look()
                self.repair_bell()
                self.start_threads()
        self.finish()

    def start_threads(self) -> None:
        """Starts what has a thread of its own; if the machine refuses one now, output goes on, and it is tried again."""
        with contextlib.suppress(RuntimeError):
            while self._to_start:
                self._to_start[0]()
                del self._to_start[0]

    def repair_bell(self) -> None:
        """Rings the doorbell for a process that claimed it and was stopped before it rang: no other process would ring."""
        rung = _core.is_bell_rung(self.region)
        if rung and self.rung:
            os.eventfd_write(self.ends.bell, 1)
        self.rung = rung

    def is_ours(self, pid: int) -> bool:
        """Whether a process belongs to this job; the host looks after all."""
        its = _core.job_processes(self.region, self.region.job)
        return self.setting.attachment is None or any(one[1] == pid for one in its)

    def may_ask(self, uid: int, question: dict[str, Any]) -> bool:
        """Whether a user may ask this: another one only sends errors of a driver of his that has attached."""
        if uid in (0, os.getuid()):
            return True
        driver = question.get("driver")
        drivers = [pid for _, pid, role, *_ in _core.process_rows(self.region) if role == _core.DRIVER]
        return question.get("ask") == "report" and driver in drivers and owner_of(driver) == uid

    def is_spared(self, pid: int) -> bool:
        """Whether a process is a driver or a node."""
        return any(one == pid and role in (_core.DRIVER, _core.NODE) for _, one, role, *_ in _core.process_rows(self.region))

    def say(self, text: str) -> None:
        """Shows a line on the driver's stderr."""
        self.terminals[1].write(f"ray_lite: {text}\n".encode(), self)

    def patience(self) -> float:
        """Seconds until the next work that needs no event."""
        when = self.reports.when()
        times = [self.next_look, math.inf if when is None else when, self.streams.due()]
        return max(0.0, min(times) - time.monotonic())

    def on_order(self) -> None:
        """Carries out an order of the node: read a new worker's streams, tell a dead worker's last words, or end."""
        try:
            message, fds, _, _ = socket.recv_fds(self.ends.link, MESSAGE_MOST, 2)
        except ConnectionResetError:  # the node died before it read an answer
            message, fds = b"", []
        if fds:
            pid, label = pickle.loads(message)
            self.streams.open(pid, Source(label, (fds[0], fds[1])))
        elif message and message != END:
            self.tell(pickle.loads(message))
        else:
            self.poll.unregister(self.ends.link.fileno())
            self.ends.link.close()

    def tell(self, pid: int) -> None:
        """Sends a dead worker's last words to the node."""
        try:
            self.ends.link.send(pickle.dumps((pid, self.streams.take_last_words(pid))))
        except OSError:
            pass  # the node is gone: the end of the link is the next event

    def _entries(self) -> Iterator[Entry]:
        """Yields the reports that have arrived as entries of the table of errors, and lets them be shown."""
        while True:
            try:
                message = self.ends.reports.recv(MESSAGE_MOST)
            except BlockingIOError:
                return
            report = Report(*pickle.loads(message))
            if self.setting.driver_mode == SCRIPT_MODE:
                self.reports.add(report, time.monotonic())
            data: dict[str, Any] = {"function_name": report.name} if report.name else {}
            if self.setting.redis_address is None:
                data["kept_in"] = "memory"  # there is no control store that would have it
            yield Entry(report.kind, report.text, {**data, **(report.data or {})}, time.time())

    def show(self, now: float) -> None:
        """Shows the failures that are due by `now`."""
        when = self.reports.when()
        if when is not None and when <= now:
            text = self.reports.due(now, lambda serial: _core.was_raised(self.region, serial))
            self.terminals[1].write(text.encode(errors="replace"), self)

    def finish(self) -> None:
        """Shows the rest of the output, whose writers have all ended, and the failures that still wait."""
        self.errors.take()
        if isinstance(self.copier, ErrorForwarder):
            self.copier.finish()
        self.streams.finish()
        self.show(math.inf)
        for terminal in self.terminals:
            terminal.drain(self.config.drain)
