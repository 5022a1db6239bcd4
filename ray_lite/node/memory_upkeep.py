"""Upkeep of the store's memory by the node: it trims runs that stay free, and preallocates.

The node does one step at a time, between events.  Neighbours: the core's records/trim.pyx and memory/preallocate.pyx do the
work.
"""

from __future__ import annotations

import math
import time

from ray_lite import _core
from ray_lite.config import Config
from ray_lite.exceptions import ObjectStoreFullError


class MemoryUpkeep:
    """The upkeep of one session's store.

    Args:
        spill_fd: descriptor of the spill file, or -1.
    """

    def __init__(self, region: _core.Region, config: Config, spill_fd: int) -> None:
        self.region, self.config, self.spill_fd = region, config, spill_fd
        self._trim_at = math.inf  # time of the next trim
        self._preallocating = False  # whether there is more to preallocate

    def step(self) -> None:
        """Trims and preallocates one step, if that is due."""
        self._trim()
        if _core.should_preallocate(self.region):
            self._preallocating = _core.preallocate(self.region, self.config.preallocate)

    def _trim(self) -> None:
        """Trims a piece of what has been free for a while; only a piece at a time, since events come first."""
        now = time.monotonic()
        if not _core.has_trimmable(self.region):
            self._trim_at = math.inf
        elif self._trim_at == math.inf:
            self._trim_at = now + self.config.trim_after
        elif now >= self._trim_at:
            try:
                _core.trim(self.region, self.spill_fd)
            except ObjectStoreFullError:  # no extent is free for the run just now
                self._trim_at = now + self.config.trim_after

    def patience(self) -> float | None:
        """Seconds until the next step; None: nothing is due."""
        if self._preallocating:
            return 0
        return max(0.0, self._trim_at - time.monotonic()) if self._trim_at < math.inf else None
