"""ControlHandle: the node's hold on its control process, which it starts with the first worker and again whenever it dies.

The node keeps its own copies of all descriptors, so that a new control process goes on where a killed one stopped and nobody
who writes notices.  Neighbours: node/supervisor.py owns it; process.py is what the child does.
"""

from __future__ import annotations

import math
import os
import pickle
import signal
import socket
import time
from collections.abc import Iterable

from ray_lite import _core
from ray_lite.config import SCRIPT_MODE
from ray_lite.control import report_channel
from ray_lite.control.pipes import make_pipes, write_into
from ray_lite.control.process import END, MESSAGE_MOST, NODE, ControlProcess, Ends
from ray_lite.session_setting import SessionSetting
from ray_lite.system.polling import readable


class ControlHandle:
    """The control process as the node sees it."""

    def __init__(self, region: _core.Region, setting: SessionSetting, bell: int) -> None:
        self.region, self.setting, self.config, self.bell = region, setting, setting.config, bell
        self.terminal = os.dup(1), os.dup(2)
        self.reports, self.reports_in = report_channel.channel(self.config.report_patience)
        self.streams: dict[int, tuple[int, int]] = {}  # pid -> read ends of its stdout and stderr
        self.link: socket.socket | None = None
        self.pid = 0
        self.pidfd = -1
        self.started = -math.inf

    @property
    def sender(self) -> socket.socket | None:
        """Where failures are reported, if the user wants to see them."""
        return self.reports_in if self.setting.driver_mode == SCRIPT_MODE else None

    def redirect_node(self) -> None:
        """Sends the node's own output into files."""
        self.streams[NODE], writes = make_pipes()
        write_into(writes)

    def fork(self) -> int:
        """Forks a child whose stdout and stderr come here; its pid, or 0 in the child.

        Raises:
            OSError: no process or descriptor to be had.
        """
        reads, writes = make_pipes()
        try:
            pid = os.fork()
        except OSError:
            for fd in (*reads, *writes):
                os.close(fd)
            raise
        if pid == 0:
            write_into(writes)
            for fd in (*reads, *self.descriptors()):
                os.close(fd)
            return 0
        for fd in writes:
            os.close(fd)
        self._add_streams(pid, reads)
        return pid

    def due_in(self) -> float | None:
        """Seconds until it has to be started, not at once if it never runs for long; None while it runs."""
        return None if self.link is not None else max(0.0, self.started + self.config.control_restart - time.monotonic())

    def start(self, private: Iterable[int]) -> None:
        """Forks the control process. `private`: descriptors of the node that it must not have.

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
            ours.close()
            self._run(theirs, private)
        theirs.close()
        try:
            self.pidfd = os.pidfd_open(self.pid)
        except OSError:
            ours.close()
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            raise
        self.link = ours

    def _run(self, link: socket.socket, private: Iterable[int]) -> None:
        """In the child: works, and ends without the node's exit handlers."""
        code = 1
        try:
            for fd in private:
                os.close(fd)
            ends = Ends(link, self.reports, self.terminal, self.bell, self.streams)
            ControlProcess(self.region, self.setting, ends).run()
            code = 0
        except BaseException:  # into the node's log: whatever it was, a new one goes on
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)

    def _add_streams(self, pid: int, streams: tuple[int, int]) -> None:
        self.streams[pid] = streams
        if self.link is not None:
            try:
                socket.send_fds(self.link, [pickle.dumps(pid)], streams)
            except OSError:  # it is dead, or stuck: the next one inherits them
                os.kill(self.pid, signal.SIGKILL)

    def answers_on(self) -> int:
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
        """Closes the streams of a worker that is dead and dealt with; the control process reads its pipes to their ends."""
        for fd in self.streams.pop(pid):
            os.close(fd)

    def reap(self) -> None:
        """Reaps the control process after its death."""
        os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        if self.link is not None:
            self.link.close()
        self.link, self.pidfd = None, -1

    def end(self) -> None:
        """Ends the control process, after it has written what is on its way."""
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
        """All of its descriptors that a worker must not have; the sender of reports it may."""
        own = [*self.terminal, self.reports.fileno(), self.pidfd, *(fd for pair in self.streams.values() for fd in pair)]
        return [fd for fd in (*own, self.link.fileno() if self.link else -1) if fd >= 0]
