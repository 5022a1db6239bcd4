"""The supervisor: the node's event loop, in one single-threaded process per session.

    driver --socketpair--> node --fork--> workers, control process      eventfd: "check the pool"        pidfds: deaths

The node ends with the driver (driver_link.py), and then removes the session directory.  Workers die with the node (the core's
die_with_node.h), and so do their children, since each worker leads a process group.  Neighbours: driver/launch.py starts the
node; pool.py, deaths.py, task_ends.py and host.py do what an event asks for; policy/scheduler.py decides.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import time
from typing import Any

from ray_lite import _core
from ray_lite.control.control_starter import ControlStarter
from ray_lite.control.report_channel import Reporter
from ray_lite.control.stack_dumps import STACK_SIGNAL, StackDumps
from ray_lite.exceptions import RaySystemError
from ray_lite.node.actors import Actors
from ray_lite.node.deaths import Deaths
from ray_lite.node.driver_link import DriverLink
from ray_lite.node.host import Guest, Host
from ray_lite.node.pool import Pool
from ray_lite.node.task_ends import TaskEnds
from ray_lite.node.wait_watch import WaitWatch
from ray_lite.node.worker_starter import WorkerStarter
from ray_lite.session_setting import SessionSetting
from ray_lite.store.object_store import Store
from ray_lite.system import session_dir
from ray_lite.system.process import namespaces, started_at
from ray_lite.values import serialization

LONGEST_SLEEP = 1e6  # seconds: epoll takes no more than 24 days; longer ones are as good as endless


class Supervisor:
    """The supervisor of one session, until the driver ends."""

    def __init__(self, driver: DriverLink) -> None:
        self.driver = driver
        setting, files = driver.receive()
        if setting.sharing:
            driver.close_others(files)
        control, arena, self.bell, *more = files
        self.dumps = dumps = StackDumps()
        spill_fd = more.pop(0) if setting.info.spill_fd >= 0 else -1
        log_fd = more.pop() if setting.attachment and setting.attachment.is_shared else -1
        self.setting = setting = setting.in_node(os.getpid(), spill_fd, dumps.write_end, log_fd)
        self.config = setting.config
        job = setting.attachment.job if setting.attachment else 1
        try:
            self.region = _core.Region.attach(control, arena, self.bell, namespaces(), job, *more)
        except RaySystemError:
            if setting.attachment and driver.is_gone():
                raise SystemExit(0) from None  # the host has begun to end the job
            raise
        self.lock = _make_directory(driver, setting)
        self.region.join(_core.NODE, os.getpid(), started_at(os.getpid()))
        self.region.make_current()
        self.poll = select.epoll()
        self.control = ControlStarter(self.region, setting, self.bell, dumps, self._answers)
        store = Store(self.region, self.config)  # for names and failures, which are never spilled
        reporter = Reporter(self.region, self.control.sender)
        self.task_ends = TaskEnds(self.region, store, reporter)
        self.starter = WorkerStarter(self.region, setting, self.control, reporter, self._watch, self.private)
        self.pool = Pool(self.region, setting, self.control, self.starter, self.poll)
        self.actors = Actors(store, setting, self.starter, self.poll)
        self.pool.others = self.actors.processes
        self.deaths = Deaths(store, self.control, self.pool, self.actors, self.task_ends)
        self.wait_watch = WaitWatch(self.actors, self.task_ends, reporter)
        self.host: Host | Guest
        if setting.attachment is None:
            self.host = Host(store, setting, reporter, self.poll, (control, arena, self.bell))
        else:
            self.host = Guest(self.region, setting.attachment, setting.shutdown_grace, self.poll)
        self.is_asked = False  # whether somebody asks who needs the control process
        for fd in (*driver.descriptors(), self.bell, self.control.listener.fileno()):
            self._watch(fd)

    def _answers(self) -> dict[str, Any]:
        from ray_lite.node.answers import answers  # in the control process alone

        return answers(self.region, self.setting, self.dumps)

    def _watch(self, fd: int) -> None:
        self.poll.register(fd, select.EPOLLIN)

    def private(self) -> list[int]:
        """Descriptors of the node that no child may have."""
        return [self.poll.fileno(), self.lock, *self.driver.descriptors(), *self.pool.workers, *self.actors.processes,
                *self.host.fds()]

    def _has_processes(self) -> bool:
        return len(self.pool) + len(self.actors) > 0

    def _needs_control(self) -> bool:
        return self.is_asked or self._has_processes() or bool(self.host.children()) or self.host.has_guests()

    def serve(self) -> None:
        """Handles events until the driver asks for the end or has ended, or the host has."""
        if self.setting.redirect_output:
            self.control.redirect_node()
        if not self.driver.tell_ready():
            session_dir.remove(self.setting.session_dir)
            return
        if self.setting.sharing:
            self.driver.let_go(self.poll)
        serialization.pickler()  # takes 10 ms: after the driver goes on, and before the first fork, so that workers inherit it
        self.adjust(at_least=self.setting.num_workers)
        while not self.host.over:
            for fd, _ in self.poll.poll(self.patience()):
                if fd not in self.driver.descriptors():
                    self.on_event(fd)
                    continue
                self.end(self.setting.shutdown_grace if self.driver.asked_to_end(fd) else 0)
                session_dir.remove(self.setting.session_dir)  # the driver may be gone by now
                return
            self.deaths.wake()
            self.deaths.finish_overdue()
            self.deaths.reap_orphans(self._children())
            self.adjust()
            self.wait_watch.step()
            self.host.step()
        _core.lose_host(self.region)
        self.end(self.host.grace)
        session_dir.remove(self.setting.session_dir)

    def _children(self) -> set[int]:
        """Pids of the node's own children."""
        return {self.control.pid, *self.pool.pids(), *self.actors.pids(), *self.host.children()}

    def on_event(self, fd: int) -> None:
        """Handles the doorbell, a worker's death, or the control process; the descriptor may have been closed meanwhile."""
        if fd == self.bell:
            self.on_bell()
        elif fd in self.pool.workers:
            self.deaths.on_exit(self.pool, fd)
        elif fd in self.actors.processes:
            self.deaths.on_exit(self.actors, fd)
        elif fd == self.control.pidfd:
            self.on_control_exit()
        elif fd == self.control.listener.fileno():
            self.is_asked = True
            self.poll.unregister(fd)
        elif fd == self.control.answers_on():
            answer = self.control.answer()
            if answer is not None:
                self.deaths.on_last_words(*answer)
        else:
            self.host.on_event(fd)

    def on_bell(self) -> None:
        """Clears the doorbell before the node checks anything, so that no later ring is lost."""
        try:
            os.eventfd_read(self.bell)
        except BlockingIOError:
            pass  # the process that claimed the doorbell has not written yet
        _core.answer_bell(self.region)
        self.host.on_bell()

    def on_control_exit(self) -> None:
        """Reaps the control process; `adjust` starts another."""
        for fd in (self.control.pidfd, self.control.answers_on()):
            self.poll.unregister(fd)
        self.control.reap()
        self._watch(self.control.listener.fileno())

    def patience(self) -> float | None:
        """Seconds until the next work that needs no event; None: nothing is due."""
        if self.task_ends.due:
            return 0
        waits = [self.config.node_look if _core.must_look(self.region) else None, self.deaths.patience(),
                 self.control.due_in() if self._needs_control() else None, self.host.patience(), self.pool.patience()]
        least = min(wait for wait in waits if wait is not None)
        return None if least > LONGEST_SLEEP else least

    def adjust(self, at_least: int = 0) -> None:
        """Ends cancelled and hopeless tasks, then starts or retires workers, and starts the control process if need be."""
        if self.starter.hopeless and not self.deaths.unfinished:  # the tasks of dead workers return to the queue first
            self.task_ends.give_up(self.starter.take_hopeless())
        self.task_ends.cancel_hopeless(len(self.pool) + len(self.deaths.unfinished))
        self.task_ends.end_cancelled()
        self.actors.adjust(len(self.pool))
        if self.actors.at_limit and _core.can_start_actor(self.region):
            self.pool.make_room()
        self.pool.adjust(at_least, most=1 if self.control.due_in() == 0 else 1 << 30)
        if self._needs_control() and self.control.due_in() == 0:
            try:
                self.control.start(self.private())
            except OSError:
                return
            if not self.is_asked:
                self.poll.unregister(self.control.listener.fileno())
            self.is_asked = False
            for fd in (self.control.pidfd, self.control.answers_on()):
                self._watch(fd)
            self.pool.adjust(at_least - len(self.pool))  # after the control process, which might find no process left

    def end(self, grace: float) -> None:
        """Ends all processes: asks them to end, and kills workers after `grace` seconds. Calls of actors that still run then
        are cancelled, and actors get Config.actor_grace and exit_grace for their hooks and exit handlers."""
        if not grace:
            self.actors.kill()  # before they see the end, at which they would call their hooks
        _core.close_session(self.region)
        self.host.begin_end()
        for fd in (self.bell, self.control.pidfd, self.control.answers_on(), self.control.listener.fileno()):
            if fd >= 0:
                with contextlib.suppress(FileNotFoundError):  # it is not watched now
                    self.poll.unregister(fd)  # their events are no longer handled, and would end each wait at once
        if grace and self._reap(grace):
            self.pool.kill()
            self.actors.cancel_calls()
            self.pool.deliver_cancellations()
            self._reap(self.config.actor_grace + self.config.exit_grace)
        self.pool.kill()
        self.actors.kill()
        self.host.end()
        self.control.end()

    def _reap(self, seconds: float) -> bool:
        """Reaps processes for at most so many seconds, or as somebody orders meanwhile; whether some are left, and the driver
        still waits."""
        deadline, order = time.monotonic() + seconds, self.host.order
        while (self._has_processes() or self.host.has_guests()) and (left := deadline - time.monotonic()) > 0:
            for fd, _ in self.poll.poll(min(left, self.config.node_look)):
                if not (self.pool.reap(fd) or self.actors.reap(fd) or self.host.saw_end_of(fd)):
                    return False  # the driver is gone: no reason to wait
            if self.host.order is not order:
                deadline, order = min(deadline, time.monotonic() + self.host.grace), self.host.order
            self.pool.deliver_cancellations()
        return self._has_processes()


