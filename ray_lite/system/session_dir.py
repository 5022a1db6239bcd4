"""The directory of a session: its path, making and removing it, and removing directories that killed sessions left behind.

The name tells the user and the driver: `ray_lite-<uid>-<pid>-<random>`.  The node has a lock on the directory all its life.  So
one that can be locked was left behind by a killed session; a pid would not tell, since containers may share the parent
directory.  Neighbours: driver/launch.py chooses the path, node/supervisor.py makes the directory; driver and node both
try to remove it at the end.
"""

from __future__ import annotations

import contextlib
import fcntl
import os

from ray_lite.system import machine

PREFIX = "ray_lite"
BASES = ("XDG_RUNTIME_DIR", "TMPDIR")  # variables that name a parent of session directories
SHARED = "/tmp/ray_lite-{uid}"  #: the parent of directories of shared sessions
LOGS = "logs"  #: name of the directory of log files inside the session's directory


def new_path() -> str:
    """The path of a new session directory; first removes the directories that killed sessions of this user left behind."""
    base = _base()
    _remove_all_stale(base)
    return os.path.join(base, f"{PREFIX}-{os.getuid()}-{os.getpid()}-{os.urandom(8).hex()}")


def shared_path(port: int) -> str:
    """The path of the session of this user that others attach to by its port: independent of the environment, which differs
    between a login, cron and a batch job."""
    return os.path.join(SHARED.format(uid=os.getuid()), str(port))


def make(path: str) -> int:
    """Makes a session's directory, accessible to this user only. Returns a descriptor of its lock; no child may keep it."""
    while True:
        os.mkdir(path, 0o700)
        with contextlib.suppress(FileNotFoundError):  # until it is locked, another session may take it for stale
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            with contextlib.suppress(OSError):  # a file system without locks: nobody can take the directory for stale
                fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.exists(path):
                os.mkdir(os.path.join(path, LOGS), 0o700)
                return lock
            os.close(lock)


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


def remove_stale(path: str) -> None:
    """Removes a session's directory of this user that a killed node left behind; does nothing with any other path."""
    with contextlib.suppress(OSError, ValueError):  # locked: its node lives; gone; or no path at all
        if _is_ours(path):
            _remove_unlocked(path)


def _base() -> str:
    """The parent of session directories: $XDG_RUNTIME_DIR, else $TMPDIR, where writable and local; else /tmp."""
    for base in map(os.environ.get, BASES):
        if base and os.access(base, os.W_OK | os.X_OK) and machine.file_system(base) not in machine.NETWORK_FILE_SYSTEMS:
            return os.path.abspath(base)
    return "/tmp"


def existing() -> list[str]:
    """Session directories of this user: where a process with this environment would make them, and wherever else sessions have
    their sockets."""
    found: dict[str, None] = {}
    bases = (_base(), *filter(None, map(os.environ.get, BASES)), f"/run/user/{os.getuid()}", "/tmp")
    for base in dict.fromkeys(bases):
        with contextlib.suppress(OSError):
            found.update(dict.fromkeys(entry.path for entry in os.scandir(base)))
    with contextlib.suppress(OSError), open("/proc/net/unix", errors="surrogateescape") as file:
        found.update(dict.fromkeys(os.path.dirname("/" + line.rstrip("\n").partition(" /")[2]) for line in file))
    return list(dict.fromkeys(map(os.path.realpath, filter(_is_ours, found))))


def _is_ours(path: str) -> bool:
    """Whether a directory is a session's of this user."""
    if not os.path.basename(path).startswith(f"{PREFIX}-{os.getuid()}-"):
        return False
    with contextlib.suppress(OSError):
        return os.lstat(path).st_uid == os.getuid()
    return False


def _remove_all_stale(base: str) -> None:
    try:
        entries = list(os.scandir(base))
    except OSError:
        return  # writable but not readable: old directories can't be found
    for entry in entries:
        remove_stale(entry.path)


def _remove_unlocked(path: str) -> None:
    """Removes a session's directory if no process has its lock; raises BlockingIOError if one has it."""
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove(path)
    finally:
        os.close(lock)
