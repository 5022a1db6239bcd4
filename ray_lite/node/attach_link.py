"""The socket by which a driver attaches to a running session and stays attached: its messages, and what each end checks.

    driver -> host   Challenge, if it has a password; the host answers with a Challenge that has its proof
    driver -> host   Hello, with pidfds of the driver and of its node, and the node's doorbell
    host -> driver   Welcome, with the region's files and the host's doorbell; or a refusal, one sentence
    anybody -> host  Stop: the session is to end; the host answers with what it ends

Messages are JSON, one each.  The connection's end says that the driver uses the region no more.  Neighbours:
attach_listener.py is the host's end, driver/attach.py the driver's, driver/stop.py sends a Stop.  Must not unpickle anything.
"""

import os
import socket
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from ray_lite.config import __version__
from ray_lite.node.password_proof import is_nonce
from ray_lite.system.process import namespaces, parent_of

SOCKET = "attach.sock"  #: its name in the session's directory
MESSAGE_MOST = 1 << 16  # bytes
GRACE_MOST = 1e6  # seconds
HELLO_FDS = 3
WELCOME_FDS = 5  # without a spill file one less, and in a session that is not shared, without a log


class Challenge(NamedTuple):
    """What an end asks the other to prove that it knows the password (password_proof.py)."""

    nonce: str
    proof: str = ""  #: of the end that sends this; "": the other's number is not known yet


class Hello(NamedTuple):
    """What a driver says of itself."""

    pid: int
    version: str
    python: str
    namespaces: list[int]
    seed: int | None  #: its object_id_seed
    directory: str  #: that its node makes
    proof: str  #: that it knows the password; "": it gives none


class Stop(NamedTuple):
    """An order to end the session."""

    grace: float  #: seconds that running tasks get


class Stopping(NamedTuple):
    """What a session that ends has had."""

    drivers: list[int]  #: pids
    workers: int  #: workers and actors' processes


class Welcome(NamedTuple):
    """What the host tells a driver of the session, and of its job."""

    job: int
    slot: int
    config: dict[str, Any]
    resources: list[Any]
    spills: bool
    redis_address: str | None
    session_dir: str
    is_shared: bool
    defaults: list[Any]  #: a JobDefaults


KINDS: dict[str, tuple[type, ...]] = {
    "pid": (int,), "version": (str,), "python": (str,), "namespaces": (list,), "seed": (int, type(None)), "directory": (str,),
    "proof": (str,),
}


def said(message: dict[str, Any]) -> Hello | None:
    """The Hello that a message is; None: it is none."""
    if set(message) != set(KINDS) or not all(isinstance(message[name], kind) for name, kind in KINDS.items()):
        return None
    found = Hello(**message)
    return found if [type(inode) for inode in found.namespaces] == [int] * len(namespaces()) else None


def challenge_in(message: dict[str, Any]) -> Challenge | None:
    """The Challenge that a message is; None: it is none."""
    texts = [message.get(name) for name in Challenge._fields]
    if len(message) != len(texts) or not all(isinstance(text, str) for text in texts) or not is_nonce(message["nonce"]):
        return None
    return Challenge(**message)


def stop_in(message: dict[str, Any]) -> Stop | None:
    """The Stop that a message is; None: it is none."""
    grace: Any = message.get("grace")
    is_one = set(message) == {"grace"} and type(grace) in (int, float) and 0 <= grace < GRACE_MOST
    return Stop(grace) if is_one else None


def are_ends(fds: list[int], pid: int) -> bool:
    """Whether the descriptors of a Hello are what they should be: pidfds of the driver and of a child, and an eventfd.

    Args:
        pid: what the kernel says of the driver.
    """
    if len(fds) != HELLO_FDS or _pid_of(fds[0]) != pid or not _is_eventfd(fds[2]):
        return False
    node = _pid_of(fds[1])
    return node not in (0, os.getpid()) and parent_of(node) == pid


def _pid_of(fd: int) -> int:
    """The process of a pidfd; 0: it is none, or that process has been reaped."""
    with open(f"/proc/self/fdinfo/{fd}") as file:
        pids = [line.split()[1] for line in file if line.startswith("Pid:")]
    return max(0, int(pids[0])) if pids else 0


def _is_eventfd(fd: int) -> bool:
    return os.readlink(f"/proc/self/fd/{fd}") == "anon_inode:[eventfd]"


def hello(seed: int | None, directory: str, proof: str) -> Hello:
    """This process's Hello."""
    return Hello(os.getpid(), __version__, python(), list(namespaces()), seed, directory, proof)


def python() -> str:
    """The version of Python that both ends must have: what one pickles, the other loads."""
    return ".".join(map(str, sys.version_info[:2]))


def why_not(message: Hello, pid: int) -> str:
    """Why a driver is refused, in a sentence; "": it is not.

    Args:
        pid: what the kernel says of the process at the other end.
    """
    if message.version != __version__:
        return f"the session runs ray_lite {__version__}, and this process {message.version}: both must have the same version"
    if message.python != python():
        return f"the session runs Python {python()}, and this process {message.python}: both must have the same version"
    for kind, ours, its in zip(namespaces()._fields, namespaces(), message.namespaces, strict=True):
        if ours != its:
            return f"the session belongs to another {kind} namespace (container), which sessions don't cross"
    if message.pid != pid:
        return "the session does not see this process under its own number"
    return ""


def send(connection: socket.socket, message: Challenge | Hello | Welcome | Stop | Stopping, fds: Sequence[int] = ()) -> None:
    """Sends a message with its descriptors."""
    import json  # here and below: 2 ms of each node's start, which only attaching needs

    socket.send_fds(connection, [json.dumps(message._asdict()).encode()], fds)


def refuse(connection: socket.socket, why: str) -> None:
    """Sends a refusal."""
    import json

    connection.send(json.dumps({"refused": why}).encode())


def receive(connection: socket.socket, fds: int) -> tuple[dict[str, Any], list[int]]:
    """The next message and its descriptors, at most `fds`; ({}, []): the other end is gone, or said what makes no sense."""
    import json

    data, received, _, _ = socket.recv_fds(connection, MESSAGE_MOST, fds)
    for fd in received:
        os.set_inheritable(fd, False)  # `recv_fds` passes no flags on
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        message = {}
    return message if isinstance(message, dict) else {}, list(received)

