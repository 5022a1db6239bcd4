"""StoreServers: the servers of a session's control store, which the node starts, starts again when they die, and ends.

No task waits for them, and none fails because they are away.  Neighbours: control/store_server.py is what a child becomes;
supervisor.py owns the servers.
"""

from __future__ import annotations

import math
import os
import select
import signal
import time

from ray_lite.control.report_channel import Reporter
from ray_lite.control.store_server import NO_SERVER, become_server, log_name
from ray_lite.node.worker_process import kill_group
from ray_lite.session_setting import SessionSetting
from ray_lite.system.polling import readable

LONGEST_PAUSE = 60.0  # seconds before a server that dies again and again is started again; the first: Config.store_restart
TOLD = 3  # deaths, one soon after the other, of which the user is told
STEADY = 60.0  # seconds after which a server that has died counts as one that had worked


class Server:
    """One server: the primary, or a shard."""

    def __init__(self, number: int, due: float) -> None:
        self.number, self.due = number, due
        self.pid, self.pidfd = 0, -1
        self.started = 0.0
        self.deaths = 0  # one soon after the other
        self.pause = 0.0  # seconds before it is started again


class StoreServers:
    """The servers of one session.

    Args:
        reporter: for what a child has to say.
        poll: gets their pidfds.
    """

    def __init__(self, setting: SessionSetting, reporter: Reporter, poll: select.epoll) -> None:
        self.setting, self.reporter, self.poll = setting, reporter, poll
        due = time.monotonic() + (0 if setting.sharing else setting.config.store_delay)  # whoever starts it waits for them
        count = setting.store.shards + 1 if setting.store.binaries else 0
        self.servers = [Server(number, due) for number in range(count)]

    def pids(self) -> set[int]:
        """Pids of the servers that run."""
        return {one.pid for one in self.servers if one.pid}

    def pidfds(self) -> list[int]:
        """Their pidfds."""
        return [one.pidfd for one in self.servers if one.pid]

    def due_in(self) -> float:
        """Seconds until the next start; infinite: none is due."""
        return max(0.0, min((one.due for one in self.servers if not one.pid), default=math.inf) - time.monotonic())

    def start_due(self) -> None:
        """Starts the servers that are due."""
        for one in self.servers:
            if not one.pid and one.due <= time.monotonic():
                self._start(one)

    def _start(self, one: Server) -> None:
        one.started = time.monotonic()
        one.due = one.started + self.setting.config.store_restart
        try:
            pid = os.fork()
        except OSError:
            return
        if pid == 0:
            become_server(one.number, self.setting, self.reporter, one.deaths // TOLD)
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:  # no descriptor is left
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return
        one.pid, one.pidfd = pid, pidfd
        self.poll.register(pidfd, select.EPOLLIN)

    def on_exit(self, fd: int) -> bool:
        """Reaps a server that has ended; False: the descriptor is no server's."""
        one = next((one for one in self.servers if one.pid and one.pidfd == fd), None)
        if one is None:
            return False
        self.poll.unregister(fd)
        code, now = self._reap(one), time.monotonic()
        first = self.setting.config.store_restart
        one.pause = first if now - one.started > STEADY or not one.pause else min(2 * one.pause, LONGEST_PAUSE)
        one.due = math.inf if code == NO_SERVER else now + one.pause  # there is none that could be started, now or later
        one.deaths = 1 if now - one.started > STEADY else one.deaths + 1
        if one.deaths == TOLD and code != NO_SERVER:
            log = os.path.join(self.setting.session_dir, log_name(one.number))
            self.reporter.note(f"a server of the control store ends again and again, now with code {code}: see {log}",
                               "control_store")
        return True

    def _reap(self, one: Server) -> int:
        """Returns the exit code of a server that has ended, or minus the signal."""
        _, status = os.waitpid(one.pid, 0)
        os.close(one.pidfd)
        one.pid, one.pidfd = 0, -1
        return os.waitstatus_to_exitcode(status)

    def end(self) -> None:
        """Kills all servers: what they have is of this session only."""
        running = [one for one in self.servers if one.pid]
        for one in running:
            kill_group(one.pid)  # a child that is no server yet may have asked one for its version
        for one in running:
            readable(one.pidfd)
            self._reap(one)
