"""The address of a running session, as `init(redis_address=...)` gets it: which directory on this machine it means.

Neighbours: attach.py connects there; system/session_dir.py knows the directories.  Must not look anything up in a DNS, nor send
anything to anybody: the address may be that of another program's server.
"""

from __future__ import annotations

import ipaddress
import os
import socket

from ray_lite.exceptions import RaySystemError
from ray_lite.system import session_dir

UNIX = "unix:"
HERE = ("localhost", "")  # names of this machine besides its host name


def directory_of(address: str) -> str:
    """The directory of the session at an address: "host:port", a path in the directory or its own, or "unix:" and such a path.

    Raises:
        ValueError: that is no address, or one of another machine.
        RaySystemError: there is no such session on this machine.
    """
    if address.startswith("/") or address.startswith(UNIX):
        path = os.path.realpath(address.removeprefix(UNIX))
        directory = path if os.path.isdir(path) else os.path.dirname(path)
    else:
        directory = _at_port(_port(address))
    if not os.path.isdir(directory):
        raise RaySystemError(f"no session of this user runs at {address!r}: it has ended, or there never was one")
    return directory


def _at_port(port: int) -> str:
    """The directory of the shared session with a port: this user's, else the only one that another user has."""
    path = session_dir.own_at(port)
    if path:
        return path
    others = session_dir.others_at(port)
    if len(others) > 1:
        raise RaySystemError(f"several users have a session at port {port}; give the directory of one as the address: {others}")
    return others[0] if others else session_dir.shared_path(port)


def _port(address: str) -> int:
    """The port of an address on this machine."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise ValueError(f"redis_address={address!r} is no address: expected \"host:port\", or the path of a session's socket")
    if not _is_here(host):
        raise ValueError(f"redis_address={address!r}: {host} is not this machine, and a session of ray_lite is on one machine; "
                         "to use several, take a Ray cluster")
    return int(port)


def _is_here(host: str) -> bool:
    """Whether a host is this machine: by its name, or by an address to which a socket can be bound."""
    if host in (*HERE, socket.gethostname()):
        return True
    try:
        number = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    with socket.socket(socket.AF_INET6 if number.version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:  # noqa: PLR2004
        try:
            probe.bind((str(number), 0))
        except OSError:
            return False
    return True
