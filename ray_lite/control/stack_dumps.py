"""StackDumps: the Python stacks of processes that run, by their fault handlers: nobody is stopped, and no code of theirs runs.

    control process --STACK_SIGNAL--> worker --its threads' stacks, as text--> pipe --> control process

All workers have the pipe's write end, so one process is asked at a time.  Neighbours: control_starter.py makes the pipe;
workers/main.py registers the handler; node/answers.py asks.
"""

from __future__ import annotations

import os
import signal
import threading
import time

from ray_lite.system.polling import readable

STACK_SIGNAL = signal.SIGRTMAX - 3  # the node ignores it, and so does a worker until it has the handler
PATIENCE = 0.5  # seconds that a process may take to begin: one that is stopped, or in the kernel, does not
QUIET = 0.03  # seconds without more text after which a dump is over
CHUNK = 65_536  # bytes of a read; more than the pipe holds is lost, since no writer may wait


class StackDumps:
    """The pipe for dumps, and whoever reads it."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._one = threading.Lock()

    def take(self, pid: int) -> str:
        """The stacks of a process's threads, the newest call first, or why there are none."""
        with self._one:
            self._read(0)  # what somebody wrote too late
            try:
                pidfd = os.pidfd_open(pid)
            except ProcessLookupError:
                return "(it has ended)"
            try:
                refusal = why_silent(pid)
                if refusal:
                    return f"({refusal})"
                signal.pidfd_send_signal(pidfd, STACK_SIGNAL)
            except OSError:
                return "(it has ended)"
            finally:
                os.close(pidfd)
            return self._read(PATIENCE) or f"(it did not answer within {PATIENCE:g} s)"

    def _read(self, patience: float) -> str:
        data, end = b"", time.monotonic() + patience
        while readable(self.read_end, max(0.0, end - time.monotonic())):
            data += os.read(self.read_end, CHUNK)
            end = time.monotonic() + QUIET
        return data.decode(errors="replace")


def why_silent(pid: int) -> str:
    """Why a process would not answer, or would not survive the signal; "" if it would.

    Raises:
        OSError: it has ended.
    """
    with open(f"/proc/{pid}/status") as file:
        fields = dict(line.split(":", 1) for line in file if ":" in line)
    bit = 1 << (STACK_SIGNAL - 1)
    if fields["State"].split()[0] in "Tt":
        return "it is stopped"
    if fields["State"].split()[0] == "D":
        return "it is in a system call that can't be interrupted"
    if not int(fields["SigCgt"], 16) & bit:
        return "it runs another program, or has only just begun"
    return "it blocks the signal" if int(fields["SigBlk"], 16) & bit else ""
