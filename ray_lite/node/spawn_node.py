"""Starting the node process: the driver's interpreter with the driver's flags, in a new OS session, with a socketpair.

The package is loaded by the path from which the driver loaded it: neither the working directory nor a user's `random.py` beside
the package can replace a module.  Neighbours: driver/launch.py spawns the node; supervisor.py is what it runs.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
from collections.abc import Iterator

from ray_lite.exceptions import RaySystemError
from ray_lite.session_setting import SessionSetting

DESCRIPTORS = 7  # the SessionSetting, control file, arena, doorbell; if there are such, spill file, the host's doorbell, log
READY = b"R"
REFUSED = b"F"  # followed by JSON: what `init` is to raise
SHUTDOWN = b"S"
NODE_FD = 3
PASSWORD = "RAY_LITE_REDIS_PASSWORD"  # variable that no process of a session inherits

_BOOTSTRAP = """
import sys
sys.path[:] = [p for p in sys.path if p]
import importlib.util as u
s = u.spec_from_file_location("ray_lite", {init!r}, submodule_search_locations=[{package!r}])
m = sys.modules["ray_lite"] = u.module_from_spec(s)
s.loader.exec_module(m)
import ray_lite.node.supervisor
ray_lite.node.supervisor.main({fd})
"""


def send_setting(link: socket.socket, setting: SessionSetting, files: list[int]) -> None:
    """Sends the SessionSetting and the files to the node; in a file, since paths may be longer than a socket's buffer."""
    fd = os.memfd_create("ray_lite_setting", os.MFD_CLOEXEC)
    with open(fd, "wb") as file:
        pickle.dump(setting, file)
        file.flush()
        socket.send_fds(link, [b"S"], [fd, *files])


def receive_setting(link: socket.socket) -> tuple[SessionSetting, list[int]] | None:
    """Receives the SessionSetting and the files in the node; None if the driver ended before it sent them."""
    _, fds, _, _ = socket.recv_fds(link, 1, DESCRIPTORS)
    if len(fds) < DESCRIPTORS - 3:
        return None
    with open(fds[0], "rb") as file:
        file.seek(0)
        return pickle.load(file), fds[1:]


def _interpreter_flags() -> list[str]:
    """Command-line options that make another interpreter behave like this one; saves an import where there are none."""
    quiet = ("hash_randomization", "int_max_str_digits", "gil", "thread_inherit_context", "context_aware_warnings")
    told = any(getattr(sys.flags, name) for name in dir(sys.flags) if name not in quiet and _is_flag(name))
    if not told and not sys.warnoptions and not sys._xoptions:
        return []
    import subprocess

    return subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined, no-any-return]  # as multiprocessing does


def _is_flag(name: str) -> bool:
    return not name.startswith(("_", "n_")) and name not in ("count", "index")


def _outputs() -> Iterator[tuple[int, int, str, int, int]]:
    """Yields file actions that open /dev/null as a missing stdout or stderr; else the node's own files would get the number."""
    for fd in (1, 2):
        try:
            os.fstat(fd)
        except OSError:
            yield os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0


def spawn_node() -> tuple[int, socket.socket]:
    """Starts the node process, which then waits for its SessionSetting.

    Returns:
        (pid of the node, the driver's end of the socketpair)

    Raises:
        RaySystemError: there is no interpreter to start.  OSError: no process can be started.
    """
    if not sys.executable or not os.access(sys.executable, os.X_OK, effective_ids=True):
        raise RaySystemError(f"sys.executable is {sys.executable!r}: ray_lite needs the path of a Python interpreter there "
                             "to start its processes (an embedding program can set it)")
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    code = _BOOTSTRAP.format(init=os.path.join(package, "__init__.py"), package=package, fd=NODE_FD)
    flags = _interpreter_flags()
    outputs = list(_outputs())  # found before the sockets exist, which may get these numbers
    ours, theirs = socket.socketpair()
    defaults = [signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD]  # this process or its parent may ignore them
    actions = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), NODE_FD), (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), *outputs]
    env = {name: value for name, value in os.environ.items() if name != PASSWORD}
    with theirs:
        pid = os.posix_spawn(sys.executable, [sys.executable, *flags, "-c", code], env, file_actions=actions,
                             setsid=True, setsigmask=[], setsigdef=defaults)
    return pid, ours
