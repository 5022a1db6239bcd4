"""ErrorTable: the newest errors of a session, as `error_info()` and the control store show them.  Pure logic.

Neighbours: process.py adds what is reported, and shows the entries to whoever asks.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple, Protocol

OVERHEAD = 200  # bytes of an entry besides its texts, about
TEXT_MOST, FACTS_MOST, FACT_MOST = 65_536, 32, 1_024  # of an attached driver's error: characters, facts, characters of each
NUMBER_MOST, LATEST = 1 << 63, 1e11  # and of numbers; a time in seconds since 1970, which a calendar still has
DRIVER = "driver_pid"  #: in the data of an entry: the attached driver whose it is; missing: the session's own driver


class Entry(NamedTuple):
    """One error."""

    type: str  #: "task", "worker_died", ..., as `error_info()` shows it
    message: str
    data: dict[str, Any]  #: texts, numbers, None
    timestamp: float  #: seconds since 1970

    @classmethod
    def of(cls, facts: Any, driver_pid: int) -> Entry:
        """An entry of an attached driver, from what its control process has sent.

        Raises:
            ValueError, TypeError: that is none.
        """
        entry = cls(**facts)
        kinds: tuple[tuple[type, ...], ...] = (str,), (str,), (dict,), (int, float)
        if not all(isinstance(value, kind) for value, kind in zip(entry, kinds, strict=True)):
            raise ValueError("these are no facts of an error")
        texts = [entry.type, *(text for item in entry.data.items() for text in item)]
        if len(entry.message) > TEXT_MOST or len(entry.data) > FACTS_MOST or not all(map(is_short, texts)):
            raise ValueError("the facts of an error are longer than they can be")
        if not 0 <= entry.timestamp < LATEST:
            raise ValueError("an error has no such time")
        return entry._replace(data={**entry.data, DRIVER: driver_pid})


def is_short(value: Any) -> bool:
    """Whether a fact of an error is a number, None, or a text that is not too long."""
    return value is None or type(value) in (bool, float) or type(value) is int and abs(value) < NUMBER_MOST or \
        type(value) is str and len(value) <= FACT_MOST


class ErrorSource(Protocol):
    """Where errors are read one after the other."""

    def errors_since(self, number: int) -> tuple[int, list[Entry]]:
        """(number of entries so far, those that were added after the first `number` ones)."""


class ErrorTable:
    """The newest entries.

    Args:
        most: most entries.
        most_bytes: most bytes of their texts together.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self.most, self.most_bytes = most, most_bytes
        self.added = 0  #: entries ever added
        self._entries: deque[tuple[int, Entry]] = deque()
        self._bytes = 0

    def add(self, entry: Entry) -> None:
        """Adds an entry; the oldest ones go."""
        size = OVERHEAD + len(entry.message) + sum(len(value) for value in entry.data.values() if isinstance(value, str))
        self.added += 1
        self._entries.append((size, entry))
        self._bytes += size
        while len(self._entries) > self.most or (self._bytes > self.most_bytes and len(self._entries) > 1):
            self._bytes -= self._entries.popleft()[0]

    def since(self, number: int = 0) -> list[Entry]:
        """The entries, oldest first, that were added after the first `number` ones and are still there."""
        first = self.added - len(self._entries)
        return [entry for _, entry in list(self._entries)[max(0, number - first):]]

    def statistics(self) -> dict[str, int]:
        """Counts: entries ever added, those dropped since, bytes of the others."""
        return {"added": self.added, "dropped": self.added - len(self._entries), "bytes": self._bytes}
