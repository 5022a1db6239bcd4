"""ControlStarter: the node's side of its control process, which starts with the first worker and again after each death.

The node keeps its own copies of all descriptors, so that a new control process continues where a killed one stopped, and no
process that writes output notices.  Neighbours: node/supervisor.py owns the starter; process.py is what the child does.
"""

from __future__ import annotations

import math
import os
import pickle
import signal
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from ray_lite import _core
from ray_lite.control import report_channel
from ray_lite.control.ends import END, MESSAGE_MOST, NODE, Ends, Source
from ray_lite.control.listener import listen
from ray_lite.control.pipes import make_pipes, write_into
from ray_lite.control.stack_dumps import StackDumps
from ray_lite.session_setting import SessionSetting
from ray_lite.system.polling import readable
from ray_lite.system.session_dir import session_log


def _terminal(setting: SessionSetting) -> tuple[int, int]:
    """Where what a user is to see at once goes: to the driver's terminal, or to a file of a shared session, which has none."""
    if setting.sharing is None:
        return os.dup(1), os.dup(2)
    fd = os.open(session_log(setting.session_dir), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    return fd, os.dup(fd)


def _memory_file(name: str) -> int:
    return os.memfd_create(name, os.MFD_CLOEXEC)


class ControlStarter:
    """The control process as the node starts, asks and ends it.

    `sender` is the socket on which failures are reported.

    Args:
        dumps: pipe for the stacks of processes.
        answers: returns, in the control process, what it answers to questions about the session, by name.
    """

    def __init__(self, region: _core.Region, setting: SessionSetting, bell: int, dumps: StackDumps,
                 answers: Callable[[], dict[str, Any]]) -> None:
        self.region, self.setting, self.config, self.bell = region, setting, setting.config, bell
        self.dumps, self.answers = dumps, answers
        self.terminal = _terminal(setting)
        self.listener = listen(setting.session_dir, group=setting.sharing.group if setting.sharing else -1)
        self.reports, self.sender = report_channel.channel(self.config.report_patience)
        self.errors = _memory_file("ray_lite_errors"), _memory_file("ray_lite_errors")
        self.streams: dict[int, Source] = {}  # by pid
        self.link: socket.socket | None = None
        self.pid = 0
        self.pidfd = -1
        self.started = -math.inf

    def redirect_node(self) -> None:
        """Redirects the node's own output to the control process, which writes it into files."""
        reads, writes = make_pipes()
        self.streams[NODE] = Source("", reads)
        write_into(writes)

    def fork(self, label: str = "") -> int:
        """Forks a child whose stdout and stderr go to the control process; returns its pid, or 0 in the child.

        Args:
            label: the class of the actor whose process it is, or "".

        Raises:
            OSError: the kernel refused a process or descriptor.
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
        self._add_streams(pid, Source(label, reads))
        return pid

    def due_in(self) -> float | None:
        """Seconds until the control process must start, with Config.control_restart between two starts; None while it runs."""
        return None if self.link is not None else max(0.0, self.started + self.config.control_restart - time.monotonic())

    def start(self, private: Iterable[int]) -> None:
        """Forks the control process.

        Args:
            private: descriptors of the node that the control process must not have.

        Raises:
            OSError: the kernel refused a process or descriptor; the start is due again later, and no output is lost until then.
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
        """Runs the control process in the child, and ends it without the node's exit handlers."""
        code = 1
        try:
            for fd in private:
                os.close(fd)
            ends = Ends(link, self.reports, self.terminal, self.bell, self.listener, self.errors, self.streams)
            from ray_lite.control.process import ControlProcess  # here: the node and the workers need none of it

            ControlProcess(self.region, self.setting, ends, self.answers()).run()
            code = 0
        except BaseException:  # nobody reads the node's own output now; a new control process continues
            import traceback

            os.write(self.terminal[1], traceback.format_exc().encode())
        finally:
            os._exit(code)

    def _add_streams(self, pid: int, source: Source) -> None:
        self.streams[pid] = source
        if self.link is not None:
            try:
                socket.send_fds(self.link, [pickle.dumps((pid, source.label))], source.fds)
            except OSError:  # the process is dead or stuck: the next one inherits the streams
                os.kill(self.pid, signal.SIGKILL)

    def answers_on(self) -> int:
        """The descriptor on which the control process answers, or -1."""
        return -1 if self.link is None else self.link.fileno()

    def ask(self, pid: int) -> bool:
        """Asks for a dead worker's last words, for `answer` to return later; whether there will be an answer."""
        try:
            return self.link is not None and self.link.send(pickle.dumps(pid)) > 0
        except OSError:
            return False

    def answer(self) -> tuple[int, str] | None:
        """(pid, last words) of the next answer, or None."""
        try:
            message = self.link.recv(MESSAGE_MOST) if self.link is not None else b""
        except OSError:
            message = b""
        return pickle.loads(message) if message else None

    def forget(self, pid: int) -> None:
        """Closes the node's ends of a dead worker's streams; the control process still reads its pipes to their ends."""
        for fd in self.streams.pop(pid).fds:
            os.close(fd)

    def reap(self) -> None:
        """Reaps the control process after its death."""
        os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        if self.link is not None:
            self.link.close()
        self.link, self.pidfd = None, -1

    def end(self) -> None:
        """Ends the control process after it has written the output on its way."""
        if self.link is None:
            return
        try:
            self.link.send(END)
        except OSError:
            pass  # the process is stuck, and killed below
        if not readable(self.pidfd, self.config.drain):
            os.kill(self.pid, signal.SIGKILL)
        self.reap()

    def descriptors(self) -> list[int]:
        """Descriptors of this handle that a worker must not have; a worker may have the sender of reports."""
        streams = (fd for source in self.streams.values() for fd in source.fds)
        sockets = [one.fileno() for one in (self.listener, self.reports, self.link) if one is not None]
        own = [*self.terminal, *sockets, *self.errors, self.dumps.read_end, self.pidfd, self.setting.log_fd, *streams]
        return [fd for fd in own if fd >= 0]
