"""The runner's hold on one driver process: starts it, sends orders, takes answers, ends it.

The driver is forked from the runner, which has one thread and no session, but all imports: a fresh driver costs a few
milliseconds.  Orders may be sent ahead; answers come in their order.  Neighbours: driver.py is the other end, play.py decides
what to order.
"""

import contextlib
import multiprocessing
import os
import select
import signal
import time

import driver
from model import Failed

PATIENCE_S = 30.0  # the longest that a driver may take for an order; then it hangs
GONE_S = 5.0  # a killed process has ended by then


class Lost(Exception):
    """The driver is no more."""


class Player:
    """One driver process.

    Args:
        output: path of the file that is its terminal.
        strangers: descriptors of this process that it must not have.
    """

    def __init__(self, output, strangers, record):
        self.record = record
        self.link, theirs = multiprocessing.Pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._become_driver(output, [self.link.fileno(), *strangers], theirs)
        theirs.close()
        self.pidfd = os.pidfd_open(self.pid)
        self.number = 0
        self.open = []  # (number, verb) of orders without an answer

    def _become_driver(self, output, strangers, theirs):
        try:
            for fd in strangers:
                os.close(fd)
            file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            for fd in (1, 2):
                os.dup2(file, fd)
            os.close(file)
            driver.serve(theirs)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(70)

    # --- orders ---

    def tell(self, verb, *arguments):
        """Sends an order; its answer comes later."""
        self.number += 1
        self.open.append((self.number, verb))
        self.record.tell(f"order {self.number}: {verb} {short(arguments)}")
        try:
            self.link.send((self.number, verb, arguments))
        except (BrokenPipeError, ConnectionResetError):
            raise Lost from None

    def answer(self, patience=PATIENCE_S):
        """(verb, "ok" or "raised", what, when) of the oldest open order; None when that takes longer."""
        number, verb = self.open[0]
        try:
            if not self.link.poll(patience):
                if patience < PATIENCE_S:
                    return None
                raise Failed(f"order {number} ({verb}) has no answer after {patience} s")
            its, how, what, when = self.link.recv()
        except (EOFError, ConnectionResetError):
            raise Lost from None
        if its != number:
            raise Failed(f"answer {its} instead of {number}")
        del self.open[0]
        self.record.counts["orders"] += 1
        self.record.tell(f"answer {number}: {how} {short(what)}")
        return verb, how, what, when

    def ask(self, verb, *arguments):
        """One order and its answer, which must be good. No other may be open."""
        self.tell(verb, *arguments)
        _, how, what, _ = self.answer()
        if how != "ok":
            raise Failed(f"{verb}{short(arguments)} raised {what[0]}: {what[1]}")
        return what

    # --- its end ---

    def signal(self, number):
        """Whether it still ran."""
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            return False
        return True

    def reap(self):
        """Its exit code, or minus the signal that ended it."""
        if not select.select([self.pidfd], [], [], GONE_S)[0]:
            raise Failed(f"the driver {self.pid} runs on {GONE_S} s after its end was ordered")
        _, status = os.waitpid(self.pid, 0)
        self._close()
        return os.waitstatus_to_exitcode(status)

    def leave(self):
        """Closes the link, upon which it ends by itself; its exit code."""
        self.link.close()
        return self.reap()

    def kill(self):
        """For certain, whatever state it is in."""
        if self.pidfd >= 0:
            self.signal(signal.SIGKILL)
            with contextlib.suppress(Failed):
                self.reap()

    def _close(self):
        os.close(self.pidfd)
        self.pidfd = -1
        self.link.close()

    def stacks(self):
        """Makes it write the stacks of its threads to its terminal: for one that hangs."""
        if self.signal(signal.SIGUSR1):
            self.signal(signal.SIGCONT)
            select.select([self.pidfd], [], [], 0.3)


def short(what):
    """For the story."""
    text = repr(what)
    return text if len(text) < 200 else f"{text[:200]}..."


def pause(player, seconds):
    """Lets time pass, unless the driver ends."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([player.pidfd], [], [], left)[0]:
            return
