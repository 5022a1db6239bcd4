"""Failures that no `get` raises: which of them to show, when, and as what text.  Pure logic.

A failure is shown if no `get` has raised it within `delay` seconds.  A repeated failure is shown once in full, then counted.
Neighbours: report_channel.py sends reports, process.py receives and shows them, error_table.py keeps them all,
_core.src/python/report_ids.pyx knows which failures were raised.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any, NamedTuple

REMEMBERED = 1_000  # most failures to remember as shown in full


class Report(NamedTuple):
    """A failure, or a note to the user, on its way to the terminal and to the table of errors."""

    serial: int  #: number from _core.next_report_id; 0: no `get` can raise it
    name: str  #: name of the task's function; "" for a note
    text: str  #: what the user reads
    kind: str = "task"  #: type of its entry in the table of errors
    data: dict[str, Any] | None = None  #: further facts of its entry: texts, numbers, None
    is_shown: bool = True  #: whether it belongs on the terminal, too


class Reports:
    """Failures that were reported and are not shown yet.

    Args:
        delay: seconds that a `get` has to raise a failure before it is shown.
        pause: least seconds between two texts, so that very many failures make few lines.
    """

    def __init__(self, delay: float, pause: float) -> None:
        self.delay, self.pause = delay, pause
        self._waiting: deque[tuple[float, Report]] = deque()
        self._shown: dict[tuple[str, str], None] = {}
        self._next_show = 0.0

    def add(self, report: Report, now: float) -> None:
        """Adds a report that arrived at the time `now`."""
        if report.is_shown:
            self._waiting.append((now + self.delay, report))

    def when(self) -> float | None:
        """Time of the next call of `due`, or None before another report."""
        return max(self._waiting[0][0], self._next_show) if self._waiting else None

    def due(self, now: float, raised: Callable[[int], bool]) -> str:
        """The text to show now, perhaps empty; an infinite `now` makes every report due.

        Args:
            raised: tells whether a `get` has raised the failure with this number.
        """
        counts: Counter[tuple[str, str]] = Counter()
        while self._waiting and self._waiting[0][0] <= now:
            report = self._waiting.popleft()[1]
            if report.serial == 0 or not raised(report.serial):
                counts[report.name, report.text] += 1
        if counts:
            self._next_show = now + self.pause
        return "".join(self._show(key, count) for key, count in counts.items())

    def _show(self, key: tuple[str, str], count: int) -> str:
        name, text = key
        if not name:
            return f"ray_lite: {text.rstrip()}\n"
        folded = f", repeated {count:,} times" if count > 1 else ""
        if key in self._shown:
            return f"ray_lite: task {name} failed again{folded}: {text.rstrip().rpartition(chr(10))[2]}\n"
        if len(self._shown) >= REMEMBERED:
            self._shown.pop(next(iter(self._shown)))
        self._shown[key] = None
        return f"ray_lite: task {name} failed, and no get() has fetched its result{folded}:\n{text.rstrip()}\n"
