"""Backpressure: what a process does when the store has no room for a value.

    the store is full -> wait while other processes have precedence, objects are about to be freed, or the node trims free
        memory -> spill, if there is a spill file -> gc.collect, which takes long in a large program -> ObjectStoreFullError

Neighbours: object_store.py asks for room; spill.py moves bytes.  Must not know what is stored.
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
WAITING_HELPS = (*SPILLING_HELPS, FullReason.PROMISED)  # neither helps against a full table

T = TypeVar("T")


class Backpressure:
    """Finds room in a full store for one process.

    Args:
        region: the region whose arena may be full.
        config: limits of the session.
        spill: moves bytes to the spill file.
        others: whether other processes may free room by dropping ids, which can't be foreseen. True in a worker; False in the
            only driver of a session, which drops no ids while it waits here.
    """

    def __init__(self, region: _core.Region, config: Config, spill: Spill, others: bool) -> None:
        self.region, self.config, self.spill, self.others = region, config, spill, others
        self.vain = 0  #: bytes still about to be freed when a wait for them timed out

    def make_room(self, store: Callable[[], T], size: int, timeout: float | None = None) -> T:
        """Calls `store`, which needs `size` bytes of the arena, until there is room for it; returns its result.

        Args:
            timeout: seconds to wait for room. Default: Config.full_wait.

        Raises:
            ObjectStoreFullError: there was no room in time.
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
        """Calls `store`, which needs `size` bytes of the arena, and spills objects if need be, but never waits.

        Raises:
            ObjectStoreFullError: there is no room; the caller has another way.
        """
        while True:
            try:
                return store()
            except ObjectStoreFullError as full:
                if full.reason not in SPILLING_HELPS or not self._spill(size)[0]:
                    raise

    def _wait(self, store: Callable[[], T], size: int, timeout: float) -> T:
        deadline = time.monotonic() + timeout
        pause = self.config.full_look
        collected = False
        while True:
            _core.wait_for_room(self.region, True)
            try:
                return store()
            except ObjectStoreFullError as full:
                late = time.monotonic() >= deadline
                promised = full.reason is FullReason.PROMISED and not late  # spilling now would only make room for the others
                if not promised and not self._is_worth_a_wait(size, late):
                    spilled, trouble = self._spill(size)
                    if spilled:
                        continue
                    if not collected:
                        collected = True
                        gc.collect()
                        continue
                    if late or not self._is_hope_left():
                        raise ObjectStoreFullError(*(trouble or (str(full), full.reason))) from None
            time.sleep(pause)
            pause = min(2 * pause, self.config.full_look * 32)

    def _spill(self, size: int) -> tuple[int, tuple[str, FullReason] | None]:
        """(bytes spilled, text and reason of an error); the error itself would keep the bytes in use that should move."""
        try:
            return self.spill.spill(max(size, self.config.spill_batch)), None
        except ObjectStoreFullError as error:
            return 0, (str(error), error.reason)

    def _is_hope_left(self) -> bool:
        """Whether others may free an unknown amount: by dropping ids, by ending a trim, or by ending to read or fill bytes that
        can then be spilled."""
        others = self.others or self.region.statistics()["jobs"] > 1
        if others or _core.bytes_trimmed_now(self.region):
            return True
        return self.spill.fd >= 0 and _core.others_reading(self.region)

    def _is_worth_a_wait(self, size: int, late: bool) -> bool:
        """Whether enough bytes, besides those awaited in vain, are about to be freed; any number without a spill file."""
        soon = _core.bytes_freed_soon(self.region) + _core.bytes_trimmed_now(self.region)
        self.vain = soon if late else min(self.vain, soon)
        return soon - self.vain >= (size if self.spill.fd >= 0 else 1)
