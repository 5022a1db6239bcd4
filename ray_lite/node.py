"""The node: one single-threaded supervisor a session. Fork template, watcher of deaths, sweeper, keeper of the pool.

    driver --socketpair--> node --fork--> workers, control process      eventfd: "look at the pool"      pidfds: deaths

It is never on the path of a task, imports neither numpy, redis, psutil nor user code, and ends with the driver, by the
end of its socket or its pidfd.  The policy is scheduler.py's.  Workers die with the node (core: die_with_parent), their
children with them, since each worker leads a process group.  Neighbours: launch.py starts it, pool.py holds the workers.
"""

from __future__ import annotations

import gc
import math
import os
import select
import socket
import time
from collections.abc import Iterator

from ray_lite import _core, serialization
from ray_lite.control_process import Control
from ray_lite.deaths import Coroner
from ray_lite.exceptions import ObjectLostError, ObjectStoreFullError
from ray_lite.failures import Failure, SystemFailure
from ray_lite.files import pid_namespace
from ray_lite.forkserver import READY, SHUTDOWN, make_directory, receive_setting, remove_directory, started_at
from ray_lite.pool import Pool
from ray_lite.reporter import Reporter
from ray_lite.scheduler import Died, Fail, Finish, Requeue, Running
from ray_lite.store import ALL, Store

ENDING_MOST = 500  # cancelled tasks that are ended in a turn, some milliseconds: deaths, starts and the end come in between


