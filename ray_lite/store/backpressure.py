"""Backpressure: what a process does when the store has no room for what it wants to store.

    the store is full -> wait while other processes go first, or objects are about to be freed -> spill, if there is a spill
        file -> gc.collect, which takes long in a large program -> ObjectStoreFullError

Neighbours: object_store.py asks whenever it stores; spill.py moves bytes.  Must not know what is stored.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import TypeVar

from ray_lite import _core
from ray_lite.config import Config
from ray_lite.exceptions import FullReason, ObjectStoreFullError
from ray_lite.store.spill import Spill

SPILLING_HELPS = (FullReason.STORE, FullReason.MEMORY)
WAITING_HELPS = (*SPILLING_HELPS, FullReason.PROMISED)  # a full table isn't among them

T = TypeVar("T")


class Backpressure:
    """One process's way to room in the store.

    Args:
        others: whether other processes may free room in a way that nothing can tell beforehand, by dropping ids they hold.
            That is so in a worker; a driver that waits here drops nothing.
    """

    def __init__(self, region: _core.Region, config: Config, spill: Spill, others: bool) -> None:
        self.region, self.config, self.spill, self.others = region, config, spill, others
        self.vain = 0  #: bytes that were about to be freed when a wait for them was given up

    def make_room(self, store: Callable[[], T], size: int, timeout: float | None = None) -> T:
        """Calls `store`, which needs `size` bytes of the arena, until there is room for it.

        Raises:
            ObjectStoreFullError: there was none within `timeout` seconds; None: `Config.full_wait`.
        """
        try:
            return store()
        except ObjectStoreFullError as full:
            if full.reason not in WAITING_HELPS or size > self.region.statistics()["arena_bytes"]:
                raise
        try:
            return self._wait(store, size, self.config.full_wait if timeout is None else timeout)
        finally:
            _core.wait_for_room(self.region, False)

    def make_room_at_once(self, store: Callable[[], T], size: int) -> T:
        """The same for a caller that has another way: objects are spilled, but nothing is waited for."""
        while True:
            try:
                return store()
            except ObjectStoreFullError as full:
                if full.reason not in SPILLING_HELPS or not self._spill(size)[0]:
                    raise

    def _wait(self, store: Callable[[], T], size: int, timeout: float) -> T:
        deadline = time.monotonic() + timeout
        pause = self.config.full_look
        collected, trouble = False, ""
        while True:
            _core.wait_for_room(self.region, True)
            try:
                return store()
            except ObjectStoreFullError as full:
                late = time.monotonic() >= deadline
                promised = full.reason is FullReason.PROMISED and not late  # spilling would make room for the others alone
                if not promised and not self._is_worth_a_wait(size, late):
                    spilled, trouble = self._spill(size)
                    if spilled:
                        continue
                    if not collected:
                        collected = True
                        gc.collect()
                        continue
                    if late or not self._is_hope_left():
                        raise ObjectStoreFullError(trouble or str(full), full.reason) from None
            time.sleep(pause)
            pause = min(2 * pause, self.config.full_look * 32)

    def _spill(self, size: int) -> tuple[int, str]:
        """Bytes that were spilled, and what went wrong, as a text: the error itself would hold what should have moved."""
        try:
            return self.spill.spill(max(size, self.config.spill_batch)), ""
        except ObjectStoreFullError as error:
            return 0, str(error)

    def _is_hope_left(self) -> bool:
        """Whether others may free room that can't be told in bytes; what a task reads now can be spilled afterwards."""
        return self.others or (self.spill.fd >= 0 and _core.others_reading(self.region))

    def _is_worth_a_wait(self, size: int, late: bool) -> bool:
        """Whether enough is about to be freed, beyond what was waited for in vain; without a spill file any amount will do."""
        soon = _core.bytes_freed_soon(self.region)
        self.vain = soon if late else min(self.vain, soon)
        return soon - self.vain >= (size if self.spill.fd >= 0 else 1)
