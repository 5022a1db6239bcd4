"""Finding the running sessions of this user.

Neighbours: system/session_dir.py makes their directories; control/ask.py asks them.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from ray_lite.config import Config
from ray_lite.control.ask import ask
from ray_lite.control.listener import SOCKET
from ray_lite.driver.address import directory_of as addressed
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


def answer_timeout() -> float:
    """Seconds that a session may take to answer."""
    return Config.from_environment().answer_timeout


class Session:
    """The session that a command asks, or the part of it that belongs to one attached driver.

    Args:
        timeout: seconds that it may take to answer.
    """

    def __init__(self, directory: str, timeout: float) -> None:
        self.directory, self.timeout = directory, timeout

    def ask(self, name: str, **fields: Any) -> Any:
        """The answer to a question."""
        return ask(self.directory, name, self.timeout, **fields)

    def parts(self) -> list[Session]:
        """What answers for its own processes: the session itself, and each driver that has attached."""
        attached = [str(facts["session_dir"]) for facts in running()[0] if facts["attached_to"] == self.directory]
        return [self, *(Session(directory, self.timeout) for directory in attached)]

    def part_of(self, driver_pid: int) -> Session | None:
        """The part of a driver that has attached."""
        for facts in running()[0]:
            if facts["attached_to"] == self.directory and facts["driver_pid"] == driver_pid:
                return Session(str(facts["session_dir"]), self.timeout)
        return None

    def ask_parts(self, pid: int | None, name: str, **fields: Any) -> dict[str, Any]:
        """The answers of the parts that have a process, by directory; without a pid of all that have not ended meanwhile."""
        parts, found = self.parts_with(pid), {}
        for part in parts:
            try:
                found[part.directory] = part.ask(name, pid=pid, **fields)
            except RaySystemError:
                if len(parts) == 1 or part is self:
                    raise
        return found

    def parts_with(self, pid: int | None) -> list[Session]:
        """The parts that have a process, if one has it; all of them without a pid."""
        parts = self.parts()
        if pid is None:
            return parts
        return [part for part in parts if pid in part.ask("pids")] or [self]


def directory_of(address: str) -> str:
    """The directory of the session that a user names: by an address that `init` takes, or by its driver's or node's pid.

    Raises:
        RaySystemError: there is none.  ValueError: that is no address.
    """
    if address.isdigit():
        for facts in running()[0]:
            if int(address) in (facts["driver_pid"], facts["node_pid"]):
                return str(facts["session_dir"])
        raise RaySystemError(f"process {address} is no driver of a running session of this user")
    return addressed(address if ":" in address else os.path.abspath(address))
