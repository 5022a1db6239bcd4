"""The end of a forked child: as an interpreter would end it, but without its parent's exit handlers."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def end_child(error: BaseException | None) -> NoReturn:
    """Ends this process; shows an `error` and makes it the exit code."""
    code = 0 if error is None else 1
    if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
        code, error = error.code or 0, None
    try:
        if error is not None:
            import traceback

            traceback.print_exception(type(error), error, error.__traceback__)
        flush_streams()
    except Exception:  # the streams are closed, or showing the exception fails: the process ends all the same
        code = code or 1
    finally:
        os._exit(code)


def flush_streams() -> None:
    """Writes out what is buffered for stdout and stderr."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
