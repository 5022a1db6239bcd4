"""Traces: the records of a session as somebody who asks for them has them.

Neighbours: control/ask.py gets the files; tables.py and chrome.py show what is in them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from ray_lite.tracing.records import Record, parse

CHUNK = 1 << 20  # bytes of a read


class Traces(NamedTuple):
    """Records of a session, in the order of their begin."""

    records: Sequence[Record] = ()
    names: dict[int, str] = {}  #: of functions and methods, by `what` of the records
    actors: dict[int, str] = {}  #: ids of the live actors, by `actor` of the records
    epoch: int = 0  #: ns from CLOCK_MONOTONIC to the time since 1970
    lost: int = 0  #: records that are missing
    unfinished: Sequence[tuple[str, str, int, int, int]] = ()  #: (id, state, index of the function, actor, pid) of tasks

    def of(self, *kinds: int) -> list[Record]:
        """The records of some kinds."""
        return [one for one in self.records if one.kind in kinds]

    def name(self, what: int) -> str:
        """The name of a function or method."""
        return self.names.get(what) or "(unknown)"


def read(files: list[int], facts: dict[str, Any]) -> Traces:
    """The traces in files, which are closed. `facts`: from Spool.facts."""
    records: list[Record] = []
    for fd in files:
        size = os.fstat(fd).st_size
        records += parse(b"".join(os.pread(fd, CHUNK, at) for at in range(0, size, CHUNK)))  # whoever writes shares the offset
        os.close(fd)
    records.sort(key=lambda one: one.begin)
    names, actors = ({int(index): text for index, text in facts[of].items()} for of in ("names", "actors"))
    return Traces(records, names, actors, facts["epoch"], facts["lost"], [tuple(one) for one in facts["unfinished"]])


def together(parts: list[Traces]) -> Traces:
    """The traces of several parts of a session, such as its attached drivers."""
    records = sorted((one for part in parts for one in part.records), key=lambda one: one.begin)
    names = {index: name for part in parts for index, name in part.names.items()}
    actors = {index: id for part in parts for index, id in part.actors.items()}
    unfinished = [one for part in parts for one in part.unfinished]
    return Traces(records, names, actors, parts[0].epoch if parts else 0, sum(part.lost for part in parts), unfinished)

