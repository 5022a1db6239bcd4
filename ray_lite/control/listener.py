"""Listening sockets of a session, in its directory: the one on which it is asked, and that of drivers that attach.

Neighbours: control_starter.py makes the first, questions.py answers, ask.py asks; node/jobs.py makes the other.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator

SOCKET = "control.sock"  #: its name in the session's directory
ADDRESS_MOST = 107  # bytes of the address of a socket
BACKLOG = 1_024  # connections that wait to be accepted
END = b"\n"  # of a question, and of an answer: without it whoever answered has died
PEER = struct.Struct("iII")  # struct ucred: pid, uid, gid


def listen(directory: str, name: str = SOCKET, kind: int = socket.SOCK_STREAM, group: int = -1) -> socket.socket:
    """A listening socket of a session, in its directory.

    Args:
        group: id of the group whose members may connect; -1: only this user may.

    Raises:
        OSError: there is no such directory, or no socket can be made in it.
    """
    listener = socket.socket(socket.AF_UNIX, kind)
    try:
        path = os.path.join(directory, name)
        if len(os.fsencode(path)) <= ADDRESS_MOST:
            listener.bind(path)  # under this name /proc/net/unix lists it
        else:
            with reached(directory) as place:
                listener.bind(f"{place}/{name}")
        os.chmod(path, 0o600 if group < 0 else 0o660)
        if group >= 0:
            os.chown(path, -1, group)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


@contextlib.contextmanager
def reached(directory: str) -> Iterator[str]:
    """A name of a directory that is short enough for the address of a socket, which has 107 bytes."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)


def peer(connection: socket.socket) -> tuple[int, int]:
    """(pid, uid) of the process at the other end, when it connected or began to listen."""
    pid, uid, _ = PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size))
    return pid, uid