def _make_directory(driver: DriverLink, setting: SessionSetting) -> int:
    """Makes the session's directory; returns its lock. If another session was quicker, the process ends, and the driver knows
    why."""
    try:
        lock = session_dir.make(setting.session_dir, setting.sharing.group if setting.sharing else -1)
    except FileExistsError:
        driver.tell_refused("OSError", f"a session runs in {setting.session_dir} already")
        raise SystemExit(1) from None
    if setting.sharing:
        session_dir.write_password(setting.session_dir, setting.sharing.password)
    return lock


def _preload(driver: DriverLink, setting: SessionSetting) -> None:
    """Imports what workers are to have from the beginning. If it can't be had, the process ends, and the driver knows why."""
    if not setting.preload:
        return
    from ray_lite.node.preload import Refused, preload  # imports less for all other sessions

    try:
        preload(setting.preload, setting.path, driver.pid)
    except Refused as refused:
        session_dir.remove(setting.session_dir)
        driver.tell_refused(refused.error, refused.text)
        os.killpg(0, signal.SIGKILL)  # with what the import has started


def main(fd: int) -> None:
    """Runs the node; `fd` is its end of the driver's socketpair."""
    _core.be_subreaper()
    signal.signal(STACK_SIGNAL, signal.SIG_IGN)  # until a worker has its handler
    driver = DriverLink(fd)
    supervisor = Supervisor(driver)
    with contextlib.closing(driver):
        _preload(driver, supervisor.setting)
        gc.collect()
        gc.freeze()  # forked workers share these pages as long as no collection writes to them
        try:
            supervisor.serve()
        except Exception:
            import traceback

            os.write(supervisor.control.terminal[1], traceback.format_exc().encode())  # the user sees it: a bug of ours
            raise
