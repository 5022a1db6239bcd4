"""ErrorForwarder: sends the errors of an attached driver on to the session's host, whose table has those of all drivers.

So they outlive the driver, and the session's control store and the command line show them.  Neighbours: process.py owns it, in
the control process of an attached driver; error_log.py takes the errors at the other end.  Must not be waited for: it has a
thread of its own, and what it can't send yet it sends later, or not at all.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from ray_lite.config import Config
from ray_lite.control.ask import ask
from ray_lite.control.error_table import FACT_MOST, TEXT_MOST, Entry, ErrorSource, is_short
from ray_lite.exceptions import RaySystemError

BATCH_BYTES = 131_072  # of the texts in one message, about
PAUSE = 0.1  # seconds before the next batch: very many errors come in few messages, of the newest ones


class ErrorForwarder:
    """Forwards for one driver.

    Args:
        directory: of the session's host.
        source: where the errors are.
    """

    def __init__(self, directory: str, driver_pid: int, config: Config, source: ErrorSource) -> None:
        self.directory, self.driver_pid, self.config, self.source = directory, driver_pid, config, source
        self._changed = threading.Event()
        self._sending = threading.Lock()
        self._sent = source.errors_since(0)[0]  # a control process before this one has sent the others

    def start(self) -> None:
        """Begins to forward, until the process ends."""
        threading.Thread(target=self._run, daemon=True, name="errors").start()

    def wake(self) -> None:
        """Says that there are new errors."""
        self._changed.set()

    def finish(self) -> None:
        """Sends what is left, for at most Config.drain."""
        if self._sending.acquire(timeout=self.config.drain):
            try:
                self._send(self.config.drain)
            finally:
                self._sending.release()

    def _run(self) -> None:
        while True:
            self._changed.wait()
            self._changed.clear()
            with self._sending:
                done = self._send(self.config.answer_timeout)
            if not done:
                self._changed.set()
            time.sleep(PAUSE if done else self.config.control_restart)

    def _send(self, timeout: float) -> bool:
        """Sends the errors that have not been sent; whether the host has taken them."""
        added, entries = self.source.errors_since(self._sent)
        sent = added - len(entries)  # what came before is gone
        while entries:
            batch, entries = _first(entries)
            try:
                ask(self.directory, "report", timeout, driver=self.driver_pid, entries=[_facts(one) for one in batch])
            except RaySystemError:
                self._sent = sent
                return False
            sent += len(batch)
        self._sent = added
        return True


def _first(entries: list[Entry]) -> tuple[list[Entry], list[Entry]]:
    """The entries of the next message, and the rest."""
    size = 0
    for number, entry in enumerate(entries):
        size += min(len(entry.message), TEXT_MOST)
        if number and size > BATCH_BYTES:
            return entries[:number], entries[number:]
    return entries, []


def _facts(entry: Entry) -> dict[str, Any]:
    data = {name: value if is_short(value) else str(value)[:FACT_MOST] for name, value in entry.data.items()}
    return entry._replace(message=entry.message[:TEXT_MOST], data=data)._asdict()
