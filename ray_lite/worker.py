"""A worker process: take -> load -> run -> seal, for ever; one task at a time, in the main thread.

The loop is the core's (`_core.Worker`); this is its policy: loading functions and arguments, storing results that are
not plain, failing tasks; and the backend that tasks see, which helps in place and gives CPUs back while it blocks.
Neighbours: node.py forks into `main`.
"""

from __future__ import annotations

import _thread
import contextvars
import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any, NoReturn

from ray_lite import _core, session
from ray_lite.config import Config
from ray_lite.exceptions import DeadlockError, TaskCancelledError
from ray_lite.failures import ArgumentFailed, Failure, SystemFailure, pack
from ray_lite.local import PACKED, LocalBackend, Part
from ray_lite.options import Extra
from ray_lite.outfit import Outfit
from ray_lite.reporter import Reporter
from ray_lite.scheduler import UNLIMITED
from ray_lite.serialization import dumps, loads
from ray_lite.surroundings import Dice, Surroundings, reseed

HELP_DEPTH = 64  # tasks in place on top of each other; then the worker blocks and the pool grows
HELP_FRAMES = 100  # what a level may cost of the recursion limit, beyond the user's own frames
DEEPEST = HELP_FRAMES * HELP_DEPTH  # no task in place runs another on a stack deeper than this: C's has an end, too
AT_ONCE = 64  # ids that a task looks at for one to help with before it gives its CPUs back: no longer than that takes itself
FIRST_PARK = 0.05  # seconds; doubles up to Config.idle_park
IMPORTER = "<frozen importlib._bootstrap>"
HOOKS = {"__del__", "_acquireLock", "_releaseLock", "_after_fork"}  # the last three: of logging and threading, around a fork
PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
CANCEL_SIGNAL = signal.SIGRTMAX - 2  # the node's, to a worker whose innermost task is cancelled


