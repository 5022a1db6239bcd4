"""What a run looks like on paper: one table of a run, and the comparison of two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from common import Result, Run
from plan import CONTESTANTS, OURS, Figure

ENOUGH = 3  # values that make a range


def table(run: Run) -> str:
    peers = [contestant for contestant in CONTESTANTS if contestant != OURS and contestant in run.values]
    heads = ["figure", "unit", OURS, "min .. max", "aim", "limit", ""]
    for peer in peers:
        heads += [peer, "x"]
    lines = [describe(run), "", *columns([heads, *(row(run, figure, peers) for figure in run.rows())]), ""]
    lines += [f"x: how many times better {OURS} is. Aims and limits are for 2 cores and full size."]
    lines += [f"FAILED {name}: {reason}" for name, reason in run.failures.items()]
    return "\n".join(lines)


def describe(run: Run) -> str:
    m = run.machine
    size = "quick" if run.quick else "full size"
    return (
        f"{m['cpu']}, {m['cores']} cores, {m['memory']}, {m['kernel']}, {m['python']}\n"
        f"commit {m['commit']}, {run.started}, load {m['load']} at the start, {size}, "
        f"medians of {rounds(run)} fresh processes"
    )


def rounds(run: Run) -> int:
    return max((len(values) for figures in run.values.values() for values in figures.values()), default=0)


def row(run: Run, figure: Figure, peers: Iterable[str]) -> list[str]:
    ours = run.result(OURS, figure.key)
    cells = [figure.title, figure.unit, middle(ours), spread(ours)]
    cells += [show(figure.aim), show(figure.limit), verdict(figure, ours)]
    for peer in peers:
        theirs = run.result(peer, figure.key)
        cells += [middle(theirs), times_better(figure, ours, theirs)]
    return cells


def verdict(figure: Figure, ours: Result | None) -> str:
    if ours is None:
        return ""
    if figure.limit is not None and not figure.reaches(ours.median, figure.limit):
        return "BELOW LIMIT"
    if figure.aim is not None and not figure.reaches(ours.median, figure.aim):
        return "short of aim"
    return "" if figure.aim is None and figure.limit is None else "good"


def times_better(figure: Figure, ours: Result | None, theirs: Result | None) -> str:
    if ours is None or theirs is None or not ours.median or not theirs.median:
        return ""
    ratio = ours.median / theirs.median
    return show(ratio if figure.more_is_better else 1 / ratio)


def middle(result: Result | None) -> str:
    return "" if result is None else show(result.median)


def spread(result: Result | None) -> str:
    return "" if result is None else f"{show(result.low)} .. {show(result.high)}"


def show(value: float | None) -> str:
    """Three significant digits, without an exponent."""
    if value is None:
        return ""
    if value == 0:
        return "0"
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 or rounded == int(rounded) else f"{rounded:.3g}"


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Align: texts to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = {0, 1, 6}
    for cells in rows:
        aligned = (
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        yield "  ".join(aligned).rstrip()


def comparison(before: Run, after: Run) -> str:
    heads = ["figure", "unit", "before", "min .. max", "after", "min .. max", "change"]
    lines = [describe(before), describe(after)]
    if {**before.machine, "commit": "", "load": ""} != {**after.machine, "commit": "", "load": ""}:
        lines.append("WARNING: two different machines or Pythons")
    if before.quick != after.quick:
        lines.append("WARNING: one of the runs is quick")
    return "\n".join([*lines, "", *columns([heads, *compared(before, after)])])


def compared(before: Run, after: Run) -> Iterable[list[str]]:
    for contestant in CONTESTANTS:
        for figure in after.rows():
            old, new = before.result(contestant, figure.key), after.result(contestant, figure.key)
            if old and new:
                name = figure.title if contestant == OURS else f"{contestant}: {figure.title}"
                cells = [middle(old), spread(old), middle(new), spread(new)]
                yield [name, figure.unit, *cells, change(figure, old, new)]


def change(figure: Figure, old: Result, new: Result) -> str:
    if min(len(old.values), len(new.values)) < ENOUGH:
        return "too few values"
    if old.overlaps(new):
        return "not significant"
    by = f"by {abs(new.median / old.median - 1):.0%}" if old.median else f"from 0 to {show(new.median)}"
    return f"{'better' if (new.median > old.median) == figure.more_is_better else 'WORSE'} {by}"
