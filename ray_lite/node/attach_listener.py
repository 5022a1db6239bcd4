"""AttachListener: the host's end of attach.sock, until somebody has said what he wants: to attach, or the session's end.

    a connection --[Challenge <-> Challenge]--> Hello: a job is opened      or Stop: the session ends

Nobody can make the host wait: a connection that says nothing is forgotten.  Neighbours: attach_link.py (messages), jobs.py
(opens jobs); host.py owns the listener.
"""

from __future__ import annotations

import math
import os
import select
import socket
import time
from collections.abc import Callable
from typing import Any

from ray_lite import _core
from ray_lite.control.listener import listen, peer
from ray_lite.node import attach_link, password_proof
from ray_lite.node.attach_link import HELLO_FDS, Challenge, Hello, Stop, Stopping
from ray_lite.node.password_proof import Ends
from ray_lite.session_setting import SessionSetting, Sharing

HALF_OPEN_MOST, STRANGERS_MOST = 32, 8  # connections that have not said hello yet, in all and of other users
SHORTAGE = 0.1  # seconds before the next connection is accepted, when no descriptor or memory is left
Open = Callable[[socket.socket, Hello, list[int]], str]


class HalfOpen:
    """A connection that has not said hello yet.

    Args:
        until: when it must have.
    """

    def __init__(self, connection: socket.socket, until: float) -> None:
        self.connection, self.until = connection, until
        self.ends: Ends | None = None  #: what proofs are about, if it wants to give a password


class AttachListener:
    """The listener of one session.

    Args:
        open_job: opens a job for a driver and welcomes it; returns why it can't, or "".
    """

    def __init__(self, region: _core.Region, setting: SessionSetting, poll: select.epoll, open_job: Open) -> None:
        self.region, self.config, self.poll, self.open_job = region, setting.config, poll, open_job
        self.stop: Stop | None = None  #: the newest order to end the session
        self.ends = False  #: whether it ends: nobody attaches any more
        self._sharing = setting.sharing or Sharing("")
        self._half_open: dict[int, HalfOpen] = {}  # by descriptor
        self._again = math.inf  # when connections are accepted again, after a shortage
        self._listener = listen(setting.session_dir, attach_link.SOCKET, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK,
                                self._sharing.group)
        poll.register(self._listener.fileno(), select.EPOLLIN)

    def fds(self) -> list[int]:
        """Descriptors that no child of the host may have."""
        return [self._listener.fileno(), *self._half_open]

    def on_event(self, fd: int) -> bool:
        """Handles a readable descriptor; False: it is none of the listener's."""
        if fd == self._listener.fileno():
            self._accept()
        elif fd in self._half_open:
            self._take(fd)
        else:
            return False
        return True

    def step(self) -> None:
        """Forgets who does not say hello."""
        now = time.monotonic()
        for fd, one in list(self._half_open.items()):
            if now >= one.until:
                self._forget(fd)
                one.connection.close()
        if now >= self._again:
            self._again = math.inf
            self.poll.register(self._listener.fileno(), select.EPOLLIN)

    def patience(self) -> float:
        """Seconds until the next step; infinite: nothing is due."""
        return max(0.0, min([self._again, *(one.until for one in self._half_open.values())]) - time.monotonic())

    def close(self) -> None:
        """Takes no more connections."""
        for fd, one in list(self._half_open.items()):
            self._forget(fd)
            one.connection.close()
        if self._again == math.inf:
            self.poll.unregister(self._listener.fileno())
        self._listener.close()

    def _watch(self, one: HalfOpen) -> None:
        self._half_open[one.connection.fileno()] = one
        self.poll.register(one.connection.fileno(), select.EPOLLIN)

    def _forget(self, fd: int) -> HalfOpen:
        self.poll.unregister(fd)
        return self._half_open.pop(fd)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return  # it is gone already
        except OSError:  # a shortage, which would make this an endless loop
            self._pause(SHORTAGE)
            return
        if peer(connection)[1] not in (0, os.getuid()) and self._strangers() >= STRANGERS_MOST:
            connection.close()
            return
        connection.setblocking(False)
        self._watch(HalfOpen(connection, time.monotonic() + self.config.hello_timeout))
        if len(self._half_open) >= HALF_OPEN_MOST:
            self._pause(SHORTAGE)  # whoever connects now waits

    def _pause(self, seconds: float) -> None:
        """Accepts no connection for a while."""
        self.poll.unregister(self._listener.fileno())
        self._again = time.monotonic() + seconds

    def _strangers(self) -> int:
        """How many connections there are of other users, of which none may keep this one out."""
        return sum(peer(one.connection)[1] not in (0, os.getuid()) for one in self._half_open.values())

    def _take(self, fd: int) -> None:
        """Takes the next message of a connection."""
        one = self._forget(fd)
        fds: list[int] = []
        goes_on = False
        try:
            message, fds = attach_link.receive(one.connection, HELLO_FDS)
            goes_on = self._answer(one, message, fds)
        except (OSError, ValueError):
            pass  # it is gone, or what it says can't be meant
        if not goes_on:
            one.connection.close()
            for unused in fds:
                os.close(unused)

    def _answer(self, one: HalfOpen, message: dict[str, Any], fds: list[int]) -> bool:
        """Answers a message; whether the connection goes on."""
        pid, uid = peer(one.connection)
        hello, stop, challenge = attach_link.said(message), attach_link.stop_in(message), attach_link.challenge_in(message)
        if stop is not None and uid in (os.getuid(), 0):
            self.stop = stop
            attach_link.send(one.connection, _what_ends(self.region))
        elif challenge is not None and not fds and one.ends is None:
            return self._challenge(one, challenge)
        elif hello is not None and attach_link.are_ends(fds, pid):
            why = self._why_not_the_user(uid, one.ends, hello.proof) or attach_link.why_not(hello, pid)
            why = why or ("the session ends" if self.ends else self.open_job(one.connection, hello, fds))
            if not why:
                return True
            attach_link.refuse(one.connection, why)
        return False

    def _challenge(self, one: HalfOpen, challenge: Challenge) -> bool:
        """Proves that this host knows the password, and asks a driver to prove that it does; False: there is none."""
        if not self._sharing.password:
            attach_link.refuse(one.connection, "the session has no password")
            return False
        one.ends = Ends(peer(one.connection), (os.getpid(), os.getuid()), challenge.nonce, password_proof.nonce())
        ours = password_proof.proof(self._sharing.password, password_proof.HOST, one.ends)
        attach_link.send(one.connection, Challenge(one.ends.host_nonce, ours))
        self._watch(one)
        return True

    def _why_not_the_user(self, uid: int, ends: Ends | None, proof: str) -> str:
        """Why a driver's user can't attach, in a sentence; "": he can. Whoever could connect is of the group.

        Args:
            ends: if the driver wants to give a password.
        """
        proven = ends is not None and password_proof.is_proof(proof, self._sharing.password, password_proof.DRIVER, ends)
        if ends is not None and not proven:
            return "the password is wrong"
        if uid in (os.getuid(), 0) or (proven and self._sharing.group >= 0):
            return ""
        how = "; a member of its group gives its password" if self._sharing.group >= 0 else ""
        return f"the session belongs to user {os.getuid()}, and this process to user {uid}{how}"


def _what_ends(region: _core.Region) -> Stopping:
    """What a session has."""
    processes = region.processes()
    drivers = [pid for pid, role in processes if role == _core.DRIVER]
    return Stopping(drivers, sum(role in (_core.WORKER, _core.ACTOR) for _, role in processes))
