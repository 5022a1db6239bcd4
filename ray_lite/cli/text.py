"""Text for terminals: tables, sizes, times, colours."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

BOLD, RED, DIM = "1", "31", "2"
UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def colour(text: str, code: str) -> str:
    """The text in a colour, if stdout is a terminal that the user wants colours on."""
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return text if plain else f"\033[{code}m{text}\033[0m"


def size(count: float) -> str:
    """Bytes in the largest unit that leaves a number above 1."""
    for unit in UNITS:
        if count < 1000 or unit == UNITS[-1]:
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")


def duration(seconds: float) -> str:
    """A time such as 12 s, 3 min, 5.2 h, 2 d."""
    for length, unit, digits in ((86_400, "d", 1), (3_600, "h", 1), (60, "min", 0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.{digits}f} {unit}"
    return f"{seconds:.0f} s"


def number(amount: float) -> str:
    """An amount of a resource, without a fraction if it has none."""
    return f"{amount:,.4f}".rstrip("0").rstrip(".")


def counted(count: int, noun: str) -> str:
    """A number of things, such as 1 worker, 2,000 workers."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def table(head: Sequence[str], rows: Sequence[Sequence[object]], left: int = 1) -> str:
    """Rows under a head, in columns; the first `left` columns stand to the left, the last one, too."""
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[n]) for row in [list(head), *cells]) for n in range(len(head))]

    def line(row: Sequence[str]) -> str:
        last = len(head) - 1
        parts = [cell.ljust(width) if n < left or n == last else cell.rjust(width)
                 for n, (cell, width) in enumerate(zip(row, widths, strict=True))]
        return "  ".join(parts).rstrip()

    return "\n".join([colour(line(head), BOLD), *map(line, cells)])


def printable(text: str) -> str:
    """A text without control characters, which could do anything to a terminal; lines and tabs stay."""
    return "".join(one if one.isprintable() or one in "\n\t" else repr(one)[1:-1] for one in text)
