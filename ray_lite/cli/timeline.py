"""`ray-lite timeline`: the file that shows what the processes of a session have done, and the switch for details.

Neighbours: profiling.py does the same for a program; tracing/chrome.py writes the file.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from ray_lite.cli.sessions import Session
from ray_lite.control.ask import ask_files
from ray_lite.exceptions import RaySystemError
from ray_lite.tracing.chrome import write
from ray_lite.tracing.source import Traces, read, together


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the command's own arguments."""
    command.add_argument("file", nargs="?", help="to write; compressed if it ends with .gz; opens in chrome://tracing")
    command.add_argument("--detail", choices=("on", "off"),
                         help="record submissions, arguments, phases and puts, too, from now on, or no longer")


def timeline(one: Session, args: argparse.Namespace) -> None:
    """A file for chrome://tracing that shows what the processes of a session have done."""
    if args.file is None and args.detail is None:
        raise ValueError("name a file to write, or --detail on or off")
    fields: dict[str, Any] = {} if args.detail is None else {"detail": args.detail == "on"}
    parts = [traces for part in one.parts() if (traces := _traces(part, one, fields)) is not None]
    if args.file is None:
        print(json.dumps({"detail": args.detail}) if args.json else f"detail is {args.detail}")
        return
    traces = together(parts)
    write(args.file, traces)
    numbers = {"file": args.file, "records": len(traces.records), "lost": traces.lost}
    print(json.dumps(numbers) if args.json else f"{args.file}: {len(traces.records):,} records, {traces.lost:,} are lost")


def _traces(part: Session, whole: Session, fields: dict[str, Any]) -> Traces | None:
    """The traces of a part; None if that has ended meanwhile."""
    try:
        facts, files = ask_files(part.directory, "traces", part.timeout, **fields)
    except RaySystemError:
        if part is whole:
            raise
        return None
    return read(files, facts)
