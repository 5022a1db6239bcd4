"""A worker process: take -> load -> run -> seal, for ever; one task at a time, in the main thread.

The loop is the core's (`_core.Worker`); this is its policy: loading functions and arguments, storing results that are
not plain, failing tasks; and the backend that tasks see, which helps in place and gives CPUs back while it blocks.
Neighbours: node.py forks into `main`.
"""

from __future__ import annotations

import contextvars
import faulthandler
import math
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from ray_lite import _core, session
from ray_lite.config import CPU_UNIT, Config
from ray_lite.failures import ArgumentFailed, pack
from ray_lite.local import PACKED, LocalBackend
from ray_lite.reporter import Reporter
from ray_lite.serialization import dumps, loads
from ray_lite.surroundings import Surroundings, reseed

HELP_DEPTH = 64  # tasks in place on top of each other; then the worker blocks and the pool grows
HELP_FRAMES = 100  # what a level may cost of the recursion limit, beyond the user's own frames
PATIENCE = 4  # short spins for a task that another worker runs, before this worker sleeps and the pool may grow
FIRST_PARK = 0.05  # seconds; doubles up to Config.idle_park
THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "TBB_NUM_THREADS",
)


class WorkerBackend(LocalBackend):
    """What tasks see: a LocalBackend that helps before it blocks."""

    is_worker = True

    def __init__(self, region: _core.Region, setting: dict[str, Any], reporter: Reporter) -> None:
        super().__init__(region, setting["config"], setting["job"], setting["nonce"], setting["spill"])
        self.worker = _core.Worker(region, Policy(self, reporter))
        self.depth = 0
        self.main_thread = threading.get_ident()

    def wait_until(self, ids: list[_core.ObjectID], allowed: int, timeout: float | None, help: bool) -> bool:
        """Helps where that is possible, then waits with the CPUs given back."""
        if threading.get_ident() != self.main_thread or _core.current_task()[0] == 0:
            return super().wait_until(ids, allowed, timeout, False)
        if help and self._help_all(ids):
            return True
        _core.block(self.region)
        try:
            return super().wait_until(ids, allowed, timeout, False)
        finally:
            _core.unblock(self.region)

    def _help_all(self, ids: list[_core.ObjectID]) -> bool:
        """Runs in place what the ids wait for, while there is anything of that kind; whether all are ready then."""
        late = _core.lacking(self.region, ids)
        if len(late) > 1:
            _core.announce(self.region, late)
        for x in late:
            patience = PATIENCE
            while patience and self.depth < HELP_DEPTH and _core.lacking(self.region, [x]):
                if self._help(x):
                    patience = PATIENCE
                else:
                    patience -= 1
                    _core.wait_for_ids(self.region, [x], 0, (-1, self._spin, 1), 2)
        return not _core.lacking(self.region, ids)

    def _help(self, x: _core.ObjectID) -> bool:
        """Runs in place a task that `x` waits for, in fresh surroundings; whether there was one."""
        around = Surroundings()
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(limit + HELP_FRAMES)
        self.depth += 1
        try:
            return contextvars.Context().run(self.worker.help, x)
        finally:
            self.depth -= 1
            sys.setrecursionlimit(limit)
            around.restore()


class Policy:
    """What the core's loop asks for. Method names are `_core.Worker`'s."""

    def __init__(self, backend: WorkerBackend, reporter: Reporter) -> None:
        self.backend, self.store, self.reporter = backend, backend.store, reporter
        self.names: dict[int, str] = {}
        self.user_threads = {name for name in THREAD_VARIABLES if name in os.environ}

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

    def fail(self, task: int, error: BaseException) -> None:
        """The task's returns get the error; never fails itself."""
        name = self.name(_core.task_facts(self.backend.region, task)["function"])
        failure = pack(error, name)
        if not isinstance(error, ArgumentFailed):  # what an argument failed of was reported there
            failure = self.reporter.report(name, failure)
        for index in _core.task_returns(self.backend.region, task):
            if index:
                self.store.fail(index, failure)
        if error.__traceback__ is not None:
            import traceback

            traceback.clear_frames(error.__traceback__)  # they hold the arguments' views

    def leave_child(self, error: BaseException | None) -> NoReturn:
        """A child that the task forked came to the end of the task: it ends here, the task is its parent's."""
        end_child(error)

    def setting(self, index: int) -> None:
        """The next task was called with another sys.path or directory."""
        self.backend.settings.apply(index)

    def shape(self, cpus: int) -> None:
        """The next task has another number of CPUs: copies follow, and BLAS and its kin, unless the user set them."""
        self.store.copy_by(cpus)
        threads = str(max(1, math.ceil(cpus / CPU_UNIT)))
        for variable in THREAD_VARIABLES:
            if variable not in self.user_threads:
                os.environ[variable] = threads


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
    _core.watch_directory()
    backend.sites.begin()
    session.install(backend)
    hot = int(config.hot * 1e9) if len(os.sched_getaffinity(0)) > 1 else 0
    park = FIRST_PARK
    while not _core.is_closing(region):
        before = backend.worker.ran
        backend.worker.run(hot, int(park * 1e9))
        park = FIRST_PARK if backend.worker.ran > before else min(park * 2, config.idle_park)
    backend.worker.leave()
