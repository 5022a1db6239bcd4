"""Finding the running sessions of this user.

Neighbours: system/session_dir.py makes their directories; control/ask.py asks them.
"""

from __future__ import annotations

import os
from typing import Any

from ray_lite.control.ask import ask
from ray_lite.exceptions import RaySystemError
from ray_lite.system import session_dir


def running(timeout: float) -> list[dict[str, Any]]:
    """What each running session says of itself, the oldest first."""
    found = []
    for path in session_dir.existing():
        try:
            found.append(ask(path, "session", timeout))
        except RaySystemError:
            continue  # it ends, or its processes were killed
    return sorted(found, key=lambda facts: float(facts["started"]))


def directory_of(address: str, timeout: float) -> str:
    """The directory of the session that a user names: by its directory, by a path in it, or by its driver's or node's pid.

    Raises:
        RaySystemError: there is none.
    """
    if address.isdigit():
        for facts in running(timeout):
            if int(address) in (facts["driver_pid"], facts["node_pid"]):
                return str(facts["session_dir"])
        raise RaySystemError(f"process {address} is no driver of a running session of this user")
    path = os.path.abspath(address.removeprefix("unix:"))
    return path if os.path.isdir(path) else os.path.dirname(path)
