"""The directory of a session: its path, making and removing it, and removing directories that killed sessions left behind.

The name tells the user and the driver: `ray_lite-<uid>-<pid>-<start time>-<random>`.  Neighbours: driver/launch.py chooses
the path, node/supervisor.py makes the directory; driver and node both try to remove it at the end.
"""

from __future__ import annotations

import os

from ray_lite.system import machine
from ray_lite.system.process import is_alive, started_at

PREFIX = "ray_lite"
LOGS = "logs"  #: name of the directory of log files inside the session's directory


def new_path() -> str:
    """The path of a new session directory; first removes the directories that killed sessions of this user left behind."""
    base = _base()
    _remove_stale(base)
    stamp = f"{PREFIX}-{os.getuid()}-{os.getpid()}-{started_at(os.getpid())}-"
    return os.path.join(base, stamp + os.urandom(8).hex())


def make(path: str) -> None:
    """Makes a session's directory, accessible to this user only."""
    os.mkdir(path, 0o700)
    os.mkdir(os.path.join(path, LOGS), 0o700)


def remove(path: str) -> None:
    """Removes a session's directory and its content, if it still exists. Must not import anything: it runs at exit."""
    try:
        for entry in os.scandir(path):
            if entry.is_dir(follow_symlinks=False):
                remove(entry.path)
            else:
                os.unlink(entry.path)
        os.rmdir(path)
    except FileNotFoundError:
        pass  # another process has removed it


def _base() -> str:
    """The parent of session directories: $XDG_RUNTIME_DIR, else $TMPDIR, where writable and local; else /tmp."""
    for base in (os.environ.get("XDG_RUNTIME_DIR"), os.environ.get("TMPDIR")):
        if base and os.access(base, os.W_OK | os.X_OK) and machine.file_system(base) not in machine.NETWORK_FILE_SYSTEMS:
            return os.path.abspath(base)
    return "/tmp"


def _remove_stale(base: str) -> None:
    try:
        entries = list(os.scandir(base))
    except OSError:
        return  # writable but not readable: old directories can't be found
    for entry in entries:
        parts = entry.name.split("-")
        if len(parts) < 5 or parts[0] != PREFIX or parts[1] != str(os.getuid()):
            continue
        try:
            facts = entry.stat(follow_symlinks=False)
            if facts.st_uid == os.getuid() and not is_alive(int(parts[2]), int(parts[3])):
                remove(entry.path)
        except (OSError, ValueError):
            continue
