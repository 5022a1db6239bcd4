"""WorkerProcess: a worker as the node tracks it, and how a forked child becomes one.

Neighbours: worker_starter.py forks; pool.py tracks; workers/main.py is what the child runs.
"""

from __future__ import annotations

import os
import resource
import signal
from typing import NoReturn

from ray_lite import _core
from ray_lite.control.report_channel import Reporter
from ray_lite.session_setting import SessionSetting
from ray_lite.system.process import started_at
from ray_lite.workers import main as worker
from ray_lite.workers.child import end_child
from ray_lite.workers.graceful_end import end_worker


class WorkerProcess:
    """A worker process as the node tracks it."""

    def __init__(self, pid: int, slot: int, pin_index: int | None) -> None:
        self.pid, self.slot, self.pin_index = pid, slot, pin_index
        self.forced = False  #: killed by `cancel(force=True)`
        self.leaving = False  #: asked to end

    def kill(self) -> None:
        """Kills the process and its group."""
        kill_group(self.pid)


def kill_group(pid: int) -> None:
    """Kills a worker's process and its group."""
    for kill in (os.kill, os.killpg):
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it has ended by itself, or had no group yet


def become_worker(
    region: _core.Region, setting: SessionSetting, reporter: Reporter, files: tuple[int, int], place: tuple[int, int | None]
) -> NoReturn:
    """Makes the forked child a worker until the session ends, then ends it: as an interpreter would, unless the worker failed.

    Args:
        files: soft and hard limit of descriptors, as in the driver.
        place: (slot, pin index; None: it is not pinned).
    """
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, files)
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (min(1, hard) if hard >= 0 else 1, hard))
        slot, pin_index = place
        _core.adopt_slot(region, slot, os.getpid(), started_at(os.getpid()))
        worker.main(region, setting, pin_index, reporter)
    except BaseException as error:  # whatever ended the worker becomes its last words
        if _core.node_died(region):  # seen before the parent-death signal: the group ends now, without output
            os.killpg(0, signal.SIGKILL)
        end_child(error)
    end_worker(region, setting.config.exit_grace)
