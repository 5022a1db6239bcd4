"""Count the identifiers in every module of the running Python's standard library, on all cores.

One task parses one file. A tree of dependent tasks merges the counts: a merge takes the ids of earlier tasks
as its arguments, so it starts by itself once they are there, and the driver never touches a count before the
last one. The result is checked against a plain serial loop, which also gives the speed-up.

    python examples/stdlib_census.py [--num-cpus N] [--limit FILES] [--top N] [--no-serial]
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
import sysconfig
import time
import warnings
from collections import Counter
from pathlib import Path

import ray_lite as ray

FAN_IN = 8  # wide enough that few counts are pickled twice, narrow enough that merging overlaps parsing
INSTALLED = {"site-packages", "dist-packages"}
UNPARSED = ""  # no identifier is empty, so this key counts the files that don't parse


def main() -> int:
    options = parse_options()
    files = standard_library()[: options.limit]
    files.sort(key=lambda path: path.stat().st_size, reverse=True)

    names, seconds, tasks = parallel_census(files, options.num_cpus)
    skipped = names.pop(UNPARSED, 0)
    print(f"{len(files) - skipped:,} files parsed, {skipped} skipped (not valid Python)")
    print(f"{names.total():,} identifiers, {len(names):,} different; the most frequent:")
    for name, count in names.most_common(options.top):
        print(f"  {count:>9,}  {name}")
    print(f"parallel: {seconds:6.2f} s, {tasks:,} tasks, {tasks / seconds:,.0f} tasks/s")
    return 0 if options.no_serial or agrees_with_serial(names, seconds, files) else 1


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--num-cpus", type=int, help="cores to use (default: all of them)")
    parser.add_argument("--limit", type=int, help="parse only so many files")
    parser.add_argument("--top", type=int, default=10, help="identifiers to print (default: %(default)s)")
    parser.add_argument("--no-serial", action="store_true", help="leave out the serial run and its check")
    return parser.parse_args()


def standard_library() -> list[Path]:
    files: list[Path] = []
    for folder, subfolders, names in os.walk(sysconfig.get_path("stdlib")):
        subfolders[:] = sorted(set(subfolders) - INSTALLED)
        files += [Path(folder, name) for name in sorted(names) if name.endswith(".py")]
    return files


def count_identifiers(path: Path) -> Counter[str]:
    try:
        with warnings.catch_warnings():
            # The library's own tests hold invalid escapes on purpose.
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return Counter({UNPARSED: 1})
    return Counter(name for node in ast.walk(tree) if (name := identifier(node)) is not None)


def identifier(node: ast.AST) -> str | None:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
            return name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
    return None


@ray.remote
def census_of_file(path: Path) -> Counter[str]:
    return count_identifiers(path)


@ray.remote
def merge(*counts: Counter[str]) -> Counter[str]:
    merged: Counter[str] = Counter()
    for count in counts:
        merged.update(count)
    return merged


def parallel_census(files: list[Path], num_cpus: int | None) -> tuple[Counter[str], float, int]:
    """Return the merged counts, the seconds they took (start-up included), and the number of tasks."""
    started = time.perf_counter()
    ray.init(num_cpus=num_cpus)
    try:
        counts = [census_of_file.remote(path) for path in files]
        root, merges = merge_tree(counts)
        show_progress(counts)
        names = ray.get(root)
        return names, time.perf_counter() - started, len(files) + merges
    finally:
        ray.shutdown()


def merge_tree(counts: list[ray.ObjectID]) -> tuple[ray.ObjectID, int]:
    """Submit merges until one id is left; return it and how many merges that took."""
    merges = 0
    level = counts
    while len(level) > 1 or not merges:
        level = [merge.remote(*level[i : i + FAN_IN]) for i in range(0, max(1, len(level)), FAN_IN)]
        merges += len(level)
    return level[0], merges


def show_progress(pending: list[ray.ObjectID]) -> None:
    progress = Progress("parallel", len(pending))
    while pending:
        ready, pending = ray.wait(pending, num_returns=len(pending), timeout=200)
        progress.advance(len(ready))


def agrees_with_serial(names: Counter[str], parallel_seconds: float, files: list[Path]) -> bool:
    started = time.perf_counter()
    progress = Progress("serial", len(files))
    expected: Counter[str] = Counter()
    for path in files:
        expected.update(count_identifiers(path))
        progress.advance(1)
    expected.pop(UNPARSED, None)
    seconds = time.perf_counter() - started
    print(f"serial:   {seconds:6.2f} s, so the speed-up is {seconds / parallel_seconds:.2f}")
    print("both runs agree" if names == expected else "THE TWO RUNS DIFFER")
    return names == expected


class Progress:
    """One line that rewrites itself on a terminal; elsewhere a line a quarter."""

    def __init__(self, label: str, total: int) -> None:
        self.label, self.total, self.done = label, total, 0
        self.on_terminal = sys.stderr.isatty()

    def advance(self, step: int) -> None:
        parts = 100 if self.on_terminal else 4
        before = self.done * parts // self.total
        self.done += step
        if self.done * parts // self.total > before:
            self.show()

    def show(self) -> None:
        line = f"{self.label}: {self.done:,} of {self.total:,} files, {self.done / self.total:4.0%}"
        end = "\r" if self.on_terminal and self.done < self.total else "\n"
        print(line, end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
