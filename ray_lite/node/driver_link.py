"""DriverLink: the node's connection with its driver, by which it receives the setting, and learns of an order or of a death.

A socket carries the driver's orders, and its end tells that all who had the driver's end are gone.  A pidfd tells of the
driver's death also while a child of the driver still has the socket.  The node of a shared session has a link only until it is
ready, with the command that starts it.  Neighbours: spawn_node.py made the socket; supervisor.py waits for both descriptors.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket

from ray_lite.node.spawn_node import READY, REFUSED, SHUTDOWN, receive_setting
from ray_lite.session_setting import SessionSetting
from ray_lite.system.polling import readable

STDERR = 2


class DriverLink:
    """The connection with the driver, until `close`.

    Args:
        fd: the node's end of the socketpair.
    """

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._pidfd = -1
        self.pid = 0  #: of the driver

    def receive(self) -> tuple[SessionSetting, list[int]]:
        """Receives the setting and the session's files; raises SystemExit if the driver has ended meanwhile."""
        received = receive_setting(self._socket)
        if received is None:
            raise SystemExit(0)
        self.pid = received[0].driver_pid
        try:
            self._pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            raise SystemExit(0) from None
        return received

    def close_others(self, files: list[int]) -> None:
        """Closes what the process has inherited from whoever started the command, such as a lock or a pipe.

        Args:
            files: the session's.
        """
        for fd in map(int, os.listdir("/proc/self/fd")):
            if fd > STDERR and fd not in (*files, *self.descriptors()):
                with contextlib.suppress(OSError):  # it was that of the listing
                    os.close(fd)

    def descriptors(self) -> tuple[int, ...]:
        """Both descriptors; either becomes readable with the driver's order to end, or its death. None after `let_go`."""
        return () if self._pidfd < 0 else (self._socket.fileno(), self._pidfd)

    def is_gone(self) -> bool:
        """Whether the driver has ended, or wants the end, already."""
        return any(readable(fd, 0) for fd in self.descriptors())

    def tell_ready(self) -> bool:
        """Tells the driver that workers can start; False if it has ended."""
        try:
            self._socket.sendall(READY)
        except OSError:
            return False
        return True

    def tell_refused(self, error: str, text: str) -> None:
        """Tells the driver that the session can't begin: what `init` is to raise."""
        import json  # 2 ms, which no other start needs

        with contextlib.suppress(OSError):  # it has ended
            self._socket.sendall(REFUSED + json.dumps([error, text]).encode())
            self._socket.shutdown(socket.SHUT_WR)  # a child of an import may have it, too

    def asked_to_end(self, fd: int) -> bool:
        """Whether the readable `fd` brings the driver's order to end; otherwise the driver has ended."""
        if fd != self._socket.fileno():
            return False
        try:
            return self._socket.recv(len(SHUTDOWN)) == SHUTDOWN
        except ConnectionResetError:  # the driver ended, and had not read the socket empty
            return False

    def let_go(self, poll: select.epoll) -> None:
        """Forgets whoever started the node, and its directory: from now on both may go, and the node stays.

        Args:
            poll: has the descriptors.
        """
        for fd in self.descriptors():
            poll.unregister(fd)
        os.chdir("/")
        self.close()
        os.close(self._pidfd)
        self._pidfd = -1

    def close(self) -> None:
        """Closes the socket: the driver sees that the node has ended."""
        self._socket.close()
