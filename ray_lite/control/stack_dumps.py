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
                os.kill(pid, STACK_SIGNAL)
            except ProcessLookupError:
                return "(it has ended)"
            return self._read(PATIENCE) or f"(it did not answer within {PATIENCE:g} s: it is stopped, or in a system call)"

    def _read(self, patience: float) -> str:
        data, end = b"", time.monotonic() + patience
        while readable(self.read_end, max(0.0, end - time.monotonic())):
            data += os.read(self.read_end, CHUNK)
            end = time.monotonic() + QUIET
        return data.decode(errors="replace")
