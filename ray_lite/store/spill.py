"""Spilling: moves the bytes of objects without readers into the spill file, and back when a process reads them.

The file has no name, like the arena: no other process can open it, and it ends with the last process of the session, however
that ends.  Every process has its descriptor; the shared region says where in it an object's bytes are, and their checksum.
Neighbours: backpressure.py says when to spill; object_store.py restores; the core (python/spilling.pyx, records/readers.pyx)
makes a move safe.  Must not decide when to spill.
"""

from __future__ import annotations

import os
import time
import zlib
from typing import TYPE_CHECKING

from ray_lite import _core
from ray_lite.exceptions import FullReason, ObjectLostError, ObjectStoreFullError

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 1 << 26  # bytes of one read or write; signal handlers run in between


class Spill:
    """Access of one process to the spill file.

    Args:
        region: the region whose objects are spilled.
        fd: descriptor of the spill file, or -1.
    """

    def __init__(self, region: _core.Region, fd: int) -> None:
        self.region, self.fd = region, fd

    def spill(self, wanted: int) -> int:
        """Spills the least recently used objects, of `wanted` bytes together if there are enough; returns the bytes spilled.

        Raises:
            ObjectStoreFullError: the file system is full, or the file can't be written. No object is lost.
        """
        if self.fd < 0:
            return 0
        gone = 0
        for index, generation in _core.spill_candidates(self.region, wanted):
            x = _core.hold_object(self.region, index, generation)
            try:
                gone += 0 if x is None else self._move_out(x)
            except ObjectStoreFullError:
                if not gone:
                    raise
                break  # further objects would fail, too
        return gone

    def _move_out(self, x: _core.ObjectID) -> int:
        found = _core.movable_bytes(self.region, x)
        if found is None:
            return 0
        view, turn = found
        began = time.monotonic_ns()
        target = _core.create_nameless(self.region, len(view), True)
        with memoryview(view) as data:
            self._write(data, _core.file_offset(self.region, target))
            moved = len(data) if _core.exchange_blocks(self.region, x, target, turn, zlib.crc32(data)) else 0
        self._trace(x, began, 0)
        return moved

    def _trace(self, x: _core.ObjectID, began: int, loaded: int) -> None:
        if _core.traces_detail(self.region):
            _core.trace(self.region, _core.TRACE_MOVE, x.binary(), 0, began, loaded)

    def _write(self, data: memoryview, offset: int) -> None:
        done = 0
        try:
            while done < len(data):
                done += os.pwrite(self.fd, data[done : done + CHUNK], offset + done)
        except OSError as error:
            raise ObjectStoreFullError(f"{FullReason.SPILL_DISK.value} ({error.strerror})", FullReason.SPILL_DISK) from error

    def copy(self, x: _core.ObjectID) -> memoryview | None:
        """A copy of a spilled object's bytes in this process's own memory, or None if they are not spilled any more."""
        while (place := _core.spilled_place(self.region, x)) is not None:
            offset, size, checksum, _ = place
            room = memoryview(bytearray(size))
            if self._read(room, offset) and zlib.crc32(room) == checksum:
                return room.toreadonly()
            self._look_for_damage(x, place)
        return None

    def _look_for_damage(self, x: _core.ObjectID, place: tuple[int, int, int, int]) -> None:
        """Raises ObjectLostError if the bytes read with a wrong checksum have not moved meanwhile: they are damaged."""
        if _core.spilled_place(self.region, x) == place:
            raise ObjectLostError(f"{x!r}: its {place[1]:,} bytes, spilled to disk, came back damaged")

    def restore(self, x: _core.ObjectID, create: Callable[[int], _core.ObjectID]) -> None:
        """Moves the bytes of a spilled object back into the store, unless another process has done so.

        Args:
            create: makes an unsealed object of a number of bytes, spilling others if need be.

        Raises:
            ObjectStoreFullError: no room for the bytes.  ObjectLostError: the file can't be read, or the bytes are damaged.
        """
        while (place := _core.spilled_place(self.region, x)) is not None:
            offset, size, checksum, turn = place
            began = time.monotonic_ns()
            target = create(size)
            with _core.unsealed_bytes(self.region, target) as room:
                good = self._read(room, offset) and zlib.crc32(room) == checksum
            if good:
                _core.exchange_blocks(self.region, x, target, turn, 0)
                self._trace(x, began, 1)
            else:
                self._look_for_damage(x, place)

    def _read(self, room: memoryview, offset: int) -> bool:
        done = 0
        while done < len(room):
            try:
                count = os.preadv(self.fd, [room[done : done + CHUNK]], offset + done)
            except OSError as error:
                raise ObjectLostError(f"spilled bytes can't be read back: {error.strerror}") from error
            if count == 0:
                return False
            done += count
        return True
