"""Failures that nobody fetches: which are due to be shown, and as what text. Pure logic; control_process.py feeds it.

A failure is shown when `delay` seconds have passed and no `get` has raised it.  What repeats is folded: shown once in
full, then counted.  Neighbours: reporter.py sends reports, _core's serials.pyx knows what was raised.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple

REMEMBERED = 1_000  # different failures of which we know that they were shown in full


class Report(NamedTuple):
    """One failure on its way to the terminal."""

    serial: int  #: see _core.next_report_id; 0: no `get` can raise it
    name: str  #: of the task; "": the text says it all
    text: str  #: what the user reads


class Reports:
    """Failures that were reported and not shown yet.

    Args:
        delay: seconds that a `get` has to raise a failure before it is shown.
        pause: least seconds between two shows, so that a storm of failures is a few lines.
    """

    def __init__(self, delay: float, pause: float) -> None:
        self.delay, self.pause = delay, pause
        self._waiting: deque[tuple[float, Report]] = deque()
        self._shown: dict[tuple[str, str], None] = {}
        self._next_show = 0.0

    def add(self, report: Report, now: float) -> None:
        """Takes a report that arrived just now."""
        self._waiting.append((now + self.delay, report))

    def when(self) -> float | None:
        """When `due` has something to look at; None: not before another report."""
        return max(self._waiting[0][0], self._next_show) if self._waiting else None

    def due(self, now: float, raised: Callable[[int], bool]) -> str:
        """The text to show now, maybe empty; all of it when `now` is infinite."""
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
        return f"ray_lite: task {name} failed and nobody has fetched its result{folded}:\n{text.rstrip()}\n"
