"""Forked children of a test: each runs one function, never comes back into the test run, and is ended and reaped.

The fixture `forked` (conftest.py) makes them. After a bare `os.fork`, the child of a test that fails lives on, and a child that
fails itself runs the rest of the tests a second time.
"""

import contextlib
import os
import select
import signal
import traceback

LONGEST_S = 60  # whatever happens to the test, the child ends


class Child:
    """A forked process; `wait` gives its exit status, negative for a signal."""

    def __init__(self, function, arguments):
        self.status = None
        self.judged = False  # the test has seen how it ended
        self.pid = os.fork()
        if self.pid == 0:
            self.run(function, arguments)
        self.pidfd = os.pidfd_open(self.pid)

    def run(self, function, arguments):
        status = 1
        try:
            signal.alarm(LONGEST_S)
            self.result = function(*arguments)  # kept: what it holds is held until the end
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def ended(self):
        return self.status is not None or bool(select.select([self.pidfd], [], [], 0)[0])

    def wait(self):
        """Its exit status, for the test to judge."""
        self.judged = True
        return self.reap()

    def kill(self):
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):  # reaped already, as in `reap`
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        return self.reap()

    def reap(self):
        if self.status is None:
            assert select.select([self.pidfd], [], [], LONGEST_S)[0], "a child does not end"
            self.status = 0
            with contextlib.suppress(ChildProcessError):  # what the test examines has reaped it, and so knows how it ended
                end = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
                self.status = end.si_status if end.si_code == os.CLD_EXITED else -end.si_status
            os.close(self.pidfd)
        return self.status

    def ended_well(self):
        return self.judged or self.status in (0, -signal.SIGKILL)
