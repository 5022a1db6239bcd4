"""Stopping a session from outside: an order to its host, and what is done with a host that does not obey.

Neighbours: attach.py connects in the same way; node/attach_listener.py takes the order.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from typing import NamedTuple

from ray_lite.control.listener import peer
from ray_lite.driver.attach import connect
from ray_lite.exceptions import RaySystemError
from ray_lite.node import attach_link
from ray_lite.node.attach_link import Stop, Stopping
from ray_lite.system import session_dir
from ray_lite.system.polling import readable

SLACK = 3.0  # seconds that the host may need beyond the grace before it is killed
AGAIN = 0.05  # seconds before the next try, when the host had no time for the connection


class Stopped(NamedTuple):
    """A session that has been stopped."""

    session_dir: str
    node_pid: int
    was: Stopping | None  #: what it had; None: it did not say so, since it was killed, or ended already
    killed: bool = False


def stop(directory: str, grace: float, timeout: float) -> Stopped:
    """Ends a session of this user, with all its processes, and returns when its host has ended.

    Args:
        directory: the session's.
        grace: seconds that running tasks get.
        timeout: seconds that the host may take to answer.

    Raises:
        RaySystemError: no session is there, or it is another user's.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            connection = connect(directory, timeout, foreign=os.getuid() == 0)
        except RaySystemError:  # it has just ended, or its host was killed
            session_dir.remove_stale(directory)
            if not os.path.exists(directory):
                return Stopped(directory, 0, None)
            if time.monotonic() > deadline or os.stat(directory).st_uid != os.getuid():
                raise
        else:
            with connection:
                uid = peer(connection)[1]
                if os.getuid() not in (0, uid):
                    raise RaySystemError(f"the session in {directory} belongs to user {uid}")
                stopped = _stop(connection, Stop(grace), deadline)
            if stopped is not None:
                session_dir.remove_stale(directory)  # a killed host leaves it
                return stopped._replace(session_dir=directory)
        time.sleep(AGAIN)


def _stop(connection: socket.socket, order: Stop, deadline: float) -> Stopped | None:
    """Stops the session at the other end; None: its host had no time, and the deadline has not come."""
    node_pid, _ = peer(connection)
    try:
        pidfd = os.pidfd_open(node_pid)
    except ProcessLookupError:
        return Stopped("", node_pid, None)
    try:
        was = _order(connection, order)
        if was is None and readable(pidfd, 0):
            return Stopped("", node_pid, None)
        if was is None and time.monotonic() < deadline:
            return None
        killed = was is None or not readable(pidfd, order.grace + SLACK)
        if killed:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            readable(pidfd)
        return Stopped("", node_pid, was, killed)
    finally:
        os.close(pidfd)


def _order(connection: socket.socket, order: Stop) -> Stopping | None:
    """Sends the order; returns the answer, or None if there is none."""
    try:
        attach_link.send(connection, order)
        message, _ = attach_link.receive(connection, 0)
        return Stopping(**message)
    except (OSError, TypeError):
        return None
