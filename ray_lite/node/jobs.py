"""The jobs of drivers that have attached to a session: the host opens each, rings its node, and frees what it leaves behind.

    Hello -> a job and a slot are opened -> Welcome ... the driver is gone, or its node -> the job ends

A driver that attaches starts a node of its own, which is the parent of its workers.  The host watches both.  Neighbours:
attach_listener.py (what comes before), job_end.py (the end); host.py owns the one `Jobs`.
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
from ray_lite.exceptions import ObjectStoreFullError
from ray_lite.node import attach_link
from ray_lite.node.attach_link import Hello, Welcome
from ray_lite.node.job_end import WATCHED, Job, JobEnds
from ray_lite.session_setting import SessionSetting
from ray_lite.store.object_store import Store
from ray_lite.system import session_dir
from ray_lite.system.polling import readable, writable
from ray_lite.system.process import kill_family, started_at

KILLED_AFTER = 1.0  # seconds that a killed process may take to be gone


class Jobs:
    """All attached jobs.

    Args:
        files: the region's control file, arena and doorbell.
    """

    def __init__(self, store: Store, setting: SessionSetting, files: tuple[int, int, int], poll: select.epoll) -> None:
        self.region, self.store, self.setting, self.files, self.poll = store.region, store, setting, files, poll
        self.jobs: dict[int, Job] = {}  #: by each watched descriptor
        self.ends = JobEnds(store, setting.config)

    def live(self) -> list[Job]:
        """The jobs that have not ended."""
        return list({id(job): job for job in self.jobs.values()}.values())

    def fds(self) -> list[int]:
        """Descriptors that no child of the host may have."""
        return [fd for job in self.live() for fd in job.fds()]

    def on_event(self, fd: int) -> bool:
        """Handles a readable descriptor; False: it is none of an attached job."""
        if fd not in self.jobs:
            return False
        self._on_end(fd)
        return True

    def ring(self) -> None:
        """Rings the nodes for which processes of other jobs have found work."""
        for number in _core.take_rung_jobs(self.region):
            for job in self.live():
                if job.number == number:
                    _ring(job)

    def open(self, connection: socket.socket, hello: Hello, fds: list[int]) -> str:
        """Opens a job for a driver, and welcomes it; returns why it can't have one, in a sentence, or "". Raises OSError if the
        driver is gone."""
        why = self._why_not_the_seed(hello.seed)
        if why:
            return why
        started = started_at(hello.pid)
        try:
            self.ends.prepare()
            number = _core.open_job(self.region)
        except ObjectStoreFullError:
            return "the session has as many drivers as it can have"
        try:
            slot = _core.open_driver(self.region, number, hello.pid, started)
        except ObjectStoreFullError:
            _core.begin_drop(self.region, number)
            _core.free_job(self.region, number)
            return "the session has as many processes as it can have"
        self._welcome(Job(number, connection, fds, hello), slot)
        return ""

    def _welcome(self, job: Job, slot: int) -> None:
        os.set_blocking(job.bell, False)  # nobody can make the host wait
        for fd in job.fds()[:WATCHED]:
            self.jobs[fd] = job
            self.poll.register(fd, select.EPOLLIN)
        control, arena, bell = self.files
        spill = self.setting.info.spill_fd
        setting = self.setting
        log = session_dir.open_driver_log(setting.session_dir, job.pid) if setting.sharing else -1
        welcome = Welcome(job.number, slot, setting.config._asdict(), list(setting.info.resources), spill >= 0,
                          setting.redis_address, setting.session_dir, setting.sharing is not None,
                          list(setting.defaults))
        with contextlib.suppress(OSError):  # it is gone: its pidfd says so
            attach_link.send(job.connection, welcome, [fd for fd in (control, arena, bell, spill, log) if fd >= 0])
        if log >= 0:
            os.close(log)

    def _why_not_the_seed(self, seed: int | None) -> str:
        """Why a driver can't have a seed, in a sentence; "": it can."""
        seeds = [self.setting.object_id_seed, *(job.hello.seed for job in self.live())]
        if seed is None or seed not in seeds:
            return ""
        return f"another driver of the session has object_id_seed={seed} now, and two would give the same ids"

    # --- the end ---

    def begin_end(self) -> None:
        """Ends all jobs, whose nodes end then."""
        _core.end_jobs(self.region)
        for job in self.live():
            _ring(job)

    def kill_left(self) -> None:
        """Kills nodes of attached jobs that have not ended, such as stopped ones, with their processes."""
        for job in self.live():
            if not job.has_no_node:
                with contextlib.suppress(OSError):
                    signal.pidfd_send_signal(job.node_pidfd, signal.SIGKILL)
                readable(job.node_pidfd, KILLED_AFTER)
            for _, pid, started, role in _core.job_processes(self.region, job.number):
                if pid and role != _core.DRIVER and (pidfd := kill_family(pid, started)) >= 0:
                    os.close(pidfd)
            session_dir.remove_stale(job.hello.directory)

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
        """Does the next piece of each job's end, if it is due."""
        now = time.monotonic()
        for job in self.live():
            if job.ending is not None and now >= job.due:
                wait = next(job.ending, None)
                job.due = math.inf if wait is None else time.monotonic() + wait

    def patience(self) -> float:
        """Seconds until the next step; infinite: nothing is due."""
        return max(0.0, min((job.due for job in self.live()), default=math.inf) - time.monotonic())

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


def _ring(job: Job) -> None:
    """Rings a node, unless its doorbell is full: then it is awake, or somebody wants this process to wait."""
    with contextlib.suppress(OSError):
        if writable(job.bell, 0):
            os.eventfd_write(job.bell, 1)


def _hung_up(fd: int) -> bool:
    """Whether the other end of a connection is gone."""
    poll = select.poll()
    poll.register(fd, select.POLLRDHUP)
    return bool(poll.poll(0))
