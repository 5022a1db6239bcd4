"""SIGTERM of a driver: a batch system's polite request.  The session ends in good order, then the driver by the signal.

Only where nobody asked for something else: in the main thread, while SIGTERM has its default action.  A forked child has
that action again at once: it holds no session, and whoever forked it (a multiprocessing pool) may end it by SIGTERM while
it blocks where no Python handler runs.  Neighbours: api.py.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

_end: Callable[[], None] | None = None


def watch(end: Callable[[], None]) -> None:
    """From now on SIGTERM calls `end` before it ends this process; if this thread may say so."""
    global _end
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminated)
        _end = end


def leave() -> None:
    """SIGTERM has its default action again, unless the user gave it another meanwhile."""
    global _end
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is _terminated:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _end = None


def _leave_in_child() -> None:
    """The forking thread is the child's main thread, whatever it was before."""
    global _end
    if _end is not None:
        _end = None
        if signal.getsignal(signal.SIGTERM) is _terminated:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminated(number: int, frame: FrameType | None) -> None:
    end = _end
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends it at once
    try:
        if end is not None:
            end()
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


os.register_at_fork(after_in_child=_leave_in_child)
