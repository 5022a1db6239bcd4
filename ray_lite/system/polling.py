"""Waiting for one descriptor, whatever its number: `select.select` takes none from 1,024 on.

A signal whose handler returns does not cut a wait short, nor make it longer.  Imports nothing of ours.
"""

from __future__ import annotations

import select

LONGEST = 1e6  # seconds that one call may be asked for: poll counts milliseconds in 32 bits


def readable(fd: int, seconds: float | None = None) -> bool:
    """Waits until there is something to read, or an end, or for a pidfd the process has ended; False: not in time.

    Args:
        seconds: so long at most; 0 only looks. Default: for ever.
    """
    return _ready(fd, select.POLLIN, seconds)


def writable(fd: int, seconds: float | None = None) -> bool:
    """Waits until a write would not block, or would fail at once; False: not in time."""
    return _ready(fd, select.POLLOUT, seconds)


def _ready(fd: int, events: int, seconds: float | None) -> bool:
    poll = select.poll()
    poll.register(fd, events)
    return bool(poll.poll(None if seconds is None else min(seconds, LONGEST) * 1e3))
