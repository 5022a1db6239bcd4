"""LocalView: what a session holds and uses, as one of its processes sees it.  See abc.SessionView for the contracts."""

from __future__ import annotations

import json
from typing import Any

from ray_lite import _core
from ray_lite.backends.session_tables import SessionTables
from ray_lite.session_setting import SessionInfo
from ray_lite.store.listing import Row
from ray_lite.store.memory_report import Memory, measure
from ray_lite.store.object_store import Store
from ray_lite.store.session_statistics import Statistics, statistics
from ray_lite.tracing.source import Traces, read


class LocalView:
    """The view of a session on this machine."""

    def __init__(self, store: Store, info: SessionInfo) -> None:
        self._store, self._region, self._info = store, store.region, info
        self.tables = SessionTables(store.region, store.listing, info)

    def check(self) -> None:
        self._region.check()

    def statistics(self) -> Statistics:
        return statistics(self._region)

    def amounts(self) -> dict[str, tuple[float, float]]:
        return self._info.resources.named(_core.resource_amounts(self._region))

    def objects(self) -> list[Row]:
        return self._store.listing.largest()

    def memory(self, most: int) -> Memory:
        return measure(self._region, most)

    def errors(self) -> list[dict[str, Any]]:
        from ray_lite.control.ask import ask  # few processes ask

        answer = ask(self._info.session_dir, "errors", self._info.config.answer_timeout, own=True)
        return list(answer["entries"])

    def traces(self) -> Traces:
        from ray_lite.control.ask import ask_files

        facts, files = ask_files(self._info.session_dir, "traces", self._info.config.answer_timeout)
        return read(files, facts)

    def record_details(self, on: bool) -> None:
        from ray_lite.control.ask import ask

        ask(self._info.session_dir, "traces", self._info.config.answer_timeout, detail=on, files=False)

    def record_event(self, begin: int, event: Any) -> None:
        _core.trace_event(self._region, begin, json.dumps(event).encode())

    def worker_pids(self) -> list[int]:
        return [pid for pid, role in self._region.processes() if role == _core.WORKER]
