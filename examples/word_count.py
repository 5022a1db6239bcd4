"""A streaming word count: sources read documents, mappers split them, reducers count, and results come while it runs.

The stream is the docstrings of the standard library. Each source is an actor that gives one document at a time; a mapper
takes documents from its source and sorts their words by reducer; each reducer owns the words whose hash falls to it.

    python examples/word_count.py [--mappers 4] [--reducers 2] [--top 10]
"""

from __future__ import annotations

import argparse
import ast
import re
import sysconfig
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import ray_lite as ray

WORD = re.compile(r"[a-z]{3,}")
Shares = list[list[str]]


@ray.remote
class Mapper:
    """Reads every so-manyth file of the stream, and splits its docstrings into the words of each reducer."""

    def __init__(self, paths: list[str], reducers: int) -> None:
        self.stream, self.reducers = documents(paths), reducers

    def next(self) -> Shares | None:
        """The words of the next document for each reducer, or None at the end."""
        text = next(self.stream, None)
        if text is None:
            return None
        shares: Shares = [[] for _ in range(self.reducers)]
        for word in words(text):
            shares[zlib.crc32(word.encode()) % self.reducers].append(word)
        return shares


@ray.remote(num_cpus=0)
class Reducer:
    """Counts the words that fall to it."""

    def __init__(self, number: int) -> None:
        self.number, self.counts = number, Counter[str]()

    def add(self, *batch: Shares | None) -> bool:
        """Counts its share of some documents; whether a stream has one more."""
        for shares in batch:
            if shares is not None:
                self.counts.update(shares[self.number])
        return any(shares is not None for shares in batch)

    def most_common(self, n: int) -> list[tuple[str, int]]:
        """The most frequent words so far."""
        return self.counts.most_common(n)


def files(most: int) -> list[str]:
    """Source files of the standard library, in order."""
    library = Path(sysconfig.get_path("stdlib"))
    return [str(path) for path in sorted(library.glob("*.py"))][:most]


def documents(paths: list[str]) -> Iterator[str]:
    """The docstrings of files."""
    for path in paths:
        tree = ast.parse(Path(path).read_bytes())
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield ast.get_docstring(node) or ""


def words(text: str) -> list[str]:
    """The words of a text."""
    return WORD.findall(text.lower())


def count(paths: list[str], mappers: int, reducers: int, top: int) -> list[tuple[str, int]]:
    """Counts with actors; shows the most frequent word now and then."""
    sources = [Mapper.remote(paths[k::mappers], reducers) for k in range(mappers)]
    counters = [Reducer.remote(number) for number in range(reducers)]
    rounds, goes_on = 0, True
    while goes_on:
        batches = [[source.next.remote() for source in sources] for _ in range(50)]
        added = [counter.add.remote(*batch) for batch in batches for counter in counters]
        goes_on = ray.get(added[-1])
        rounds += 1
        if rounds % 20 == 0:
            print(f"after {rounds * 50 * mappers:,} documents: {ray.get(counters[0].most_common.remote(1))}")
    found = ray.get([counter.most_common.remote(top) for counter in counters])
    return sorted((pair for pairs in found for pair in pairs), key=lambda pair: (-pair[1], pair[0]))[:top]


def count_serially(paths: list[str], top: int) -> list[tuple[str, int]]:
    """The same without ray_lite."""
    counts = Counter(word for text in documents(paths) for word in words(text))
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:top]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mappers", type=int, default=4, help="default: %(default)s")
    parser.add_argument("--reducers", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--top", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--files", type=int, default=1000, help="most files to read, default: %(default)s")
    options = parser.parse_args()
    paths = files(options.files)
    ray.init()
    try:
        found = count(paths, options.mappers, options.reducers, options.top)
    finally:
        ray.shutdown()
    for word, times in found:
        print(f"{times:8,} {word}")
    print("as a serial count says" if found == count_serially(paths, options.top) else "NOT as a serial count says")


if __name__ == "__main__":
    main()
