"""TaskFacts: what a task's record says, for workers and for the node.

Neighbours: task_runner.py, attempt_error.py, and node/ read them.
"""

from __future__ import annotations

from typing import NamedTuple

from ray_lite import _core


class TaskFacts(NamedTuple):
    """What a task's record says (`_core.task_facts`)."""

    function: int  #: index of the object with the function
    site: int  #: index of the object with the call site, or 0
    attempts: int  #: attempts begun so far
    retries_left: int
    nreturns: int
    id: bytes
    serial: int
    cancelled: bool


def task_facts(region: _core.Region, task: int) -> TaskFacts:
    """The facts in a record, which must belong to this process."""
    return TaskFacts(*_core.task_facts(region, task))
