"""Waiting for one descriptor of any number: `select.select` refuses descriptors from 1,024 on.

A signal whose handler returns makes a wait neither shorter nor longer.  Must not import anything else of the package.
"""

from __future__ import annotations

import select

LONGEST = 1e6  # seconds that one call may wait: poll counts milliseconds in 32 bits


def readable(fd: int, seconds: float | None = None) -> bool:
    """Waits until a descriptor has data or is at its end, or the process of a pidfd has ended; whether that came in time.

    Args:
        seconds: most time to wait; 0 does not wait. Default: no limit.
    """
    return _ready(fd, select.POLLIN, seconds)


def writable(fd: int, seconds: float | None = None) -> bool:
    """Waits until a write would not block, or would fail at once; whether that came in time."""
    return _ready(fd, select.POLLOUT, seconds)


def _ready(fd: int, events: int, seconds: float | None) -> bool:
    poll = select.poll()
    poll.register(fd, events)
    return bool(poll.poll(None if seconds is None else min(seconds, LONGEST) * 1e3))
