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

from ray_lite import _core
from ray_lite.control.listener import listen, peer
from ray_lite.exceptions import ObjectStoreFullError
from ray_lite.node import attach_link
from ray_lite.node.attach_link import HELLO_FDS, Hello, Welcome
from ray_lite.node.job_end import WATCHED, Job, JobEnds
from ray_lite.session_setting import SessionSetting
from ray_lite.store.object_store import Store
from ray_lite.system import session_dir
from ray_lite.system.process import started_at

HALF_OPEN_MOST = 32  # connections that have not said hello yet


class Jobs:
    """All attached jobs.

    Args:
        files: the region's control file, arena and doorbell.
    """

    def __init__(self, store: Store, setting: SessionSetting, files: tuple[int, int, int], poll: select.epoll) -> None:
        self.region, self.store, self.setting, self.files, self.poll = store.region, store, setting, files, poll
        self.jobs: dict[int, Job] = {}  #: by each watched descriptor
        self._half_open: dict[int, tuple[socket.socket, float]] = {}  # by descriptor: and until when
        self.ends = JobEnds(store, setting.config)
        self.listener = listen(setting.session_dir, attach_link.SOCKET, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
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
            self._half_open[connection.fileno()] = connection, time.monotonic() + self.setting.config.hello_timeout

    def _greet(self, fd: int) -> None:
        connection, _ = self._half_open.pop(fd)
        self.poll.unregister(fd)
        fds: list[int] = []
        welcomed = False
        try:
            message, fds = attach_link.receive(connection, HELLO_FDS)
            hello, (pid, uid) = attach_link.said(message), peer(connection)
            if hello is not None and attach_link.are_ends(fds, pid):
                why = attach_link.why_not(hello, pid, uid) or self._why_not_the_seed(hello.seed)
                if why:
                    attach_link.refuse(connection, why)
                else:
                    welcomed = self._welcome(connection, hello, fds)
        except OSError:
            pass  # it is gone
        if not welcomed:
            connection.close()
            for one in fds:
                os.close(one)

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
                          setting.redis_address, setting.session_dir)
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
        for fd, (connection, until) in list(self._half_open.items()):
            if now >= until:
                del self._half_open[fd]
                self.poll.unregister(fd)
                connection.close()
        for job in self.live():
            if job.ending is not None and now >= job.due:
                wait = next(job.ending, None)
                job.due = math.inf if wait is None else time.monotonic() + wait

    def patience(self) -> float | None:
        """Seconds until the next step; None: nothing is due."""
        dues = [until for _, until in self._half_open.values()] + [job.due for job in self.live()]
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


def _hung_up(fd: int) -> bool:
    """Whether the other end of a connection is gone."""
    poll = select.poll()
    poll.register(fd, select.POLLRDHUP)
    return bool(poll.poll(0))
