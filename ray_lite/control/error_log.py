"""ErrorLog: the errors of a session, for all threads of the control process, and for the next one.

Neighbours: error_table.py (what is kept), error_journal.py (what outlives a process); process.py owns it; store_publisher.py
and whoever asks (questions.py) read it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from ray_lite.config import Config
from ray_lite.control.error_journal import ErrorJournal
from ray_lite.control.error_table import DRIVER, Entry, ErrorTable

BATCH = 16  # reports that are taken before they are written down: so many are lost with a control process at most
REPORTS_MOST = 1_000  # errors of an attached driver in one message
BATCHES = 64  # of them, more than their socket holds, at a time; output comes in between


class ErrorLog:
    """The errors.

    Args:
        fds: the journal's files.
        arriving: yields the entries of reports that have arrived.
    """

    def __init__(self, fds: tuple[int, int], config: Config, arriving: Callable[[], Iterable[Entry]]) -> None:
        self._table = ErrorTable(config.errors, config.error_bytes)
        self._journal = ErrorJournal(fds, 2 * config.error_bytes)
        self._arriving = arriving
        self._taking = threading.Lock()
        self.on_new: Callable[[], None] = lambda: None  #: is called when there are new entries
        for entry in self._journal.read():
            self._table.add(entry)

    def take(self) -> None:
        """Takes the reports that have arrived."""
        for _ in range(BATCHES):
            with self._taking:
                entries = list(islice(self._arriving(), BATCH))
                self._keep(entries)
            if len(entries) < BATCH:
                return

    def _keep(self, entries: list[Entry]) -> None:
        """Lock held."""
        if entries:
            self._journal.append(entries)
            for entry in entries:
                self._table.add(entry)
            if self._journal.is_long():
                self._journal.rewrite(self._table.since())
            self.on_new()

    def add_error(self, kind: str, text: str) -> None:
        """Adds what this process has found itself."""
        with self._taking:
            self._keep([Entry(kind, text, {}, time.time())])

    def add_reports(self, driver: int, entries: list[Any]) -> int:
        """Adds errors of an attached driver, whose control process has sent them; returns how many.

        Raises:
            ValueError, TypeError: they are none.
        """
        if type(driver) is not int or driver <= 0 or not isinstance(entries, list) or len(entries) > REPORTS_MOST:
            raise TypeError("expected a driver's pid and a list of errors")
        found = [Entry.of(facts, driver) for facts in entries]
        with self._taking:
            self._keep(found)
        return len(found)

    def errors_since(self, number: int) -> tuple[int, list[Entry]]:
        """(number of entries so far, those that were added after the first `number` ones)."""
        with self._taking:
            return self._table.added, self._table.since(number)

    def statistics(self) -> dict[str, int]:
        """Counts, as ErrorTable.statistics."""
        with self._taking:
            return self._table.statistics()

    def answer(self, after: int = 0, own: bool = False) -> dict[str, Any]:
        """The errors: `added`, for the next question, `entries`, and how many were `dropped` before these.

        Args:
            after: the `added` of an earlier answer.
            own: whether those of attached drivers are left out.
        """
        self.take()
        added, entries = self.errors_since(after)
        dropped = max(0, added - after - len(entries))
        shown = [one._asdict() for one in entries if not (own and DRIVER in one.data)]
        return {"added": added, "dropped": dropped, "entries": shown}