class WorkerBackend(LocalBackend):
    """What tasks see: a LocalBackend that helps before it blocks."""

    is_worker = True

    def __init__(self, region: _core.Region, setting: dict[str, Any], reporter: Reporter) -> None:
        part = Part(setting["config"], setting["resources"], setting["job"], setting["nonce"], setting["spill"])
        super().__init__(region, part)
        self.outfit = Outfit(region, part.resources, setting["seat"] if setting["pin"] else None)
        self.limit = setting["limit"]
        self.worker = _core.Worker(region, Policy(self, reporter))
        self.depth = 0
        self.recursion = sys.getrecursionlimit()  # what a task may count on, in place too
        self.helping = 0  # the record of the innermost task that is in `_help`
        self.pending = False  # a cancellation that could not be raised at once
        self.reminding = False  # a thread is about to say so again
        self.main_thread = threading.get_ident()

    def submit(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.pending:
            self.look_around()
        return super().submit(function, args, kwargs)

    def get(self, object_ids: Any, timeout: float | None, writable: bool = False) -> Any:
        if self.pending:
            self.look_around()
        return super().get(object_ids, timeout, writable)

    def put(self, value: Any, timeout: float | None = None) -> _core.ObjectID:
        if self.pending:
            self.look_around()
        return super().put(value, timeout)

    def wait(self, object_ids: list[Any], num_returns: int, timeout: float | None) -> tuple[list[Any], list[Any]]:
        if self.pending:
            self.look_around()
        return super().wait(object_ids, num_returns, timeout)

    def wait_until(self, ids: list[_core.ObjectID], allowed: int, timeout: float | None, help: bool) -> bool:
        """Helps where that is possible, then waits with the CPUs given back."""
        if threading.get_ident() != self.main_thread or _core.current_task()[0] == 0:
            return super().wait_until(ids, allowed, timeout, False)
        if _core.is_cancelled(self.region):
            self.raise_cancelled()
        if help and self._help_all(ids):
            return True
        wait = partial(super().wait_until, ids, allowed, timeout, False)
        return _core.while_blocked(self.region, timeout is None, wait)

    def look_around(self) -> None:
        """The task may have been cancelled, or the node may have found that what this process waits for can't come."""
        if threading.get_ident() != self.main_thread:
            return
        self.pending = False  # if there is no mark, this was about a task that has ended, or about one around it
        if _core.is_cancelled(self.region):  # pending or not: a task may have blocked the signal
            self.raise_cancelled()
        if _core.take_verdict(self.region):
            raise DeadlockError(self._why_stuck())

    def _why_stuck(self) -> str:
        names = {_core.CPU: "CPU", _core.GPU: "GPU", **{_core.CUSTOM + k: name for name, k in self._kinds.items()}}
        lacked = ", ".join(names[kind] for kind in _core.scarce(self.region))
        if lacked:
            return f"nobody works any more: the tasks that are left need what those hold that wait ({lacked})"
        there = len(self.worker_pids())
        why = f"there can't be more than {self.limit.value:,} ({self.limit.source})"
        if there < self.limit.value:
            why = "the machine gives no more processes"
        return f"all {there:,} workers wait for tasks, and none is left to run these: {why}"

    def raise_cancelled(self) -> None:
        """In a task that was cancelled."""
        _core.told(self.region)
        raise TaskCancelledError("this task was cancelled")

    def heed_signal(self, number: int, frame: FrameType | None) -> None:
        """CANCEL_SIGNAL. While no user's function runs, the mark will be seen soon, or it came too late. In the midst of our
        own code, or of an import, an exception would leave things half done: then it is raised where a call of ours begins or
        waits, or soon after."""
        if not self.worker.calling or not _core.is_cancelled(self.region):
            return
        if self.worker.calling != self.helping and not _is_delicate(frame):
            self.raise_cancelled()
        self.pending = True
        if not self.reminding:
            self.reminding = True
            try:
                _thread.start_new_thread(self._remind, ())
            except RuntimeError:  # there are no more threads: the next call of ours has to do
                self.reminding = False

    def _remind(self) -> None:
        """In a thread of its own."""
        time.sleep(self.config.cancel_again)
        self.reminding = False
        signal.pthread_kill(self.main_thread, CANCEL_SIGNAL)

    def _help_all(self, ids: list[_core.ObjectID]) -> bool:
        """Runs in place what the ids wait for, while there is anything of that kind; whether all are ready then."""
        late = _core.lacking(self.region, ids)
        if len(late) > 1:
            _core.announce(self.region, late)
        dice = Dice()
        at = 0
        try:
            while self._may_help() and (at := self._find_help(late, at)) < len(late):
                self._help(late[at], dice)
        finally:
            dice.take_back()
        return not _core.lacking(self.region, ids)

    def _find_help(self, late: list[_core.ObjectID], at: int) -> int:
        """Where the first is, from `at` on, that may be helped now. Others have the CPUs during a long look."""
        found = _core.find_help(self.region, late, at, AT_ONCE)
        if found < at + AT_ONCE:
            return found
        return _core.while_blocked(self.region, False, partial(_core.find_help, self.region, late, found, len(late)))

    def _may_help(self) -> bool:
        return self.depth == 0 or self.depth < HELP_DEPTH and _core.stack_depth() < DEEPEST

    def _help(self, x: _core.ObjectID, dice: Dice) -> bool:
        """Runs in place a task that `x` waits for, in fresh surroundings; whether there was one."""
        around: list[Surroundings] = []
        setting = self.settings.now()

        def enter() -> None:
            dice.lend()
            around.append(Surroundings())

        limit, depth, helping = sys.getrecursionlimit(), self.depth, self.helping
        try:
            self.depth, self.helping = depth + 1, self.worker.calling
            sys.setrecursionlimit(max(limit, _core.stack_depth() + self.recursion + HELP_FRAMES))
            helped = contextvars.Context().run(self.worker.help, x, enter)
        finally:
            try:
                if setting[1] != _core.get_setting():
                    self.settings.back(setting)
                for one in around:
                    one.restore()
            finally:  # of a signal handler that raises
                self.depth, self.helping = depth, helping
                sys.setrecursionlimit(limit)
        if helped and _core.is_cancelled(self.region):  # it came while this task was not the innermost
            self.raise_cancelled()
        return helped


def _is_delicate(frame: FrameType | None) -> bool:
    """Whether the frame belongs to a call of ours that the innermost user's function made, to an import, or to what the
    interpreter calls itself, and swallows exceptions of. Of a function in C there is no frame, only the one that called it."""
    while frame is not None:
        code = frame.f_code
        if code.co_filename == IMPORTER or code.co_name in HOOKS:
            return True
        if code.co_filename.startswith(PACKAGE):
            return code not in BEGINNINGS
        frame = frame.f_back
    return False


class Policy:
    """What the core's loop asks for. Method names are `_core.Worker`'s."""

    def __init__(self, backend: WorkerBackend, reporter: Reporter) -> None:
        self.backend, self.store, self.reporter = backend, backend.store, reporter
        self.names: dict[int, str] = {}
        self.extras: dict[int, Extra] = {0: Extra()}
        self.extra = Extra()
        self.calls: dict[int, int] = {}

    def function(self, index: int) -> Callable[..., Any]:
        """The callable behind a task's function object, which may still be on its way."""
        x = _core.function_handle(self.backend.region, index)
        LocalBackend.wait_until(self.backend, [x], 0, None, False)
        return self.backend.function((index, 0))

    def name(self, index: int) -> str:
        """The function's name, for reports."""
        if index not in self.names:
            x = _core.function_handle(self.backend.region, index)
            self.names[index] = loads(_core.payload(self.backend.region, x)[1])
        return self.names[index]

    def load(self, x: _core.ObjectID, writable: bool) -> Any:
        """An argument's value; its failure is the task's."""
        value, failure = self.store.load(x, writable)
        if failure is not None:
            raise ArgumentFailed(failure)
        return value

    def arguments(self, task: int, data: bytes, writable: bool) -> tuple[list[Any], dict[str, Any]]:
        """Arguments that were pickled, with the values of ids in their places."""
        refs = _core.task_arguments(self.backend.region, task)
        values, named, places = self.load(refs.pop(0), writable) if data == PACKED else loads(data)
        for place, x in zip(places, refs, strict=True):
            (values if isinstance(place, int) else named)[place] = self.load(x, writable)
        return values, named

    def store_result(self, task: int, result: Any) -> None:
        """Values for a task's returns; those that an earlier attempt sealed stay."""
        returns = _core.task_returns(self.backend.region, task)
        values = [result] if len(returns) == 1 else self._several(task, result, len(returns))
        for index, value in zip(returns, values, strict=True):
            if index:
                self.store.fill(index, dumps(value, "result"))

    def _several(self, task: int, result: Any, count: int) -> list[Any]:
        values = list(result) if isinstance(result, (tuple, list)) else None
        if values is None or len(values) != count:
            got = f"{len(values)} values" if values is not None else f"one {type(result).__name__}"
            raise ValueError(f"the task has num_return_vals={count} and must return a tuple or list of so many, not {got}")
        return values

    def fail(self, task: int, error: BaseException) -> bool:
        """The task's returns get the error, or (True) it is to run again; never fails itself."""
        facts = _core.task_facts(self.backend.region, task)
        if self._again(facts, error):
            return True
        name = self.name(facts["function"])
        failure = self._failure(name, facts, error)
        for index in _core.task_returns(self.backend.region, task):
            if index:
                self.store.fail(index, failure)
        if error.__traceback__ is not None:
            import traceback

            traceback.clear_frames(error.__traceback__)  # they hold the arguments' views
        return False

    def _again(self, facts: dict[str, Any], error: BaseException) -> bool:
        """Whether the user wants another attempt after this error, and there is one left."""
        if facts["cancelled"] or isinstance(error, ArgumentFailed):
            return False
        try:
            if not isinstance(error, self.extra.retry_exceptions):
                return False
        except BaseException:  # the class asks code of the user's: this would hide the task's error, and end the worker
            return False
        return bool(facts["attempts"] <= facts["max_retries"] or facts["max_retries"] == UNLIMITED)

    def _failure(self, name: str, facts: dict[str, Any], error: BaseException) -> Failure | SystemFailure:
        """What to store for an error; reported, unless it is known already or was wished for."""
        if facts["cancelled"] and isinstance(error, TaskCancelledError):
            return SystemFailure("TaskCancelledError", f"task {name} was cancelled while it ran")
        failure = pack(error, name)
        if isinstance(error, ArgumentFailed):  # what an argument failed of was reported there
            return failure
        if isinstance(failure, Failure) and self.extra.retry_exceptions:
            failure = failure._replace(attempts=facts["attempts"])
        return self.reporter.report(name, failure)

    def raise_cancelled(self) -> None:
        """A cancelled task is about to call its function."""
        self.backend.raise_cancelled()

    def is_enough(self, function: int) -> bool:
        """Whether the worker has run the function as often as its max_calls says."""
        self.calls[function] = self.calls.get(function, 0) + 1
        return 0 < self.extra.max_calls <= self.calls[function]

    def leave_child(self, error: BaseException | None) -> NoReturn:
        """A child that the task forked came to the end of the task: it ends here, the task is its parent's."""
        end_child(error)

    def setting(self, index: int) -> None:
        """The next task was called with another sys.path or directory."""
        self.backend.settings.apply(index)

    def shape(self, queue: int) -> bool:
        """The next task has other resources, or options; False: this worker can't run it."""
        cpus, options = _core.shape_facts(self.backend.region, queue)
        self.extra = Extra()  # if its own can't be loaded
        if options not in self.extras:
            self.extras[options], _ = self.store.load(_core.function_handle(self.backend.region, options))
        self.extra = self.extras[options]
        if not self.backend.outfit.change(cpus, may_decline=self.backend.depth == 0):
            return False
        self.store.copy_by(cpus)
        self.backend.worker.counts = self.backend.worker.counts or self.extra.max_calls > 0
        return True


def end_child(error: BaseException | None) -> NoReturn:
    """Ends a forked process as an interpreter would, but runs none of its parent's exit handlers."""
    code = 0 if error is None else 1
    if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
        code, error = error.code or 0, None
    try:
        if error is not None:
            import traceback

            traceback.print_exception(type(error), error, error.__traceback__)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except Exception:  # closed streams, exceptions that fail when they are shown: it ends all the same
        code = code or 1
    finally:
        os._exit(code)


def _stand_in_front(score: int) -> None:
    """The kernel's out-of-memory killer takes workers before the node, which maps the same store."""
    path = "/proc/self/oom_score_adj"
    try:
        with open(path) as file:
            own = int(file.read())
        with open(path, "w") as file:
            file.write(str(min(own + score, 1000)))
    except OSError:
        return  # no /proc, or a read-only one: then the kernel chooses


def _begin(setting: dict[str, Any]) -> None:
    """The process's surroundings: the driver's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.path[:] = setting["path"]
    sys.argv[:] = setting["argv"]
    os.umask(setting["umask"])
    _stand_in_front(setting["config"].oom_score)
    if not faulthandler.is_enabled():
        faulthandler.enable(2, all_threads=False)  # its trace is part of WorkerCrashedError
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True)
    reseed()


def main(region: _core.Region, setting: dict[str, Any], reporter: Reporter) -> None:
    """A worker's life, in a freshly forked process that holds its slot. Returns when the session ends."""
    _begin(setting)
    region.make_current()
    config: Config = setting["config"]
    backend = WorkerBackend(region, setting, reporter)
    backend.settings.begin()
    backend.sites.begin()
    session.install(backend)
    signal.signal(CANCEL_SIGNAL, backend.heed_signal)
    hot = int(config.hot * 1e9) if len(os.sched_getaffinity(0)) > 1 else 0
    park = FIRST_PARK
    while not _core.is_closing(region) and not backend.worker.retired:
        before = backend.worker.ran
        backend.worker.run(hot, int(park * 1e9))
        park = FIRST_PARK if backend.worker.ran > before else min(park * 2, config.idle_park)
    backend.worker.leave()


BEGINNINGS = {main.__code__, WorkerBackend._help.__code__}  # the frames of ours from which users' functions are called
