"""The jobs of drivers that have attached to a session: the host opens each, rings its node, and frees what it leaves behind.

    a driver connects -> Hello -> a job and a slot are opened -> Welcome ... it is gone, or its node -> the job ends

A driver that attaches starts a node of its own, which is the parent of its workers.  The host watches both.  Neighbours:
attach_link.py (messages), job_end.py (the end); host.py owns the one `Jobs`.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import time
from collections.abc import Iterator
from typing import Any

from ray_lite import _core
from ray_lite.control.listener import listen, peer
from ray_lite.exceptions import ObjectStoreFullError
from ray_lite.node import attach_link, password_proof
from ray_lite.node.attach_link import HELLO_FDS, Challenge, Hello, Stop, Stopping, Welcome
from ray_lite.node.job_end import WATCHED, Job, JobEnds
from ray_lite.session_setting import SessionSetting, Sharing
from ray_lite.store.object_store import Store
from ray_lite.system import session_dir
from ray_lite.system.process import started_at

HALF_OPEN_MOST = 32  # connections that have not said hello yet


class HalfOpen:
    """A connection that has not said hello yet.

    Args:
        until: when it must have.
    """

    def __init__(self, connection: socket.socket, until: float) -> None:
        self.connection, self.until = connection, until
        self.nonces: tuple[str, str] | None = None  #: the driver's and ours, if it wants to give a password


class Jobs:
    """All attached jobs.

    Args:
        files: the region's control file, arena and doorbell.
    """

    def __init__(self, store: Store, setting: SessionSetting, files: tuple[int, int, int], poll: select.epoll) -> None:
        self.region, self.store, self.setting, self.files, self.poll = store.region, store, setting, files, poll
        self.jobs: dict[int, Job] = {}  #: by each watched descriptor
        self._half_open: dict[int, HalfOpen] = {}  # by descriptor
        self.ends = JobEnds(store, setting.config)
        self.stop: Stop | None = None  #: the order to end the session
        self.sharing = setting.sharing or Sharing("")
        self.listener = listen(setting.session_dir, attach_link.SOCKET, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK,
                               self.sharing.group)
        poll.register(self.listener.fileno(), select.EPOLLIN)

    def live(self) -> list[Job]:
        """The jobs that have not ended."""
        return list({id(job): job for job in self.jobs.values()}.values())

    def fds(self) -> list[int]:
        """Descriptors that no child of the host may have."""
        return [self.listener.fileno(), *self._half_open, *(fd for job in self.live() for fd in job.fds())]

    def on_event(self, fd: int) -> bool:
        """Handles a readable descriptor; False: it is none of an attached job."""
        if fd == self.listener.fileno():
            self._accept()
        elif fd in self._half_open:
            self._greet(fd)
        elif fd in self.jobs:
            self._on_end(fd)
        else:
            return False
        return True

    def ring(self) -> None:
        """Rings the nodes for which processes of other jobs have found work."""
        for number in _core.take_rung_jobs(self.region):
            for job in self.live():
                if job.number == number:
                    with contextlib.suppress(OSError):  # it is full: its node is awake
                        os.eventfd_write(job.bell, 1)

    # --- attaching ---

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it is gone already, or there are too many descriptors
            connection, _ = self.listener.accept()
            if len(self._half_open) >= HALF_OPEN_MOST:
                connection.close()
                return
            connection.setblocking(False)
            self.poll.register(connection.fileno(), select.EPOLLIN)
            self._half_open[connection.fileno()] = HalfOpen(connection, time.monotonic() + self.setting.config.hello_timeout)

    def _greet(self, fd: int) -> None:
        """Takes the next message of a connection that has not said hello yet."""
        one = self._half_open.pop(fd)
        self.poll.unregister(fd)
        fds: list[int] = []
        goes_on = False
        try:
            message, fds = attach_link.receive(one.connection, HELLO_FDS)
            goes_on = self._answer(one, message, fds)
        except OSError:
            pass  # it is gone
        if not goes_on:
            one.connection.close()
            for unused in fds:
                os.close(unused)

    def _answer(self, one: HalfOpen, message: dict[str, Any], fds: list[int]) -> bool:
        """Answers a message; whether the connection goes on."""
        pid, uid = peer(one.connection)
        hello, stop, challenge = attach_link.said(message), attach_link.stop_in(message), attach_link.challenge_in(message)
        if stop is not None and uid in (os.getuid(), 0):
            self._take(stop, one.connection)
        elif challenge is not None and not fds and one.nonces is None:
            return self._challenge(one, challenge)
        elif hello is not None and attach_link.are_ends(fds, pid):
            why = self._why_not_the_user(uid, one.nonces, hello.proof) or attach_link.why_not(hello, pid)
            why = why or self._why_not_the_seed(hello.seed)
            if not why:
                return self._welcome(one.connection, hello, fds)
            attach_link.refuse(one.connection, why)
        return False

    def _challenge(self, one: HalfOpen, challenge: Challenge) -> bool:
        """Proves that this host knows the password, and asks a driver to prove that it does; False: there is none."""
        if not self.sharing.password:
            attach_link.refuse(one.connection, "the session has no password")
            return False
        one.nonces = challenge.nonce, password_proof.nonce()
        ours = password_proof.proof(self.sharing.password, password_proof.HOST, one.nonces)
        attach_link.send(one.connection, Challenge(one.nonces[1], ours))
        self._half_open[one.connection.fileno()] = one
        self.poll.register(one.connection.fileno(), select.EPOLLIN)
        return True

    def _why_not_the_user(self, uid: int, nonces: tuple[str, str] | None, proof: str) -> str:
        """Why a driver's user can't attach, in a sentence; "": he can. Of the group is who could connect.

        Args:
            nonces: if the driver wants to give a password.
        """
        proven = nonces is not None and password_proof.is_proof(proof, self.sharing.password, password_proof.DRIVER, nonces)
        if nonces is not None and not proven:
            return "the password is wrong"
        if uid in (os.getuid(), 0) or (proven and self.sharing.group >= 0):
            return ""
        how = "; a member of its group gives its password" if self.sharing.group >= 0 else ""
        return f"the session belongs to user {os.getuid()}, and this process to user {uid}{how}"

    def _take(self, stop: Stop, connection: socket.socket) -> None:
        """Takes the order to end the session."""
        self.stop = stop
        workers = [pid for pid, role in self.region.processes() if role in (_core.WORKER, _core.ACTOR)]
        drivers = [pid for pid, role in self.region.processes() if role == _core.DRIVER]
        attach_link.send(connection, Stopping(drivers, len(workers)))

    def _welcome(self, connection: socket.socket, hello: Hello, fds: list[int]) -> bool:
        """Opens a job, if there is room for one; whether there was. Raises OSError if the driver is gone."""
        started = started_at(hello.pid)
        try:
            self.ends.prepare()
            number = _core.open_job(self.region)
        except ObjectStoreFullError:
            attach_link.refuse(connection, "the session has as many drivers as it can have")
            return False
        try:
            slot = _core.open_driver(self.region, number, hello.pid, started)
        except ObjectStoreFullError:
            _core.begin_drop(self.region, number)
            _core.free_job(self.region, number)
            attach_link.refuse(connection, "the session has as many processes as it can have")
            return False
        job = Job(number, connection, fds, hello)
        os.set_blocking(job.bell, False)  # nobody can make the host wait
        for fd in job.fds()[:WATCHED]:
            self.jobs[fd] = job
            self.poll.register(fd, select.EPOLLIN)
        control, arena, bell = self.files
        spill = self.setting.info.spill_fd
        setting = self.setting
        welcome = Welcome(number, slot, setting.config._asdict(), list(setting.info.resources), spill >= 0,
                          setting.redis_address, setting.session_dir, setting.sharing is not None,
                          list(setting.defaults))
        with contextlib.suppress(OSError):  # it is gone: its pidfd says so
            attach_link.send(connection, welcome, [control, arena, bell, *([spill] if spill >= 0 else [])])
        return True

    def _why_not_the_seed(self, seed: int | None) -> str:
        """Why a driver can't have a seed, in a sentence; "": it can."""
        seeds = [self.setting.object_id_seed, *(job.hello.seed for job in self.live())]
        if seed is None or seed not in seeds:
            return ""
        return f"another driver of the session has object_id_seed={seed} now, and two would give the same ids"

    # --- the end ---

    def begin_end(self) -> None:
        """Ends all jobs, whose nodes end then, and takes no more."""
        for fd, one in self._half_open.items():
            self.poll.unregister(fd)
            one.connection.close()
        self._half_open.clear()
        self.poll.unregister(self.listener.fileno())
        self.listener.close()
        _core.end_jobs(self.region)
        for job in self.live():
            with contextlib.suppress(OSError):
                os.eventfd_write(job.bell, 1)

    def have_nodes(self) -> bool:
        """Whether nodes of attached jobs are left."""
        return any(not job.has_no_node for job in self.live())

    def saw_end_of(self, fd: int) -> bool:
        """Notes, while the session ends, that a driver or its node has ended; False: the descriptor is none of these."""
        job = self.jobs.get(fd)
        if job is None:
            return False
        self.poll.unregister(fd)
        job.has_no_node |= fd == job.node_pidfd
        return True

    def _on_end(self, fd: int) -> None:
        job = self.jobs[fd]
        if fd == job.connection.fileno() and not _hung_up(fd):
            with contextlib.suppress(OSError):
                job.connection.recv(1)  # a driver has nothing to say after its Hello
            return
        self.poll.unregister(fd)
        os.eventfd_write(self.files[2], 1)  # it may have claimed the doorbell, and not rung it
        if fd == job.node_pidfd:
            job.has_no_node = True
        else:
            job.has_let_go = True
        if job.ending is None:
            job.ending = self._ended(job)
        job.due = 0.0

    def step(self) -> None:
        """Does the next piece of each job's end, if it is due, and forgets who does not say hello."""
        now = time.monotonic()
        for fd, one in list(self._half_open.items()):
            if now >= one.until:
                del self._half_open[fd]
                self.poll.unregister(fd)
                one.connection.close()
        for job in self.live():
            if job.ending is not None and now >= job.due:
                wait = next(job.ending, None)
                job.due = math.inf if wait is None else time.monotonic() + wait

    def patience(self) -> float | None:
        """Seconds until the next step; None: nothing is due."""
        dues = [one.until for one in self._half_open.values()] + [job.due for job in self.live()]
        least = min(dues, default=math.inf)
        return None if least == math.inf else max(0.0, least - time.monotonic())

    def _ended(self, job: Job) -> Iterator[float]:
        """Ends a job, piece by piece, and forgets it."""
        yield from self.ends.end(job)
        for fd in job.fds()[:WATCHED]:
            del self.jobs[fd]
            with contextlib.suppress(FileNotFoundError):  # it has been readable
                self.poll.unregister(fd)
        job.close()
        session_dir.remove_stale(job.hello.directory)  # its node was killed
        if self.setting.sharing:
            config = self.setting.config
            session_dir.sweep_driver_logs(self.setting.session_dir, {one.pid for one in self.live()}, config.driver_logs,
                                          time.time() - config.driver_logs_age)


def _hung_up(fd: int) -> bool:
    """Whether the other end of a connection is gone."""
    poll = select.poll()
    poll.register(fd, select.POLLRDHUP)
    return bool(poll.poll(0))
