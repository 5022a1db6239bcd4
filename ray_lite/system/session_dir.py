"""The directory of a session: its path, making and removing it, and removing directories that killed sessions left behind.

The name tells the user and the driver: `ray_lite-<uid>-<pid>-<random>`; a shared session's is `<parent>/<port>`, or a random
name where it has no port.  The node has a lock on the directory all its life.  So one that can be locked was left behind by a
killed session; a pid would not tell, since containers may share the parent directory.  Neighbours: driver/ chooses the path,
node/supervisor.py makes the directory; driver and node both try to remove it at the end.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat

from ray_lite.system import machine

PREFIX = "ray_lite"
BASES = ("XDG_RUNTIME_DIR", "TMPDIR")  # variables that name a parent of session directories
SHARED = "RAY_LITE_SHARED_DIR"  #: variable that names where shared sessions are, in a directory a user; default: SHARED_IN
SHARED_IN = "/tmp"
PRIVATE_NAME = re.compile(PREFIX + r"-(\d+)-\d+-[0-9a-f]{16}")  #: of the directory of a driver's session: the user
SHARED_NAME = re.compile(r"\d{1,5}|session-[0-9a-f]{8}")  #: of that of a shared one, in its user's directory
PASSWORD_FILE = "redis-password"  #: of the control store, and of other users who attach; in a shared session's directory
DRIVER_LOG = "driver-"  # and a pid: names of files there
LOGS = "logs"  #: name of the directory of log files inside the session's directory


def new_path() -> str:
    """The path of a new session directory; first removes the directories that killed sessions of this user left behind."""
    base = private_parent()
    _remove_all_stale(base)
    return _named_in(base)


def try_out() -> None:
    """Makes a session's directory, and removes it; raises OSError if there can be none."""
    path = _named_in(private_parent())
    try:
        os.close(make(path))
    finally:
        remove(path)


def _named_in(base: str) -> str:
    return os.path.join(base, f"{PREFIX}-{os.getuid()}-{os.getpid()}-{os.urandom(8).hex()}")


def shared_parent() -> str:
    """The parent of directories of this user's shared sessions: independent of TMPDIR and its like, which differ between a
    login, cron and a batch job."""
    return os.path.join(os.path.realpath(os.environ.get(SHARED) or SHARED_IN), f"{PREFIX}-{os.getuid()}")


def shared_path(port: int) -> str:
    """The path of the session of this user that others attach to by its port."""
    return os.path.join(shared_parent(), str(port))


def others_at(port: int) -> list[str]:
    """The directories of shared sessions of other users with a port, as far as they can be seen."""
    found = []
    place, prefix = os.path.dirname(shared_parent()), PREFIX + "-"
    for name in os.listdir(place):
        uid, path = name.removeprefix(prefix), os.path.join(place, name, str(port))
        if name.startswith(prefix) and uid.isdecimal() and int(uid) != os.getuid():
            with contextlib.suppress(OSError):
                if os.lstat(os.path.dirname(path)).st_uid == int(uid) and os.path.isdir(path):
                    found.append(path)
    return found


def new_shared_path(port: int) -> str:
    """The path of a new shared session's directory, whose parent is made; removes what a killed session left behind there.

    Args:
        port: its TCP port; 0: it has none.

    Raises:
        FileExistsError: a session has this port.  PermissionError: the parent is another user's, or others may write into it.
    """
    parent = shared_parent()
    with contextlib.suppress(FileExistsError):
        os.mkdir(parent, 0o711)  # others may pass, to a session of their group; each session's directory has a mode of its own
    found = os.lstat(parent)
    if not _is_safe(found):
        raise PermissionError(f"{parent} must be a directory of this user into which nobody else can write "
                              f"({SHARED} names another)")
    _remove_all_stale(parent)
    path = os.path.join(parent, str(port) if port else f"session-{os.urandom(4).hex()}")
    if os.path.lexists(path):
        raise FileExistsError(f"a session runs at port {port} already: {path}")
    return path


def _is_safe(found: os.stat_result) -> bool:
    """Whether nobody else can put anything into a directory."""
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022


def is_shared(path: str) -> bool:
    """Whether a directory is that of a shared session of this user, by its name."""
    return os.path.dirname(path) == shared_parent() and SHARED_NAME.fullmatch(os.path.basename(path)) is not None


def is_private(path: str) -> bool:
    """Whether a directory is that of a driver of this user, by its name."""
    found = PRIVATE_NAME.fullmatch(os.path.basename(path))
    return found is not None and int(found[1]) == os.getuid()


def own_at(port: int) -> str:
    """The directory of this user's shared session with a port, or "": nobody else can have made it."""
    path = shared_path(port)
    with contextlib.suppress(OSError):
        return path if _is_safe(os.lstat(os.path.dirname(path))) and os.path.isdir(path) else ""
    return ""


