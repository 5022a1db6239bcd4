"""Room: what is done when the store is full.

    the store is full -> wait while it is the turn of others, or objects are about to go -> spill, if there is where
        -> gc.collect, which takes long in a large program -> ObjectStoreFullError

Neighbours: store.py asks whenever it stores; spill.py moves bytes.  Must not know what is stored.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import TypeVar

from ray_lite import _core
from ray_lite.config import Config
from ray_lite.exceptions import ObjectStoreFullError
from ray_lite.spill import Spill

SPILLING_HELPS = (_core.STORE_FULL, _core.NO_MEMORY)
FULL = (*SPILLING_HELPS, _core.OTHERS_FIRST)  # what room helps against; a full table isn't among it

T = TypeVar("T")


class Room:
    """One process's way to room in the store.

    Args:
        others: whether other processes may make room that nothing can tell of beforehand, by dropping ids they hold. That is so
            in a worker; the driver that waits here drops nothing.
    """

    def __init__(self, region: _core.Region, config: Config, spill: Spill, others: bool) -> None:
        self.region, self.config, self.spill, self.others = region, config, spill, others
        self.vain = 0  # bytes that were ending when a wait for them was given up

    def make(self, store: Callable[[], T], size: int, timeout: float | None = None) -> T:
        """Calls `store`, which needs `size` bytes of the arena, until there is room for it.

        Raises:
            ObjectStoreFullError: there was none within `timeout` seconds; None: `Config.full_wait`.
        """
        try:
            return store()
        except ObjectStoreFullError as full:
            if str(full) not in FULL or size > self.region.statistics()["arena_bytes"]:
                raise
        try:
            return self._wait(store, size, self.config.full_wait if timeout is None else timeout)
        finally:
            _core.hunger(self.region, False)

    def make_at_once(self, store: Callable[[], T], size: int) -> T:
        """The same for somebody who has another way: others are spilled, but neither time nor turn is waited for."""
        while True:
            try:
                return store()
            except ObjectStoreFullError as full:
                if str(full) not in SPILLING_HELPS or not self._spill(size)[0]:
                    raise

    def _wait(self, store: Callable[[], T], size: int, timeout: float) -> T:
        deadline = time.monotonic() + timeout
        pause = self.config.full_look
        collected, trouble = False, ""
        while True:
            _core.hunger(self.region, True)
            try:
                return store()
            except ObjectStoreFullError as full:
                late = time.monotonic() >= deadline
                others_turn = str(full) == _core.OTHERS_FIRST and not late  # spilling would make room for them alone
                if not others_turn and not self._is_worth_a_wait(size, late):
                    gone, trouble = self._spill(size)
                    if gone:
                        continue
                    if not collected:
                        collected = True
                        gc.collect()
                        continue
                    if late or not self._is_hope_left():
                        raise ObjectStoreFullError(trouble or str(full)) from None
            time.sleep(pause)
            pause = min(2 * pause, self.config.full_look * 32)

    def _spill(self, size: int) -> tuple[int, str]:
        """Bytes that went, and what the trouble was."""
        try:
            return self.spill.spill(max(size, self.config.spill_batch)), ""
        except ObjectStoreFullError as error:  # kept as a text: the error holds what should have moved
            return 0, str(error)

    def _is_hope_left(self) -> bool:
        """Whether others may make room that can't be told in bytes; what a task looks at can be spilled after it."""
        return self.others or (self.spill.fd >= 0 and _core.borrowed(self.region))

    def _is_worth_a_wait(self, size: int, late: bool) -> bool:
        """Whether enough is about to go, other than what was waited for in vain; without a spill file any hope will do."""
        ending = _core.ending(self.region)
        self.vain = ending if late else min(self.vain, ending)
        return ending - self.vain >= (size if self.spill.fd >= 0 else 1)
