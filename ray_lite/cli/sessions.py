"""Finding the running sessions of this user.

Neighbours: system/session_dir.py makes their directories; control/ask.py asks them.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from ray_lite.control.ask import ask
from ray_lite.control.listener import SOCKET
from ray_lite.exceptions import RaySystemError
from ray_lite.system import session_dir

PATIENCE = 1.0  # seconds that a session may take to say what it is


def running() -> tuple[list[dict[str, Any]], list[str]]:
    """What each running session says of itself, the oldest first; and the directories of those that say nothing in time."""
    found: list[dict[str, Any]] = []
    silent: list[str] = []

    def look(path: str) -> None:
        try:
            found.append(ask(path, "session", PATIENCE))
        except RaySystemError as error:
            if "did not answer" in str(error):
                silent.append(path)  # else it ends, or its processes were killed

    there = [path for path in session_dir.existing() if os.path.exists(os.path.join(path, SOCKET))]
    threads = [threading.Thread(target=look, args=(path,)) for path in there]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(found, key=lambda facts: float(facts["started"])), silent


def directory_of(address: str) -> str:
    """The directory of the session that a user names: by its directory, by a path in it, or by its driver's or node's pid.

    Raises:
        RaySystemError: there is none.
    """
    if address.isdigit():
        for facts in running()[0]:
            if int(address) in (facts["driver_pid"], facts["node_pid"]):
                return str(facts["session_dir"])
        raise RaySystemError(f"process {address} is no driver of a running session of this user")
    path = os.path.abspath(address.removeprefix("unix:"))
    if os.path.isdir(path):
        return path
    if not os.path.exists(path):
        raise RaySystemError(f"there is no session {address}")
    return os.path.dirname(path)
