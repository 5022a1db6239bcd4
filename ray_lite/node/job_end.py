"""The end of an attached job, as the host carries it out.

    its node has ended -> its processes are gone -> they are swept -> the driver is gone, too, or has let go
        -> all that is left of the job ends, piece by piece, while the host serves others

Neighbours: jobs.py begins an end, and goes on with it; the core's tasks/job_ends.pyx does the pieces.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import TypeVar

from ray_lite import _core
from ray_lite.config import Config
from ray_lite.exceptions import ObjectStoreFullError
from ray_lite.node.attach_link import Hello
from ray_lite.store.kept_labels import kept_label
from ray_lite.store.object_store import Store
from ray_lite.system.polling import readable
from ray_lite.system.process import kill_family
from ray_lite.values.failures import SystemFailure, dead

OTHERS = 1.5  # times the length of a piece of work, for which others have the lock before the next
LOOK = 0.02  # seconds between two looks at whether killed processes are gone
DRAINED_AT_ONCE = 1_000  # calls of a dead actor that fail at a time
T = TypeVar("T")
WATCHED = 3  # of the descriptors of a job, those that the host watches: connection, driver, node


class Job:
    """One attached driver, with its node."""

    def __init__(self, number: int, connection: socket.socket, fds: list[int], hello: Hello) -> None:
        self.number, self.connection, self.hello, self.pid = number, connection, hello, hello.pid
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


class JobEnds:
    """Ends jobs."""

    def __init__(self, store: Store, config: Config) -> None:
        self.region, self.store, self.config = store.region, store, config
        self._spare_cause: _core.ObjectID | None = None
        self._orphans = 0  # the queue of actors whose job has ended

    def prepare(self) -> None:
        """Makes what an end needs even if the store is full then."""
        if self._spare_cause is None:
            self._spare_cause = self._cause(SystemFailure("ObjectLostError", "the driver that it belonged to has ended"), True)

    def end(self, job: Job) -> Iterator[float]:
        """Ends a job, piece by piece; yields how many seconds may pass before the next piece."""
        _core.begin_drop(self.region, job.number)
        until = time.monotonic() + self.config.job_end
        while not job.has_no_node:  # its node sees the driver's end, too
            if job.has_let_go and time.monotonic() >= until:
                with contextlib.suppress(OSError):
                    signal.pidfd_send_signal(job.node_pidfd, signal.SIGKILL)
            yield LOOK if job.has_let_go else math.inf
        yield from self._bury(job)
        yield from self._lose(job)  # at once: others may wait for that, however long the driver lives
        while not job.has_let_go:  # until then it may be in the midst of a call
            yield math.inf
        yield from self._free(job)

    def _bury(self, job: Job) -> Iterator[float]:
        """Sweeps all processes of a job but the driver, after they are gone; their parent's death has killed them."""
        pidfds = [fd for slot, pid, started, _ in self._processes(job) if pid and (fd := kill_family(pid, started)) >= 0]
        while not all(readable(fd, 0) for fd in pidfds):
            yield LOOK
        for fd in pidfds:
            os.close(fd)
        for slot, *_ in self._processes(job):
            yield from self._sweep(job, slot)
        _core.wake_all(self.region)

    def _processes(self, job: Job) -> list[tuple[int, int, int, int]]:
        return [one for one in _core.job_processes(self.region, job.number) if one[3] != _core.DRIVER]

    def _sweep(self, job: Job, slot: int) -> Iterator[float]:
        """Frees what a dead process held, and ends what it ran."""
        actor = _core.actor_in(self.region, slot)
        cause = self._cause_of(job, actor)
        if not _core.resume_sweep(self.region, slot):  # the job's own node may have begun, and even ended the actor
            _core.begin_sweep(self.region, slot)
        while (found := _core.adopt_task(self.region, slot))[0]:
            task, complete = found
            if complete:
                _core.finish_task(self.region, task)
            else:
                yield from _patiently(partial(_core.lose_task, self.region, task, cause))
        if actor and _core.actor_facts(self.region, actor)[0] != "DEAD":
            _core.end_actor(self.region, actor, cause)
        _core.end_sweep(self.region, slot)
        yield 0.0

    def _lose(self, job: Job) -> Iterator[float]:
        """Ends the tasks and the actors of a job whose processes, but perhaps its driver, are gone."""
        cause, at = self._cause_of(job), 1
        while at:
            at = yield from _patiently(partial(_core.lose_tasks, self.region, job.number, cause, at))
        for actor, is_dead in _core.job_actors(self.region, job.number):
            if not is_dead:
                _core.end_actor(self.region, actor, self._cause_of(job, actor))
            while (yield from _patiently(partial(_core.drain_actor, self.region, actor, DRAINED_AT_ONCE))):
                pass
            if not _core.free_actor(self.region, actor):
                _core.orphan_actor(self.region, actor, self._orphans_queue())

    def _free(self, job: Job) -> Iterator[float]:
        """Ends all that is left of a job that has no process any more."""
        for slot, *_ in _core.job_processes(self.region, job.number):
            yield from self._sweep(job, slot)
        yield from self._lose(job)
        for piece in (_core.forget_sites, _core.unkeep_objects, _core.free_queues):
            at = 1
            while at := piece(self.region, job.number, at):
                yield 0.0
        _core.free_job(self.region, job.number)

    def _orphans_queue(self) -> int:
        if not self._orphans:
            self._orphans = _core.actor_queue(self.region, _core.LIVES, (0, 0, (), 0))
        return self._orphans

    def _cause_of(self, job: Job, actor: int = 0) -> _core.ObjectID:
        """The error of what a job, or one of its actors, would have made."""
        what = "the driver that" if job.has_let_go else "the node process of the driver that"
        how = f"{what} it belonged to (pid {job.pid}) has ended"
        label = kept_label(self.region, _core.facts_of_actor(self.region, actor)) if actor else None
        try:
            if isinstance(label, tuple) and len(label) > 1:  # the driver may have written anything there
                return self._cause(dead(label[0], label[1], how))
            return self._cause(SystemFailure("ObjectLostError", how))
        except ObjectStoreFullError:
            assert self._spare_cause is not None, "a job has attached"
            return self._spare_cause

    def _cause(self, failure: SystemFailure, for_job: bool = False) -> _core.ObjectID:
        x = self.store.create(_core.next_put_id(), for_job)
        self.store.fail(_core.object_index(x), failure)
        _core.seal_object(self.region, x)
        return x


def _patiently(piece: Callable[[], T]) -> Generator[float, None, T]:
    """The result of a piece, which is tried again and again while there is no room in a table."""
    while True:
        began = time.monotonic()
        try:
            result = piece()
        except ObjectStoreFullError:
            yield LOOK
            continue
        yield OTHERS * (time.monotonic() - began)
        return result
