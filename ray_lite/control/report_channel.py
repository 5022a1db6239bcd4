"""Reporter: numbers failures and reports them to the control process, which keeps them and shows those that no `get` raises.

Reports go through one SEQPACKET socket whose ends the node holds.  A report that finds no room within Config.report_patience is
dropped and counted, and so are the next ones, at once, until there is room again: a stopped control process must not stop the
workers.  Neighbours: workers/task_runner.py and node/ report.
"""

from __future__ import annotations

import pickle
import socket
import struct
from typing import Any

from ray_lite import _core
from ray_lite.control.failure_reports import Report
from ray_lite.values.failures import Failure, SystemFailure, shorten

TEXT_MOST = 20_000  # most characters of a report; a message must fit into a socket's buffer


def channel(patience: float) -> tuple[socket.socket, socket.socket]:
    """(receiver, sender) of a session's reports; a send waits at most `patience` seconds for room."""
    receiver, sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    receiver.setblocking(False)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(patience))
    return receiver, sender


def _timeval(seconds: float) -> bytes:
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1e6) or 1)  # zero would mean no limit


class Reporter:
    """The sending end of the channel in one process; without a sender it does nothing."""

    def __init__(self, region: _core.Region, sender: socket.socket | None) -> None:
        self.region, self.sender = region, sender
        self.lost = 0

    def report(self, name: str, failure: Failure | SystemFailure, kind: str = "task",
               data: dict[str, Any] | None = None) -> Failure | SystemFailure:
        """Reports a failure under a new number; returns the failure with that number. `kind`, `data`: see Report."""
        if self.sender is None:
            return failure
        serial = _core.next_report_id(self.region)
        self.send(Report(serial, name, failure.text, kind, data))
        return failure._replace(report=serial)

    def note(self, text: str, kind: str = "note") -> None:
        """Reports a note to the user that is no task's failure."""
        self.send(Report(0, "", text, kind))

    def keep(self, kind: str, name: str, text: str, data: dict[str, Any] | None = None) -> None:
        """Reports what belongs into the table of errors, but not on the terminal."""
        self.send(Report(0, name, text, kind, data, is_shown=False))

    def send(self, report: Report) -> None:
        """Sends one report, with the number of reports lost before."""
        if self.sender is None:
            return
        text = shorten(report.text, TEXT_MOST)
        if self.lost:
            text = f"{text.rstrip()}\n({self.lost:,} reports of this process were lost before)"
        try:
            message = pickle.dumps(tuple(report._replace(text=text)))
            self.sender.send(message, socket.MSG_DONTWAIT if self.lost else 0)  # one wait is enough to see that nobody reads
            self.lost = 0
        except OSError:
            self.lost += 1
