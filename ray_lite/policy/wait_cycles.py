"""Cycles of waits: tasks and calls of actors that wait for each other, without a timeout, until one of these waits is ended.

A task that waits in `get` needs another one to end: the awaited task, or, if that is a call which can't begin, any of the
calls that its actor runs.  Who needs only what waits for ever waits for ever, too.  One look at these needs may show waits of
different moments.  But if a cycle, with all that its members need, is the same at two looks, it was there all the time between
them, so none of its waits can ever end.  Neighbours: node/wait_watch.py looks and ends the wait that began last;
workers/backend.py, in that process, says what it met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple


class Need(NamedTuple):
    """A task that waits, and those of which it needs one to end (`_core.wait_edges`). Tasks are named by their records."""

    task: int
    serial: int
    slot: int  #: of its process
    since: int  #: when the wait began, in ns; 0: not known, as of a call of an actor that runs several in threads
    object: int  #: a number of the object that it awaits
    needs: tuple[int, ...]
    awaited: int  #: the task that returns the object
    direct: bool  #: the awaited task runs; else it can't begin before one of those in `needs` has ended


def hopeless(needs: Iterable[Need]) -> dict[int, Need]:
    """The waits that can never end, by task: all that they need waits, too, and can never end."""
    left = {need.task: need for need in needs if need.needs}
    users: dict[int, list[int]] = {}
    for need in left.values():
        for task in need.needs:
            users.setdefault(task, []).append(need.task)
    goes_on = [task for task in users if task not in left]
    while goes_on:
        for task in users.pop(goes_on.pop(), ()):
            if left.pop(task, None):
                goes_on.append(task)
    return left


def cycles(needs: Iterable[Need]) -> list[list[Need]]:
    """The cycles of waits that can never end, each in the order in which its members need each other. They share no member: of
    several that would do, each member counts as needing the first."""
    left = hopeless(needs)
    found = []
    while left:
        path: dict[int, Need] = {}
        at = next(iter(left))
        while at in left:
            path[at] = left.pop(at)
            at = path[at].needs[0]
        if at in path:
            members = list(path)
            found.append([path[task] for task in members[members.index(at):]])
    return found


def all_needed(cycle: list[Need], among: dict[int, Need]) -> frozenset[Need]:
    """The members of a cycle, with all that they need."""
    found = {need.task: need for need in cycle}
    new = list(cycle)
    while new:
        for task in new.pop().needs:
            if task not in found:
                found[task] = among[task]
                new.append(among[task])
    return frozenset(found.values())


def describe(cycle: list[Need], name: Callable[[int], str]) -> str:
    """The cycle as a text, beginning with its first wait. `name`: the name of a task."""
    parts = []
    for need, following in zip(cycle, cycle[1:] + cycle[:1], strict=True):
        behind = "" if need.direct else f", which can't begin before {name(following.task)} has ended"
        parts.append(f"{name(need.task)} waits for {name(need.awaited)}{behind}")
    return "these calls wait for each other for ever: " + "; ".join(parts)


class Cycles:
    """The policy of one session.

    Args:
        patience: seconds after which a cycle that has not changed is broken.
    """

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self._seen: dict[frozenset[Need], float] = {}  # a cycle, with all that it needs -> when it was first seen
        self._first: dict[Need, int] = {}  # a wait of which nobody knows when it began -> when it was first seen, in ns

    def broken(self, needs: Iterable[Need], now: float) -> list[Need]:
        """The waits that are to be ended: of each cycle that has lasted, the one that began last."""
        there = list(needs)
        self._first = {need: self._first.get(need, int(now * 1e9)) for need in there if need.since == 0}
        among = hopeless(there)
        seen, last = {}, []
        for cycle in cycles(there):
            needed = all_needed(cycle, among)
            seen[needed] = self._seen.get(needed, now)
            if now - seen[needed] >= self.patience:
                seen[needed] = now
                last.append(max(cycle, key=self._began))
        self._seen = seen
        return last

    def _began(self, need: Need) -> int:
        """When a wait began, or was first seen, in ns."""
        return need.since or self._first[need]
