"""WaitWatch: what the node sees while processes wait for long, and what it does about it.

It ends cycles of calls that wait for each other.  Neighbours: policy/wait_cycles.py decides; supervisor.py owns the watch.
"""

from __future__ import annotations

import time

from ray_lite import _core
from ray_lite.config import Config
from ray_lite.policy.wait_cycles import Cycles, Need


class WaitWatch:
    """Looks at waits again and again, at most every Config.node_look; without them it costs nothing."""

    def __init__(self, region: _core.Region, config: Config) -> None:
        self.region, self.config = region, config
        self.cycles = Cycles(config.deadlock)
        self._next = 0.0

    def step(self) -> None:
        """Looks, if it is time."""
        now = time.monotonic()
        if now < self._next or not _core.must_look(self.region):
            return
        self._next = now + self.config.node_look / 2  # the supervisor comes every node_look, or a little earlier
        for wait in self.cycles.broken((Need(*edge) for edge in _core.wait_edges(self.region)), now):
            _core.break_cycle(self.region, wait.slot, wait.since)
