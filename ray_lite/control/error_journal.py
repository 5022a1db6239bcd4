"""ErrorJournal: the table of errors in files without a name, so that a control process that was killed loses next to none.

The node has two files, of which the one with the higher number counts; each control process reads it, then appends to it.  It
is written anew into the other one, which counts once it is complete.  Neighbours: error_table.py, process.py.
"""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Iterable, Iterator

from ray_lite.control.error_table import Entry

HEAD = struct.Struct("<Q")  # the number of a file, before its entries


class ErrorJournal:
    """The journal, for the one process that writes it.

    Args:
        fds: of the two files.
        most_bytes: bytes from which on it is written anew with the entries that are still wanted.
    """

    def __init__(self, fds: tuple[int, int], most_bytes: int) -> None:
        self.fds, self.most_bytes = fds, most_bytes
        numbers = [_number(fd) for fd in fds]
        self._at = numbers.index(max(numbers))  # which file counts
        self._number = numbers[self._at]
        self._size = HEAD.size

    def read(self) -> Iterator[Entry]:
        """The entries. One that its writer did not finish is cut off."""
        with open(self.fds[self._at], "rb", closefd=False) as file:
            file.seek(HEAD.size)
            while True:
                self._size = file.tell()
                try:
                    entry = Entry(*pickle.load(file))
                except Exception:  # the end, or a piece of an entry
                    break
                yield entry
        os.ftruncate(self.fds[self._at], self._size)

    def append(self, entries: Iterable[Entry]) -> None:
        """Adds entries."""
        data = _bytes(entries)
        os.pwrite(self.fds[self._at], data, self._size)
        self._size += len(data)

    def is_long(self) -> bool:
        """Whether it is time to write it anew."""
        return self._size > self.most_bytes

    def rewrite(self, entries: Iterable[Entry]) -> None:
        """Keeps only these entries."""
        old, new = self.fds[self._at], self.fds[1 - self._at]
        os.ftruncate(new, 0)
        data = _bytes(entries)
        os.pwrite(new, data, HEAD.size)
        os.pwrite(new, HEAD.pack(self._number + 1), 0)  # from here on it counts
        os.ftruncate(old, 0)
        self._at, self._number, self._size = 1 - self._at, self._number + 1, HEAD.size + len(data)


def _number(fd: int) -> int:
    head = os.pread(fd, HEAD.size, 0)
    return int(HEAD.unpack(head)[0]) if len(head) == HEAD.size else 0


def _bytes(entries: Iterable[Entry]) -> bytes:
    return b"".join(pickle.dumps(tuple(entry)) for entry in entries)
