"""LockWatchdog: frees the lock from a process that was stopped (SIGSTOP, ^Z) inside it, so that it does not stop all others.

The watchdog counts its own checks instead of time, since the clock runs on while the whole machine sleeps.  It kills a stopped
worker: its task runs again.  It continues a stopped driver or node just until that has left the lock, and stops it again: the
user had a reason to stop it.  It only reports a traced process.  Each driver's control process has a watchdog for that driver's
processes; that of the host is for all.  Neighbour: process.py calls it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

LOOKS = 3  # checks in a row that must find the same thread stopped inside the lock
CLOSE = 0.05  # seconds between two checks while a process is stopped there
STEPS = 1000  # milliseconds that a driver may take to leave the lock


class LockWatchdog:
    """Checks the owner of the lock again and again.

    Args:
        owner: returns the thread id of the lock's owner, or 0 if the lock is free.
        is_spared: whether a process with this pid is never killed.
        say: shows a text to the user.
        patience: seconds between two checks while no process is stopped; a check then is one load of a word.
        is_ours: whether a process with this pid is one to look after.
    """

    def __init__(self, owner: Callable[[], int], is_spared: Callable[[int], bool], say: Callable[[str], None], patience: float,
                 is_ours: Callable[[int], bool] = lambda pid: True) -> None:
        self.owner, self.is_spared, self.say, self.patience, self.is_ours = owner, is_spared, say, patience, is_ours
        self._thread = self._seen = 0
        self._reported = 0

    def look(self) -> float:
        """Checks the owner, and acts if need be; returns the seconds until the next check."""
        thread = self.owner()
        state, pid = _facts(thread) if thread else ("", 0)
        if state not in ("T", "t") or not self.is_ours(pid):
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
                self.say(f"process {pid} is being traced and holds the session's lock: all others wait for it")
            self._reported = thread
            return
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return  # the process has ended by itself
        try:
            if self.owner() == thread:  # the process still lives, so pidfd refers to it
                self._free(thread, pid, pidfd)
        except (ProcessLookupError, PermissionError):
            pass  # it has ended, or has changed its user
        finally:
            os.close(pidfd)

    def _free(self, thread: int, pid: int, pidfd: int) -> None:
        if not self.is_spared(pid):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            return
        signal.pidfd_send_signal(pidfd, signal.SIGCONT)
        for _ in range(STEPS):
            if self.owner() != thread:
                break
            time.sleep(0.001)
        signal.pidfd_send_signal(pidfd, signal.SIGSTOP)


def _facts(thread: int) -> tuple[str, int]:
    """(state, process id) of a thread, or ("", 0) if it is gone."""
    try:
        with open(f"/proc/{thread}/status") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
    except OSError:
        return "", 0
    return fields["State"].split()[0], int(fields["Tgid"])
