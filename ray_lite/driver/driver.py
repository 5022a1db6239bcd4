"""Driver: the backend of the process that called `init`; it owns the session and ends it.

Neighbours: launch.py makes it; backends/local.py does the calls.
"""

from __future__ import annotations

import os
import signal
import socket
from typing import Any, NamedTuple

from ray_lite import _core, session
from ray_lite.backends.local import LocalBackend
from ray_lite.driver.node_start import NodeStart
from ray_lite.node.spawn_node import SHUTDOWN
from ray_lite.session_setting import SessionInfo
from ray_lite.store.region_files import Files
from ray_lite.system import session_dir
from ray_lite.system.polling import readable
from ray_lite.system.process import kill_family

END_SLACK = 3.0  # seconds that the node may need beyond all graces before it is killed


class Belongings(NamedTuple):
    """What the driver owns of a session."""

    node_pid: int
    link: socket.socket  #: this process's end of the socketpair with the node
    files: Files
    grace: float  #: seconds that running tasks get at the end
    address: dict[str, Any]  #: what `init` returns, but for the node's pid


class Driver(LocalBackend):
    """The backend of the driver."""

    def __init__(self, region: _core.Region, info: SessionInfo, belongings: Belongings) -> None:
        super().__init__(region, info)
        self.node_pid, self.link = belongings.node_pid, belongings.link
        self.files, self.session_dir, self.grace = belongings.files, info.session_dir, belongings.grace
        self.address = {**belongings.address, "node_pid": self.node_pid}
        self._closed = False
        self.start: NodeStart | None = None  #: of an attached driver, until its node has answered
        self.node_pidfd = os.pidfd_open(self.node_pid)

    def look_around(self, awaited: list[_core.ObjectID] | None = None, all_of_them: bool = False) -> None:
        """Raises what must end a waiting call: that this driver's node has not started, or can't."""
        if self.start is not None and self.start.is_over():
            self.start = None

    def close(self) -> None:
        """Ends every process of the session, and removes its directory, its mapping and its files. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self.call_sites.end()
        self.serializers.end()
        self.region.retire()  # calls of other threads end now, not after the grace
        try:
            if not self.inherited:
                self._end_node()
        finally:
            self.region.close()
            self.link.close()
            self.files.close()
            os.close(self.node_pidfd)
            self.node_pidfd = -1

    def _end_node(self) -> None:
        try:
            self.link.sendall(SHUTDOWN)
        except OSError:
            pass  # the node is dead already
        try:
            bound = self.grace + self.config.actor_grace + self.config.exit_grace if self.grace else 0
            if not readable(self.node_pidfd, bound + END_SLACK):
                signal.pidfd_send_signal(self.node_pidfd, signal.SIGKILL)
        except BaseException:  # Ctrl-C: the user does not wait for the grace
            signal.pidfd_send_signal(self.node_pidfd, signal.SIGKILL)
            raise
        finally:
            if not reap(self.node_pid):
                _end_workers(self.region)
            session_dir.remove(self.session_dir)


def reap(pid: int) -> bool:
    """Reaps a child; returns whether it is known to have ended in good order."""
    try:
        return os.waitpid(pid, 0)[1] == 0
    except ChildProcessError:
        return False  # the user's own wait() reaped it, or SIGCHLD is ignored


def _end_workers(region: _core.Region) -> None:
    """Kills workers that outlived their node, because a task had blocked or ignored the parent-death signal, or had changed its
    user, after which the kernel sends none."""
    for pid, started, _ in region.workers():
        pidfd = kill_family(pid, started)
        if pidfd >= 0:
            readable(pidfd, END_SLACK)
            os.close(pidfd)


def _close_link_in_child() -> None:
    """Closes a forked child's copy of the socket: the node must see its end when the driver ends, even if the child lives."""
    backend = session.peek()
    if isinstance(backend, Driver):
        backend.link.close()
        backend.region.forget_attachment()


os.register_at_fork(after_in_child=_close_link_in_child)
