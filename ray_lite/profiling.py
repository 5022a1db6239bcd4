"""timeline, log_event, log_span, flush_log: what a program says of itself, and the file that shows what ran when.

Neighbours: tracing/ has the records; global_state.py shows them as tables.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import traceback
from collections.abc import Iterator
from typing import Any

from ray_lite import session

EVENT_MOST = 4_000  # bytes of an event as JSON: a twelfth of the records that a process keeps by default


def timeline(filename: str | os.PathLike[str] | None = None, *, detail: bool | None = None) -> None:
    """Writes what the session's processes have done into a file that chrome://tracing and https://ui.perfetto.dev open.

    The file has a track for each process. A slice is an attempt at a task or a call of an actor, a submission, a put, a move
    of bytes to or from disk, or what `log_event` and `log_span` recorded. Always recorded are attempts, deaths and events: the
    newest 1,024 records of each process (RAY_LITE_TRACE_RECORDS). While details are recorded, there are also submissions, puts,
    moves, the phases of each attempt, how long tasks were ready, and arrows from each submission to its run and from each
    result to the tasks that use it; up to 64 MiB of records (RAY_LITE_TRACE_BYTES) are kept then. `otherData.lost` in the file
    says how many records are missing. In PYTHON_MODE the file shows nothing.

    Args:
        filename: path of the file; compressed if it ends with ".gz". None: none is written.
        detail: whether the session's processes record details from now on. None: as before. RAY_LITE_TRACE=1 records them from
            the start.

    Raises:
        OSError: the file can't be written.  RaySystemError: the session did not answer.  TypeError: a wrong argument.
    """
    view = session.current().view
    if detail is not None:
        if not isinstance(detail, bool):
            raise TypeError(f"detail must be True, False or None, got {detail!r}")
        view.record_details(detail)
    if filename is not None:
        from ray_lite.tracing.chrome import write  # few programs do

        write(filename, view.traces())


def log_event(event_type: str, contents: dict[Any, Any] | None = None) -> None:
    """Records that something happened now in this process; `timeline` and `global_state.events()` show it.

    Args:
        event_type: its name.
        contents: further facts; keys and values are recorded as texts, 4,000 bytes together at most.

    Raises:
        TypeError: the type is no text, or the contents are no dict.  ValueError: the event is too large.
    """
    _record(time.monotonic_ns(), _event(event_type, contents, False))


@contextlib.contextmanager
def log_span(event_type: str, contents: dict[Any, Any] | None = None) -> Iterator[None]:
    """Records how long a `with` block takes; as `log_event` otherwise. If the block raises, the type, text and traceback of the
    exception are recorded, too, as far as there is room."""
    event, begin = _event(event_type, contents, True), time.monotonic_ns()
    try:
        yield
    except BaseException as error:
        facts = {"type": type(error).__name__, "value": str(error), "traceback": traceback.format_exc()}
        room = (EVENT_MOST - len(json.dumps(event))) // (2 * len(facts))
        event["contents"] = {**(event["contents"] or {}), **{name: text[: max(0, room)] for name, text in facts.items()}}
        with contextlib.suppress(ValueError):
            _record(begin, event)
        raise
    _record(begin, event)


def flush_log() -> None:
    """Does nothing: what was recorded can be read at once. Ray of 2018 sent it to Redis here."""
    session.current()


def _event(event_type: str, contents: dict[Any, Any] | None, span: bool) -> dict[str, Any]:
    if not isinstance(event_type, str):
        raise TypeError(f"the type of an event must be a str, got {event_type!r}")
    if contents is not None and not isinstance(contents, dict):
        raise TypeError(f"the contents of an event must be a dict or None, got {type(contents).__name__}")
    texts = None if contents is None else {str(key): str(value) for key, value in contents.items()}
    event = {"type": event_type, "contents": texts, "span": span}
    if len(json.dumps(event)) > EVENT_MOST:
        raise ValueError(f"an event has at most {EVENT_MOST:,} bytes, this one {len(json.dumps(event)):,}; log less of it")
    return event


def _record(begin: int, event: dict[str, Any]) -> None:
    session.current().view.record_event(begin, event)
