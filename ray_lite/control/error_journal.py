"""ErrorJournal: the table of errors in a file without a name, so that a control process that was killed loses none of them.

The node has the file; each control process reads it, then appends to it.  Neighbours: error_table.py, process.py.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable, Iterator

from ray_lite.control.error_table import Entry


class ErrorJournal:
    """The journal, for the one process that writes it.

    Args:
        fd: of the file.
        most_bytes: bytes from which on it is written anew with the entries that are still wanted.
    """

    def __init__(self, fd: int, most_bytes: int) -> None:
        self.fd, self.most_bytes = fd, most_bytes
        self._size = 0

    def read(self) -> Iterator[Entry]:
        """The entries. One that its writer did not finish is cut off."""
        with open(self.fd, "rb", closefd=False) as file:
            file.seek(0)
            while True:
                self._size = file.tell()
                try:
                    entry = Entry(*pickle.load(file))
                except Exception:  # the end, or a piece of an entry
                    break
                yield entry
        os.ftruncate(self.fd, self._size)

    def append(self, entries: Iterable[Entry]) -> None:
        """Adds entries."""
        data = b"".join(pickle.dumps(tuple(entry)) for entry in entries)
        os.pwrite(self.fd, data, self._size)
        self._size += len(data)

    def is_long(self) -> bool:
        """Whether it is time to write it anew."""
        return self._size > self.most_bytes

    def rewrite(self, entries: Iterable[Entry]) -> None:
        """Keeps only these entries."""
        os.ftruncate(self.fd, 0)
        self._size = 0
        self.append(entries)
