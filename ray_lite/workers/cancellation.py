"""Cancellation of a running task: how TaskCancelledError gets into it.

The node marks the task and sends CANCEL_SIGNAL.  The handler raises at once if the innermost user's function runs Python code of
the user.  In the midst of our own code, of an import, or of a hook whose exceptions the interpreter swallows, an exception would
leave things half done: then it is raised where a call of ours begins or waits, or by another signal soon after.  A task is told
once a call of `cancel`.  Neighbours: inline.py and task_runner.py look for the mark before and after they run something.
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

CANCEL_SIGNAL = signal.SIGRTMAX - 2  # the node's, to a worker whose innermost task is cancelled
IMPORTER = "<frozen importlib._bootstrap>"
HOOKS = {"__del__", "_acquireLock", "_releaseLock", "_after_fork"}  # the last three: of logging and threading, around a fork
PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep

_entry_points: set[CodeType] = set()


def calls_users_code(code: CodeType) -> None:
    """Says that a function of ours calls users' functions: below its frame, an exception strikes the user's code."""
    _entry_points.add(code)


class Cancellation:
    """The cancellation of the tasks of this process.

    Args:
        worker: whose `calling` is the record of the task whose function runs now.
        waiting_task: gives the record of the innermost task that runs another inline, or 0.
        again: seconds after which a cancellation that came at a delicate moment is tried again.
    """

    def __init__(self, region: _core.Region, worker: _core.Worker, waiting_task: Callable[[], int], again: float) -> None:
        self.region, self.worker, self.waiting_task, self.again = region, worker, waiting_task, again
        self.pending = False  #: a cancellation could not be raised at once
        self.main_thread = threading.get_ident()
        self._reminding = False  # a thread is about to send the signal again

    def check(self) -> None:
        """Raises TaskCancelledError if the innermost task is marked, and was not told; for the main thread."""
        self.pending = False  # without a mark it was about a task that has ended, or about one around the innermost
        if _core.is_cancelled(self.region):  # pending or not: a task may have blocked the signal
            self.raise_it()

    def raise_it(self) -> None:
        """Raises TaskCancelledError; the task counts as told."""
        _core.cancel_delivered(self.region)
        raise TaskCancelledError("this task was cancelled")

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """The handler of CANCEL_SIGNAL. While no user's function runs, the mark will be seen soon, or it came too late."""
        if not self.worker.calling or not _core.is_cancelled(self.region):
            return
        if self.worker.calling != self.waiting_task() and not _is_delicate(frame):
            self.raise_it()
        self.pending = True
        if not self._reminding:
            self._reminding = True
            try:
                _thread.start_new_thread(self._remind, ())
            except RuntimeError:  # there are no more threads: the next call of ours has to do
                self._reminding = False

    def _remind(self) -> None:
        """Sends the signal again; in a thread of its own."""
        time.sleep(self.again)
        self._reminding = False
        signal.pthread_kill(self.main_thread, CANCEL_SIGNAL)


def _is_delicate(frame: FrameType | None) -> bool:
    """Whether an exception in this frame would strike something else than the user's code.

    That is a call of ours that the innermost user's function made, an import, or a hook whose exceptions the interpreter
    swallows.  A function in C has no frame, only the one that called it.
    """
    while frame is not None:
        code = frame.f_code
        if code.co_filename == IMPORTER or code.co_name in HOOKS:
            return True
        if code.co_filename.startswith(PACKAGE):
            return code not in _entry_points
        frame = frame.f_back
    return False