def make(path: str, group: int = -1) -> int:
    """Makes a session's directory, accessible to this user only, or also to a group. Returns a descriptor of its lock; no child
    may keep it."""
    while True:
        os.mkdir(path, 0o700)
        if group >= 0:
            os.chown(path, -1, group)
            os.chmod(path, 0o710)
        with contextlib.suppress(FileNotFoundError):  # until it is locked, another session may take it for stale
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            with contextlib.suppress(OSError):  # a file system without locks: nobody can take the directory for stale
                fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.exists(path):
                os.mkdir(os.path.join(path, LOGS), 0o700)
                return lock
            os.close(lock)


def write_password(path: str, password: str) -> None:
    """Writes the password of a session's servers where only this user can read it."""
    fd = os.open(os.path.join(path, PASSWORD_FILE), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "w") as file:
        file.write(password + "\n")


def remove(path: str) -> None:
    """Removes a session's directory and its content, if it still exists. Must not import anything: it runs at exit."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            for name in os.listdir(fd):
                try:
                    os.unlink(name, dir_fd=fd)
                except IsADirectoryError:
                    remove(os.path.join(path, name))
        finally:
            os.close(fd)
        os.rmdir(path)
    except FileNotFoundError:
        pass  # another process has removed it


def remove_stale(path: str) -> None:
    """Removes a session's directory of this user that a killed node left behind; does nothing with any other path."""
    with contextlib.suppress(OSError, ValueError):  # its node lives and has the lock; it is gone; or this is no path at all
        if _is_ours(path):
            _remove_unlocked(path)


def open_driver_log(directory: str, pid: int) -> int:
    """A descriptor of that file, through which a driver writes into it that can't reach its directory."""
    path = driver_log(directory, pid)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def session_log(directory: str) -> str:
    """The path of the file with what another session's driver would read in its terminal; a shared one has no driver."""
    return os.path.join(directory, LOGS, "session.log")


def driver_log(directory: str, pid: int) -> str:
    """The path of the file with what the processes of a driver write that has attached to a shared session."""
    return os.path.join(directory, LOGS, f"{DRIVER_LOG}{pid}.log")


def driver_logs(directory: str) -> dict[int, float]:
    """The drivers of a shared session whose output is kept there, with the times of the last change in seconds since 1970,
    oldest first."""
    found: dict[int, float] = {}
    with contextlib.suppress(OSError):
        for entry in os.scandir(os.path.join(directory, LOGS)):
            pid = entry.name.removeprefix(DRIVER_LOG).removesuffix(".log")
            if entry.name == f"{DRIVER_LOG}{pid}.log" and pid.isdecimal():
                with contextlib.suppress(OSError):
                    found[int(pid)] = entry.stat(follow_symlinks=False).st_mtime
    return dict(sorted(found.items(), key=lambda item: item[1]))


def sweep_driver_logs(directory: str, live: set[int], most: int, before: float) -> None:
    """Removes files of drivers that have ended.

    Args:
        live: pids of the others.
        most: how many stay.
        before: those whose last change was earlier than this go, too, in seconds since 1970.
    """
    ended = {pid: changed for pid, changed in driver_logs(directory).items() if pid not in live}
    for number, (pid, changed) in enumerate(ended.items()):
        if number < len(ended) - most or changed < before:
            with contextlib.suppress(OSError):
                os.unlink(driver_log(directory, pid))


def private_parent() -> str:
    """The parent of drivers' session directories: $XDG_RUNTIME_DIR, else $TMPDIR, where writable and local; else /tmp."""
    for base in map(os.environ.get, BASES):
        if base and os.access(base, os.W_OK | os.X_OK) and machine.file_system(base) not in machine.NETWORK_FILE_SYSTEMS:
            return os.path.abspath(base)
    return "/tmp"


def existing() -> list[str]:
    """Session directories of this user: where a process with this environment would make them, and wherever else sessions have
    their sockets."""
    found: dict[str, None] = {}
    bases = (private_parent(), *filter(None, map(os.environ.get, BASES)), f"/run/user/{os.getuid()}", "/tmp", shared_parent())
    for base in dict.fromkeys(bases):
        with contextlib.suppress(OSError):
            found.update(dict.fromkeys(entry.path for entry in os.scandir(base)))
    with contextlib.suppress(OSError), open("/proc/net/unix", errors="surrogateescape") as file:
        found.update(dict.fromkeys(os.path.dirname("/" + line.rstrip("\n").partition(" /")[2]) for line in file))
    return list(dict.fromkeys(map(os.path.realpath, filter(_is_ours, found))))


def _is_ours(path: str) -> bool:
    """Whether a directory is a session's of this user."""
    if not (is_private(path) or is_shared(path)):
        return False
    with contextlib.suppress(OSError):
        found = os.lstat(path)
        return found.st_uid == os.getuid() and stat.S_ISDIR(found.st_mode)
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
