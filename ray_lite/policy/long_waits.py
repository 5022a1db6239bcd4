"""Waits for what actors hold for life: nobody knows how long they last, so each that lasts is told once.

Neighbours: node/wait_watch.py sees them, and tells.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ray_lite.config import CPU_UNIT


class HeldWait(NamedTuple):
    """The first of a queue that waits for a resource which actors hold, or an actor that waits for a process
    (`_core.held_waits`)."""

    waiter: int  #: a task, or an actor
    serial: int
    kind: str  #: "task"; "turn": an actor whose calls need CPUs; "life": an actor that has not begun
    length: int  #: how many wait in the queue
    resource: int  #: 0: a process
    amount: int  #: that it needs, in ten-thousandths
    holders: list[int]  #: actors that hold some of it, a few of them
    number: int  #: how many hold some


def waiter_text(wait: HeldWait, name: str) -> str:
    """Who waits, for texts. `name`: of the task, or of the actor."""
    who = {"task": "task", "turn": "a call of actor", "life": "actor"}[wait.kind]
    more = f" (and {wait.length - 1:,} more)" if wait.length > 1 else ""
    return f"{who} {name}{more}"


def needed_text(wait: HeldWait, resource: str, holders: list[str]) -> str:
    """What actors hold that somebody waits for, for texts. `holders`: names of the actors in `wait.holders`."""
    more = [f"{wait.number - len(holders):,} more"] if wait.number > len(holders) else []
    return f"{wait.amount / CPU_UNIT:g} {resource}, which actors hold until they end: {', '.join([*holders, *more])}"


class HeldWaits:
    """Which waits are to be told.

    Args:
        patience: seconds that a wait lasts before it is told.
    """

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self._since: dict[tuple[str, int, int, int], float] = {}  # infinite: it was told
        self._full_told = False  # whether it was told that actors wait for processes, since one last had to

    def due(self, waits: Iterable[HeldWait], now: float) -> list[HeldWait]:
        """Those of the present waits that have lasted, at each look, and were not told before."""
        since, told = {}, []
        full = False
        for wait in waits:
            full |= not wait.resource
            key = wait.kind, wait.waiter, wait.serial, wait.resource
            since[key] = self._since.get(key, now)
            if now - since[key] >= self.patience:
                since[key] = float("inf")
                if wait.resource or not self._full_told:
                    told.append(wait)
                self._full_told |= not wait.resource
        self._since, self._full_told = since, self._full_told and full
        return told
