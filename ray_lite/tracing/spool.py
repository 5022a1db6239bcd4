"""Spool: all records of a job that were collected so far, in a file of bounded size that has no name.

The control process has one.  While details are recorded, it collects them in a thread of its own, before the rings of the
processes come round.  Neighbours: control/questions.py sends the file to whoever asks; source.py reads it.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import Any

from ray_lite import _core
from ray_lite.exceptions import RaySystemError
from ray_lite.store.kept_labels import kept_label

HALVES = 2  # files: when the younger one has its half of the bytes, the older one goes


class Spool:
    """Collects the records of a job.

    Args:
        most: bytes that it keeps.
        pause: seconds between two collections while details are recorded.
    """

    def __init__(self, region: _core.Region, most: int, pause: float) -> None:
        self.region, self.most, self.pause = region, most, pause
        self.epoch = time.time_ns() - time.monotonic_ns()  #: what is to be added to times, so that they count from 1970
        self.lost = 0  #: records that were overwritten, or that no file has any more
        self._next: dict[int, int] = {}  # by slot: how many records of its ring were collected
        self._files: list[int] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Collects from now on for as long as details are recorded.

        Raises:
            RuntimeError: no thread can be started now.
        """
        if self._is_detailed() and self.is_idle:
            self._thread = threading.Thread(target=self._run, daemon=True, name="traces")
            self._thread.start()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is collected until somebody asks."""
        return self._thread is None or not self._thread.is_alive()

    def close(self) -> None:
        """Closes the files; details must no longer be recorded."""
        if self._thread is not None:
            self._thread.join()
        for fd in self._files:
            os.close(fd)
        self._files.clear()

    def _run(self) -> None:
        with contextlib.suppress(RaySystemError):  # the session is over
            while self._is_detailed():
                self.collect()
                time.sleep(self.pause)

    def _is_detailed(self) -> bool:
        try:
            return _core.traces_detail(self.region)
        except RaySystemError:
            return False

    def collect(self) -> None:
        """Adds what was recorded since the last time."""
        with self._lock:
            for slot in _core.trace_slots(self.region):
                data, self._next[slot], lost = _core.read_traces(self.region, slot, self._next.get(slot, 0))
                self.lost += lost
                if data:
                    self._write(data)

    def _write(self, data: bytes) -> None:
        import tempfile  # in the control process, once somebody asks

        if not self._files or os.fstat(self._files[-1]).st_size + len(data) > self.most // HALVES:
            with tempfile.TemporaryFile() as file:
                self._files.append(os.dup(file.fileno()))
            if len(self._files) > HALVES:
                self.lost += os.fstat(self._files[0]).st_size // _core.TRACE_BYTES
                os.close(self._files.pop(0))
        while data:
            data = data[os.write(self._files[-1], data) :]

    def files(self) -> list[int]:
        """Descriptors of the files, the older one first; the caller closes them."""
        with self._lock:
            return [os.dup(fd) for fd in self._files]

    def facts(self) -> dict[str, Any]:
        """What one needs to read the files."""
        return {"lost": self.lost, "epoch": self.epoch, "detail": _core.traces_detail(self.region),
                "names": self._names(), "actors": self._actors(), "unfinished": self._unfinished()}

    def _names(self) -> dict[str, str]:
        """Names of functions and methods by the index of their object."""
        found = {}
        for index in _core.kept_values(self.region):
            label = kept_label(self.region, index)
            found[str(index)] = label if isinstance(label, str) else str(label[0]) if label else ""
        return found

    def _actors(self) -> dict[str, str]:
        return {str(index): _core.actor_id(self.region, index).hex() for index in _core.actors(self.region)}

    def _unfinished(self) -> list[tuple[Any, ...]]:
        return [(binary.hex(), *rest) for binary, *rest in _core.task_rows(self.region, self.most // _core.TRACE_BYTES)]
