"""The socket on which a session is asked, in its directory.

Neighbours: control_starter.py makes it; questions.py answers; ask.py asks.
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


def listen(directory: str) -> socket.socket:
    """The listening socket of a session, in its directory, which only this user can enter.

    Raises:
        OSError: there is no such directory, or no socket can be made in it.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path = os.path.join(directory, SOCKET)
        if len(os.fsencode(path)) <= ADDRESS_MOST:
            listener.bind(path)  # under this name /proc/net/unix lists it
        else:
            with reached(directory) as place:
                listener.bind(f"{place}/{SOCKET}")
        os.chmod(os.path.join(directory, SOCKET), 0o600)
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


def peer_uid(connection: socket.socket) -> int:
    """The user of the process at the other end."""
    return int(PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size))[1])
