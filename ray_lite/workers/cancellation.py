"""Cancellation of a running task: how TaskCancelledError gets into it.

The process that calls `cancel` marks the task, and the node sends CANCEL_SIGNAL.  The handler raises at once if the innermost
task runs Python code of the user.  Inside our own code, an import, or a hook whose exceptions the interpreter swallows, an
exception would leave things half done: then it is raised where a call of ours begins or waits, or by another signal soon after.
Each call of `cancel` raises it at most once.  Neighbours: inline_tasks.py and task_runner.py check the mark before and
after they run something.
"""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time
from collections.abc import Callable
from types import CodeType, FrameType

from ray_lite import _core
from ray_lite.exceptions import TaskCancelledError

CANCEL_SIGNAL = signal.SIGRTMAX - 2  # the node sends it to a worker whose innermost task is cancelled
IMPORTER = "<frozen importlib._bootstrap>"
HOOKS = {"__del__", "_acquireLock", "_releaseLock", "_after_fork"}  # the last three run in logging and threading around a fork
PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep

_entry_points: set[CodeType] = set()


def calls_users_code(code: CodeType) -> None:
    """Registers a function of ours that calls users' functions: an exception below its frame strikes the user's code."""
    _entry_points.add(code)


class Cancellation:
    """The cancellation of the tasks of this process.

    Args:
        worker: the worker; its `calling` is the record of the task whose function runs now.
        waiting_task: returns the record of the innermost task that runs another inline, or 0.
        again: seconds before the next try of a cancellation that could not be raised at once.
    """

    def __init__(self, region: _core.Region, worker: _core.Worker, waiting_task: Callable[[], int], again: float) -> None:
        self.region, self.worker, self.waiting_task, self.again = region, worker, waiting_task, again
        self.pending = False  #: whether a cancellation could not be raised at once
        self.main_thread = threading.get_ident()
        self._reminding = False  # whether a thread is about to send the signal again

    def check(self) -> None:
        """Raises TaskCancelledError if the innermost task is marked and has not got it yet; for the main thread only."""
        self.pending = False  # without a mark it was for a task that has ended, or for an outer task
        if _core.is_cancelled(self.region):  # even if nothing was pending: a task may have blocked the signal
            self.raise_it()

    def raise_it(self) -> None:
        """Raises TaskCancelledError, after a note in the record that the task has got it."""
        _core.cancel_delivered(self.region)
        raise TaskCancelledError("this task was cancelled")

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Handles CANCEL_SIGNAL. While no user's function runs it does nothing: the mark is checked soon, or came too late."""
        if not self.worker.calling or not _core.is_cancelled(self.region):
            return
        if self.worker.calling != self.waiting_task() and not is_delicate(frame):
            self.raise_it()
        self.pending = True
        if not self._reminding:
            self._reminding = True
            try:
                _thread.start_new_thread(self._remind, ())
            except RuntimeError:  # no thread can be started: the next call of ours raises
                self._reminding = False

    def _remind(self) -> None:
        """Sends the signal again, from a thread of its own."""
        time.sleep(self.again)
        self._reminding = False
        signal.pthread_kill(self.main_thread, CANCEL_SIGNAL)


def is_delicate(frame: FrameType | None) -> bool:
    """Whether an exception in this frame would strike other code than the user's.

    Such code is a call of ours that the innermost user's function made, an import, or a hook whose exceptions the interpreter
    swallows.  A function in C has no frame, so that of its caller counts.
    """
    while frame is not None:
        code = frame.f_code
        if code.co_filename == IMPORTER or code.co_name in HOOKS:
            return True
        if code.co_filename.startswith(PACKAGE):
            return code not in _entry_points
        frame = frame.f_back
    return False
