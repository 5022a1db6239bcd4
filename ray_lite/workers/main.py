"""A worker's life: a process forked by the node runs tasks, one at a time in its main thread, until the session ends.

The loop over tasks is the core's (`_core.Worker`).  Neighbours: node/worker_process.py forks into `main`.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys

from ray_lite import _core, session
from ray_lite.calls.instance import instance
from ray_lite.control.report_channel import Reporter
from ray_lite.control.stack_dumps import STACK_SIGNAL
from ray_lite.session_setting import SessionSetting
from ray_lite.values import script
from ray_lite.workers import graceful_end
from ray_lite.workers.actor_runner import ActorRunner
from ray_lite.workers.backend import WorkerBackend
from ray_lite.workers.cancellation import CANCEL_SIGNAL, calls_users_code
from ray_lite.workers.concurrency import concurrently
from ray_lite.workers.import_hook import when_imported
from ray_lite.workers.isolation import reseed

FIRST_PARK = 0.05  # seconds; doubles up to Config.idle_park


def main(region: _core.Region, setting: SessionSetting, pin_index: int | None, reporter: Reporter) -> None:
    """Runs tasks in this process, which holds its slot already; returns when the session or this worker is to end."""
    _begin(setting)
    region.make_current()
    config = setting.config
    backend = WorkerBackend(region, setting, pin_index, reporter)
    backend.runtime_env.begin()
    backend.call_sites.begin()
    backend.serializers.begin()
    session.install(backend)
    signal.signal(CANCEL_SIGNAL, backend.cancellation.on_signal)
    backend.signals.begin()
    hot = int(config.hot * 1e9) if len(os.sched_getaffinity(0)) > 1 else 0
    park = FIRST_PARK
    if isinstance(backend.runner, ActorRunner):
        backend.runner.begin(backend.worker, config.kept_calls)
        _run_calls(backend, backend.runner, hot)
        _shut_down(backend)
        return
    while not _core.is_closing(region) and not backend.worker.retired:
        before = backend.worker.ran
        backend.worker.run(hot, int(park * 1e9))
        park = FIRST_PARK if backend.worker.ran > before else min(park * 2, config.idle_park)
    backend.worker.leave()


def _run_calls(backend: WorkerBackend, runner: ActorRunner, hot: int) -> None:
    """Runs the calls of this process's actor until it ends; the first is the constructor's."""
    region, config, worker = backend.region, backend.config, backend.worker
    several = _core.calls_at_once(region) > 1
    while not _core.is_closing(region) and not (worker.retired or runner.over):
        if several and (worker.ran or instance.value is not None):  # made, or restored
            concurrently(backend)
            return
        worker.run_calls(hot, int(config.actor_park * 1e9), int(config.actor_turn * 1e9))


calls_users_code(main.__code__)
calls_users_code(_run_calls.__code__)


def _begin(setting: SessionSetting) -> None:
    """Gives the process the driver's arguments, path and umask, a `__main__`, and handlers: for signals, faults and its end."""
    graceful_end.begin()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.path[:] = setting.path
    sys.argv[:] = setting.argv
    script.begin()
    when_imported("multiprocessing.reduction", _send_to_children)
    os.umask(setting.umask)
    _raise_oom_score(setting.config.oom_score)
    if not faulthandler.is_enabled():
        faulthandler.enable(2, all_threads=False)  # its trace is part of WorkerCrashedError
    faulthandler.register(STACK_SIGNAL, setting.stack_fd, all_threads=True)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True)
    reseed()


def _shut_down(backend: WorkerBackend) -> None:
    """The end of an actor: what its hook raises is shown, and stops nothing.

    After Config.actor_grace the process ends; at the end of the session the node bounds the hook.
    """
    backend.worker.functions.clear()  # methods, which hold the instance
    try:
        if not _core.is_closing(backend.region):
            faulthandler.dump_traceback_later(backend.config.actor_grace, exit=True, file=2)
        instance.shut_down()
    except KeyboardInterrupt:
        raise
    except BaseException:
        import traceback

        name = session.current().actors.current().methods.name
        print(f"ray_lite: __ray_shutdown__ of {name} failed:\n{traceback.format_exc()}", file=sys.stderr, flush=True)


def _send_to_children() -> None:
    from ray_lite.values import children  # imports cloudpickle

    children.install()


def _raise_oom_score(by: int) -> None:
    """Makes the kernel's out-of-memory killer choose a worker before the node, which maps the same store."""
    path = "/proc/self/oom_score_adj"
    try:
        with open(path) as file:
            own = int(file.read())
        with open(path, "w") as file:
            file.write(str(min(own + by, 1000)))
    except OSError:
        return  # no /proc, or a read-only one: then the kernel chooses
