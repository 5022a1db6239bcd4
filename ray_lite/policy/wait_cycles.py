"""Cycles of waits: tasks and calls of actors that wait for each other, without a timeout, until one of these waits is ended.

A process that waits in `get` needs one other process to go on: the one that runs the awaited task, or the actor whose present
call the awaited one is behind.  One look at these needs may show waits of different moments.  But a wait that is in a cycle at
two looks was in it all the time between them, so all of the cycle's waits were there at once, and none can ever end.
Neighbours: node/wait_watch.py looks and ends the wait that began last; workers/backend.py, in that process, says what it met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple


class Need(NamedTuple):
    """A process that waits, and the one that it needs (`_core.wait_edges`). Both are named by their slots."""

    slot: int
    since: int  #: when the wait began
    needs: int
    running: int  #: the task that waits
    awaited: int  #: the task that it waits for
    direct: bool  #: the awaited task runs in `needs`; else it can't begin before the one there has ended


def cycles(needs: Iterable[Need]) -> list[list[Need]]:
    """The cycles, each in the order in which its members need each other. A process needs one other, so cycles share none."""
    left = {need.slot: need for need in needs}
    found = []
    while left:
        path: dict[int, Need] = {}
        at = next(iter(left))
        while at in left:
            path[at] = left.pop(at)
            at = path[at].needs
        if at in path:
            members = list(path)
            found.append([path[slot] for slot in members[members.index(at):]])
    return found


def describe(cycle: list[Need], slot: int, name: Callable[[int], str]) -> str:
    """The cycle as a text, beginning with the wait of a slot. `name`: the name of a task."""
    first = next(place for place, need in enumerate(cycle) if need.slot == slot)
    ordered = cycle[first:] + cycle[:first]
    parts = []
    for need, following in zip(ordered, ordered[1:] + ordered[:1], strict=True):
        behind = "" if need.direct else f", which can't begin before {name(following.running)} has ended"
        parts.append(f"{name(need.running)} waits for {name(need.awaited)}{behind}")
    return "these calls wait for each other for ever: " + "; ".join(parts)


class Cycles:
    """The policy of one session.

    Args:
        patience: seconds after which a cycle that has not changed is broken.
    """

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self._seen: dict[frozenset[tuple[int, int]], float] = {}  # members and when their waits began -> when it was first seen

    def broken(self, needs: Iterable[Need], now: float) -> list[Need]:
        """The waits that are to be ended: of each cycle that has lasted, the one that began last."""
        seen, last = {}, []
        for cycle in cycles(needs):
            members = frozenset((need.slot, need.since) for need in cycle)
            seen[members] = self._seen.get(members, now)
            if now - seen[members] >= self.patience:
                seen[members] = now
                last.append(max(cycle, key=lambda need: need.since))
        self._seen = seen
        return last
