"""SIGTERM to a driver, with which batch systems ask a job to end: the session ends first, then the driver, by the signal.

The handler is set only in the main thread, and only while SIGTERM has its default action.  A forked child gets the default
action again at once: it has no session, and its parent (a multiprocessing pool) may end it by SIGTERM while it blocks where
no Python handler runs.  Neighbour: api.py.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

_end: Callable[[], None] | None = None


def watch(end: Callable[[], None]) -> None:
    """Lets SIGTERM call `end` before it ends this process; does nothing outside the main thread or if SIGTERM is handled."""
    global _end
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminated)
        _end = end


def leave() -> None:
    """Gives SIGTERM its default action again, unless the user has set another one meanwhile."""
    global _end
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is _terminated:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _end = None


def _leave_in_child() -> None:
    """Gives SIGTERM its default action again in a forked child, where the forking thread is the main thread."""
    global _end
    if _end is not None:
        _end = None
        if signal.getsignal(signal.SIGTERM) is _terminated:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminated(number: int, frame: FrameType | None) -> None:
    end = _end
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second SIGTERM ends the process at once
    try:
        if end is not None:
            end()
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


os.register_at_fork(after_in_child=_leave_in_child)
