"""Stopping a session from outside: an order to its host, and what is done with a host that does not obey.

Neighbours: attach.py connects in the same way; node/jobs.py takes the order.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from typing import NamedTuple

from ray_lite.control.listener import peer
from ray_lite.driver.attach import connect
from ray_lite.exceptions import RaySystemError
from ray_lite.node import attach_link
from ray_lite.node.attach_link import Stop, Stopping
from ray_lite.system import session_dir
from ray_lite.system.polling import readable

SLACK = 3.0  # seconds that the host may need beyond the grace before it is killed


class Stopped(NamedTuple):
    """A session that has been stopped."""

    session_dir: str
    node_pid: int
    was: Stopping | None  #: what it had; None: it did not answer, and was killed


def stop(directory: str, grace: float, timeout: float) -> Stopped:
    """Ends a session of this user, with all its processes, and returns when its host has ended.

    Args:
        directory: the session's.
        grace: seconds that running tasks get.
        timeout: seconds that the host may take to answer.

    Raises:
        RaySystemError: no session is there, or it is another user's.
    """
    connection = connect(directory, timeout)
    with connection:
        node_pid, uid = peer(connection)
        if uid != os.getuid() and os.getuid() != 0:
            raise RaySystemError(f"the session in {directory} belongs to user {uid}")
        try:
            pidfd = os.pidfd_open(node_pid)
        except ProcessLookupError:
            return Stopped(directory, node_pid, None)
        try:
            was = _order(connection, grace)
            if was is None or not readable(pidfd, grace + SLACK):
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                readable(pidfd)
        finally:
            os.close(pidfd)
    session_dir.remove_stale(directory)  # a killed host leaves it
    return Stopped(directory, node_pid, was)


def _order(connection: socket.socket, grace: float) -> Stopping | None:
    """Sends the order; returns the answer, or None if there is none."""
    try:
        attach_link.send(connection, Stop(grace))
        message, _ = attach_link.receive(connection, 0)
        return Stopping(**message)
    except (OSError, TypeError):
        return None
