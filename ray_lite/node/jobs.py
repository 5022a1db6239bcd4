"""The jobs of drivers that have attached to a session: the host opens each, rings its node, and frees what it leaves behind.

    a driver connects -> Hello -> a job and a slot are opened -> Welcome ... its node has ended -> its processes are gone
        -> they are swept -> the driver is gone, too, or has let go -> all that is left of the job ends, piece by piece

A driver that attaches starts a node of its own, which is the parent of its workers.  The host watches both.  Neighbours:
attach_link.py (messages), host.py owns the one `Jobs`; the core's tasks/job_ends.pyx does the pieces.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import socket
import time
from collections.abc import Iterator

from ray_lite import _core
from ray_lite.control.listener import listen, peer
from ray_lite.exceptions import ObjectStoreFullError
from ray_lite.node import attach_link
from ray_lite.node.attach_link import HELLO_FDS, Hello, Welcome
from ray_lite.session_setting import SessionSetting
from ray_lite.store.object_store import Store
from ray_lite.system.polling import readable
from ray_lite.system.process import started_at
from ray_lite.values.failures import SystemFailure

HALF_OPEN_MOST = 32  # connections that have not said hello yet
LOOK = 0.02  # seconds between two looks at whether killed processes are gone
DRAINED_AT_ONCE = 1_000  # calls of a dead actor that fail at a time
SCRIPT_MOST = 200  # characters of a driver's command line in an error


class Job:
    """One attached driver, with its node."""

    def __init__(self, number: int, connection: socket.socket, fds: list[int], pid: int) -> None:
        self.number, self.connection, self.pid = number, connection, pid
        self.driver_pidfd, self.node_pidfd, self.bell = fds
        self.has_let_go = False  # whether the driver is gone, or uses the region no more
        self.has_no_node = False
        self.ending: Iterator[float] | None = None  # the steps of its end; each says how many seconds may pass before the next
        self.due = math.inf

    def fds(self) -> list[int]:
        """All descriptors that belong to it."""
        return [self.connection.fileno(), self.driver_pidfd, self.node_pidfd, self.bell]

    def close(self) -> None:
        self.connection.close()
        for fd in (self.driver_pidfd, self.node_pidfd, self.bell):
            os.close(fd)


class Jobs:
    """All attached jobs.

    Args:
        files: the region's control file, arena and doorbell.
    """

    def __init__(self, store: Store, setting: SessionSetting, files: tuple[int, int, int], poll: select.epoll) -> None:
        self.region, self.store, self.setting, self.files, self.poll = store.region, store, setting, files, poll
        self.jobs: dict[int, Job] = {}  #: by each watched descriptor
        self._half_open: dict[int, tuple[socket.socket, float]] = {}  # by descriptor: and until when
        self._spare_cause = self._cause("the driver of its job has ended")
        self._orphans = 0  # the queue of actors whose job has ended
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
        try:
            message, fds = attach_link.receive(connection, HELLO_FDS)
            welcomed = len(fds) == HELLO_FDS and message and self._welcome(connection, Hello(**message), fds)
        except (OSError, TypeError):  # it is gone, or no driver
            welcomed = False
        if not welcomed:
            connection.close()
            for one in fds:
                os.close(one)

    def _welcome(self, connection: socket.socket, hello: Hello, fds: list[int]) -> bool:
        """Opens a job, if the driver may have one; whether it has."""
        pid, uid = peer(connection)
        why = attach_link.why_not(hello, pid, uid)
        if why:
            attach_link.refuse(connection, why)
            return False
        try:
            number = _core.open_job(self.region)
            slot = _core.open_driver(self.region, number, pid, started_at(pid))
        except ObjectStoreFullError:
            attach_link.refuse(connection, "the session has as many drivers or processes as it can have")
            return False
        job = Job(number, connection, fds, pid)
        for fd in job.fds()[:3]:
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

    # --- the end ---

    def _on_end(self, fd: int) -> None:
        job = self.jobs[fd]
        if fd == job.connection.fileno():
            with contextlib.suppress(OSError):
                if job.connection.recv(1):
                    return  # a driver has nothing to say after its Hello
        self.poll.unregister(fd)
        if fd == job.node_pidfd:
            job.has_no_node = True
        else:
            job.has_let_go = True
        if job.ending is None:
            job.ending = self._end(job)
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
                job.due = math.inf if wait is None else now + wait

    def patience(self) -> float | None:
        """Seconds until the next step; None: nothing is due."""
        dues = [until for _, until in self._half_open.values()] + [job.due for job in self.live()]
        least = min(dues, default=math.inf)
        return None if least == math.inf else max(0.0, least - time.monotonic())

    def _end(self, job: Job) -> Iterator[float]:
        """Ends a job, piece by piece."""
        _core.begin_drop(self.region, job.number)
        until = time.monotonic() + self.setting.config.job_end
        while not job.has_no_node:  # its node sees the driver's end, too
            if job.has_let_go and time.monotonic() >= until:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(job.node_pidfd, signal.SIGKILL)
            yield LOOK
        yield from self._bury(job)
        while not job.has_let_go:  # until then it may be in the midst of a call
            yield LOOK
        yield from self._free(job)
        for fd in job.fds()[:3]:
            del self.jobs[fd]
            with contextlib.suppress(FileNotFoundError):  # it has been readable
                self.poll.unregister(fd)
        job.close()

    def _bury(self, job: Job) -> Iterator[float]:
        """Sweeps all processes of a job but the driver, after they are gone; their parent's death has killed them."""
        pidfds = [fd for slot, pid, started, _ in self._processes(job) if pid and (fd := _kill(pid, started)) >= 0]
        while not all(readable(fd, 0) for fd in pidfds):
            yield LOOK
        for fd in pidfds:
            os.close(fd)
        cause = self._cause_of(job)
        for slot, *_ in self._processes(job):
            self._sweep(slot, cause)
            yield 0.0
        _core.wake_all(self.region)

    def _processes(self, job: Job) -> list[tuple[int, int, int, int]]:
        return [one for one in _core.job_processes(self.region, job.number) if one[3] != _core.DRIVER]

    def _sweep(self, slot: int, cause: _core.ObjectID) -> None:
        _core.begin_sweep(self.region, slot)
        while (found := _core.adopt_task(self.region, slot))[0]:
            task, complete = found
            if complete:
                _core.finish_task(self.region, task)
            else:
                _core.lose_task(self.region, task, cause)
        if actor := _core.actor_in(self.region, slot):
            _core.end_actor(self.region, actor, cause)
        _core.end_sweep(self.region, slot)

    def _free(self, job: Job) -> Iterator[float]:
        """Ends all that is left of a job that has no process any more."""
        cause = self._cause_of(job)
        for slot, *_ in _core.job_processes(self.region, job.number):
            self._sweep(slot, cause)
        at = 1
        while at := _core.lose_tasks(self.region, job.number, cause, at):
            yield 0.0
        for actor, is_dead in _core.job_actors(self.region, job.number):
            if not is_dead:
                _core.end_actor(self.region, actor, cause)
            while _core.drain_actor(self.region, actor, DRAINED_AT_ONCE):
                yield 0.0
            if not _core.free_actor(self.region, actor):
                _core.orphan_actor(self.region, actor, self._orphans_queue())
        for piece in (_core.forget_sites, _core.unkeep_objects, _core.free_queues):
            at = 1
            while at := piece(self.region, job.number, at):
                yield 0.0
        _core.free_job(self.region, job.number)

    def _orphans_queue(self) -> int:
        if not self._orphans:
            self._orphans = _core.actor_queue(self.region, _core.LIVES, (0, 0, (), 0))
        return self._orphans

    def _cause_of(self, job: Job) -> _core.ObjectID:
        """The error of what a job would have made."""
        try:
            return self._cause(f"the driver that it belonged to (pid {job.pid}) has ended")
        except ObjectStoreFullError:
            return self._spare_cause

    def _cause(self, text: str) -> _core.ObjectID:
        x = self.store.create(_core.next_put_id(), for_job=False)
        self.store.fail(_core.object_index(x), SystemFailure("ObjectLostError", text))
        _core.seal_object(self.region, x)
        return x


def _kill(pid: int, started: int) -> int:
    """Kills a process and its group, unless the pid belongs to a later one by now; its pidfd, or -1: it is gone."""
    with contextlib.suppress(OSError):
        pidfd = os.pidfd_open(pid)
        with contextlib.suppress(OSError):
            if started_at(pid) == started:  # checked after the opening: the pidfd is that process's
                with contextlib.suppress(OSError):
                    os.killpg(pid, signal.SIGKILL)
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                return pidfd
        os.close(pidfd)
    return -1