class Node:
    """The supervisor of one session, until the driver goes."""

    def __init__(self, link: socket.socket) -> None:
        self.link = link
        received = receive_setting(link)
        if received is None:
            raise SystemExit(0)
        self.setting, (control, arena, self.bell, *spill) = received
        self.setting["spill"] = spill[0] if spill else -1  # workers inherit it
        self.config = self.setting["config"]
        try:
            self.driver = os.pidfd_open(self.setting["driver"])
        except ProcessLookupError:  # the driver went meanwhile
            raise SystemExit(0) from None
        make_directory(self.setting["session_dir"])
        self.region = _core.Region.attach(control, arena, self.bell, pid_namespace())
        self.region.join(_core.NODE, os.getpid(), started_at(os.getpid()))
        self.region.make_current()
        self.store = Store(self.region, self.config)  # for names and failures, which are never spilled
        self.control = Control(self.region, self.setting, self.bell)
        self.reporter = Reporter(self.region, self.control.sender)
        self.coroner = Coroner(self.config.oom_window)
        self.pool = Pool(self.region, self.setting, self.control, self.reporter, self.private)
        self.dead: dict[int, tuple[int, Died, float]] = {}  # pid -> (slot, how it died, when to bury it at the latest)
        self.tidy_until = 0.0  # until then the node looks for what dead workers left
        self.growing = False  # the node commits memory ahead, a step at a time
        self.ending = False  # there may be more cancelled tasks to end
        self.doom = ""  # why tasks fail that nobody can run
        self.doomed: list[int] = []  # objects whose tasks these may be
        self.give_at = math.inf  # when the node gives memory back
        self.poll = self.pool.poll
        for fd in (link.fileno(), self.driver, self.bell):
            self.poll.register(fd, select.EPOLLIN)

    def serve(self) -> None:
        """The loop: until the driver asks for the end, or is gone."""
        if self.setting["redirect_output"]:
            self.control.redirect_node()
        try:
            self.link.sendall(READY)
        except OSError:  # the driver went while this process started
            remove_directory(self.setting["session_dir"])
            return
        serialization.pickler()  # workers inherit it; the driver imports its own meanwhile
        self.look(at_least=self.setting["num_workers"])
        while True:
            for fd, _ in self.poll.poll(self.patience()):
                if fd not in (self.link.fileno(), self.driver):
                    self.heed(fd)
                    continue
                polite = fd == self.link.fileno() and self.asked_to_end()
                self.end(self.setting["shutdown_grace"] if polite else 0)
                remove_directory(self.setting["session_dir"])  # the driver may be gone by now
                return
            self.bury_overdue()
            self.reap_orphans()
            self.look()
            self.give_back()
            if _core.has_grown(self.region):
                self.growing = _core.ahead(self.region, self.config.ahead)

    def asked_to_end(self) -> bool:
        """Whether the driver says so; else it is gone. If it never read what was sent to it, its socket is reset."""
        try:
            return self.link.recv(len(SHUTDOWN)) == SHUTDOWN
        except ConnectionResetError:
            return False

    def give_back(self) -> None:
        """Memory that has been free for a while goes to the kernel, a piece at a time: events come first."""
        now = time.monotonic()
        if not _core.is_loose(self.region):
            self.give_at = math.inf
        elif self.give_at == math.inf:
            self.give_at = now + self.config.loose_after
        elif now >= self.give_at:
            try:
                _core.give_back(self.region, self.setting["spill"])
            except ObjectStoreFullError:  # no entry for the run just now
                self.give_at = now + self.config.loose_after

    def reap_orphans(self) -> None:
        """What workers had started and left is this process's to reap: it is their subreaper."""
        known = {self.control.pid, *self.pool.pids()}
        try:
            while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and found.si_pid not in known:
                os.waitpid(found.si_pid, 0)
        except ChildProcessError:
            pass  # no children at all

    def heed(self, fd: int) -> None:
        """Deals with an event of the session's own; its descriptor may have been closed since it was seen."""
        if fd == self.bell:
            self.answer()
        elif fd in self.pool.workers:
            self.examine(fd)
        elif fd == self.control.pidfd:
            self.leave_control()
        elif fd == self.control.hears():
            self.listen()

    def patience(self) -> float | None:
        """How long there is nothing to do if nothing happens."""
        if self.growing or self.ending or self.doomed:
            return 0
        waits = [self.config.node_look] if _core.node_look(self.region) else []
        waits += [self.config.node_look] if time.monotonic() < self.tidy_until else []
        waits += [max(0.0, latest - time.monotonic()) for _, _, latest in self.dead.values()]
        waits += [max(0.0, self.give_at - time.monotonic())] if self.give_at < math.inf else []
        due = self.control.due_in() if len(self.pool) else None
        waits += [due] if due is not None else []
        waits += [self.pool.patience()] if self.pool.patience() < math.inf else []
        return min(waits, default=None)

    def listen(self) -> None:
        """The control process tells the last words of a dead worker."""
        answer = self.control.answer()
        if answer is not None and answer[0] in self.dead:
            self.bury(*answer)

    def leave_control(self) -> None:
        """The control process died; `look` starts another."""
        for fd in (self.control.pidfd, self.control.hears()):
            self.poll.unregister(fd)
        self.control.reap()

    def answer(self) -> None:
        """Clears the doorbell before looking, so that a later ring is heard."""
        try:
            os.eventfd_read(self.bell)
        except BlockingIOError:
            pass  # somebody's write is still to come
        _core.answer_bell(self.region)

    def look(self, at_least: int = 0) -> None:
        """More workers, or fewer, and the control process; cancelled tasks end."""
        self.give_up()
        self.ending = all(self.end_cancelled() for _ in range(ENDING_MOST))
        self.pool.look(at_least, most=1 if self.control.due_in() == 0 else 1 << 30)
        if len(self.pool) and self.control.due_in() == 0:
            try:
                self.control.start(self.private())
            except OSError:
                return
            for fd in (self.control.pidfd, self.control.hears()):
                self.poll.register(fd, select.EPOLLIN)
            self.pool.look(at_least - len(self.pool))  # it came first, or the machine might have no process left for it

    def end_cancelled(self) -> bool:
        """Ends a task that was cancelled before it began, if there is one."""
        task = _core.take_ending(self.region)
        if task:
            name = self.name(_core.task_facts(self.region, task)["function"])
            kind, what = "TaskCancelledError", "was cancelled before it began"
            if self.doom:
                kind, what = "RaySystemError", f"could not begin: {self.doom}"
            self.obey(Fail(task, name, f"task {name} {what}", {}, kind))
        return task != 0

    def give_up(self) -> None:
        """Tasks that nobody can run, since nobody can be started, fail: they are cancelled, for a reason of the node's own."""
        if self.pool.hopeless and not self.dead:  # what the dead ran goes to the queue first
            self.doom, self.pool.hopeless = self.pool.hopeless, ""
            self.doomed = _core.largest(self.region, 0, ALL, False)
        elif not self.doomed and not self.ending:
            self.doom = ""
        if len(self.pool):
            self.doomed.clear()  # there is somebody after all
        for index in [self.doomed.pop() for _ in range(min(ENDING_MOST, len(self.doomed)))]:
            try:
                x, _, state, *_ = _core.object_facts(self.region, index)
                if state == _core.PENDING:
                    _core.cancel(self.region, *_core.task_of(self.region, x), False)
            except ObjectLostError:
                continue  # it has gone meanwhile

    def private(self) -> list[int]:
        """Descriptors of the node that no child may have."""
        return [self.poll.fileno(), self.link.fileno(), self.driver, *self.pool.workers]

    def examine(self, pidfd: int) -> None:
        """A worker is gone: its group goes with it. What it wrote last is on its way and part of the story."""
        one = self.pool.lose(pidfd)
        pid, slot = one.pid, one.slot
        died = self.coroner.examine(pid)._replace(forced=one.forced)
        _core.answer_bell(self.region)  # it may have died between claiming the doorbell and ringing it
        os.close(pidfd)
        self.tidy_until = time.monotonic() + self.config.tidy
        asked = self.control.ask(pid)
        self.control.forget(pid)
        _core.begin_sweep(self.region, slot)
        self.dead[pid] = slot, died, time.monotonic() + self.config.last_words
        if not asked:
            self.bury(pid, "")

    def bury_overdue(self) -> None:
        """Those whose last words did not come in time."""
        for pid, (_, _, latest) in list(self.dead.items()):
            if time.monotonic() >= latest:
                self.bury(pid, "")

    def bury(self, pid: int, last_words: str) -> None:
        """Its tasks go where the scheduler says, its slot is swept."""
        slot, died, _ = self.dead.pop(pid)
        died = died._replace(last_words=last_words)
        for task in self.adopted(slot):
            self.obey(self.pool.scheduler.died(died, task))
        _core.end_sweep(self.region, slot)

    def adopted(self, slot: int) -> Iterator[Running]:
        """The tasks of a dead worker, innermost first; each is this process's until it is dealt with."""
        innermost = True
        while True:
            task, complete = _core.adopt_task(self.region, slot)
            if not task:
                return
            facts = _core.task_facts(self.region, task)
            name, site = self.name(facts["function"]), self.store.site(facts["site"])
            yield Running(task, name, site, facts["attempts"], facts["max_retries"], innermost, complete,
                          facts["cancelled"])
            innermost = False

    def name(self, function: int) -> str:
        """A function's name; never its code."""
        try:
            return str(serialization.loads(_core.payload(self.region, _core.function_handle(self.region, function))[1]))
        except Exception:  # it died while it exported the function
            return "(unknown)"

    def obey(self, order: Finish | Requeue | Fail) -> None:
        """Carries out one instruction about an adopted task."""
        if isinstance(order, Requeue):
            _core.requeue_task(self.region, order.task, order.counted, order.front)
            return
        if isinstance(order, Fail):
            failure: Failure | SystemFailure = SystemFailure(order.kind, order.text, order.facts)
            if order.kind == "WorkerCrashedError":  # a cancellation is no news to him who wished it
                failure = self.reporter.report(order.name, failure)
            for index in _core.task_returns(self.region, order.task):
                if index:
                    self.store.fail(index, failure)
        _core.finish_task(self.region, order.task)

    def end(self, grace: float) -> None:
        """Ends all workers: politely for `grace` seconds, then for certain."""
        _core.close_session(self.region)
        for fd in (self.bell, self.control.pidfd, self.control.hears()):
            if fd >= 0:
                self.poll.unregister(fd)  # nobody heeds them any more: they would only end each wait at once
        deadline = time.monotonic() + grace
        while len(self.pool) and (left := deadline - time.monotonic()) > 0:
            for fd, _ in self.poll.poll(min(left, self.config.node_look)):
                if fd in self.pool.workers:
                    self.pool.forget(fd)
                else:
                    deadline = 0  # the driver is gone: no reason to be polite
        self.pool.end()
        self.control.end()


def main(fd: int) -> None:
    """The node's life; `fd` is its end of the driver's socketpair."""
    _core.be_subreaper()
    node = Node(socket.socket(fileno=fd))
    node.setting["node"] = os.getpid()
    gc.collect()
    gc.freeze()  # forked workers share these pages as long as nobody walks over them
    with node.link:
        try:
            node.serve()
        except Exception:
            import traceback

            os.write(node.control.terminal[1], traceback.format_exc().encode())  # a bug of ours doesn't hide in a file
            raise
