"""Watchdog: a process that was stopped (SIGSTOP, ^Z) inside the lock must not stop all others.

Its progress is counted in looks of the watchdog's own, not by the clock, which runs on while the whole machine sleeps.  A
stopped worker is killed: its task runs again.  A stopped driver or node goes on just until it has left the lock, and is
stopped again: whoever stopped it had a reason.  A traced process is only reported.  Neighbours: control_process.py looks.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

LOOKS = 3  # so many looks in a row must find the same thread stopped inside the lock
CLOSE = 0.05  # seconds between two looks while somebody is stopped there
STEPS = 1000  # of a millisecond: how long a driver may take to leave the lock


class Watchdog:
    """Looks at the owner of the lock.

    Args:
        owner: gives the thread id of the lock's owner, 0 when nobody has it.
        spared: pids that are never killed.
        say: takes a text for the user.
        patience: seconds between two looks while all is well; a look is one load of a word.
    """

    def __init__(self, owner: Callable[[], int], spared: set[int], say: Callable[[str], None], patience: float) -> None:
        self.owner, self.spared, self.say, self.patience = owner, spared, say, patience
        self._thread = self._seen = 0
        self._reported = 0

    def look(self) -> float:
        """Looks, and acts if need be; seconds until the next look."""
        thread = self.owner()
        state, pid = _facts(thread) if thread else ("", 0)
        if state not in ("T", "t"):
            self._seen = 0
            return self.patience
        self._seen = self._seen + 1 if thread == self._thread else 1
        self._thread = thread
        if self._seen >= LOOKS:
            self._act(thread, pid, state)
        return CLOSE

    def _act(self, thread: int, pid: int, state: str) -> None:
        if state == "t":
            if self._reported != thread:
                self.say(f"process {pid} is being traced and holds the session's lock: everybody waits for it")
            self._reported = thread
            return
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return  # gone by itself
        try:
            if self.owner() == thread:  # so that pidfd is that process
                self._free(thread, pid, pidfd)
        except ProcessLookupError:
            pass
        finally:
            os.close(pidfd)

    def _free(self, thread: int, pid: int, pidfd: int) -> None:
        if pid not in self.spared:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            return
        signal.pidfd_send_signal(pidfd, signal.SIGCONT)
        for _ in range(STEPS):
            if self.owner() != thread:
                break
            time.sleep(0.001)
        signal.pidfd_send_signal(pidfd, signal.SIGSTOP)


def _facts(thread: int) -> tuple[str, int]:
    """(state, process id) of a thread; ("", 0) when it is gone."""
    try:
        with open(f"/proc/{thread}/status") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
    except OSError:
        return "", 0
    return fields["State"].split()[0], int(fields["Tgid"])
