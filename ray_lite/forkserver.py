"""Starting the node: the driver's own interpreter and flags, in a session of its own, with one end of a socketpair.

The package is loaded from where the driver has it, by its path: neither the working directory nor a user's `random.py`
beside the package can get in the way.  Neighbours: launch.py calls, node.py is what runs.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

from ray_lite.exceptions import RaySystemError

DESCRIPTORS = 3  # control file, arena file, doorbell
MESSAGE_MOST = 1 << 20  # bytes of the node's setting
READY = b"R"
SHUTDOWN = b"S"
NODE_FD = 3

_BOOTSTRAP = """
import sys
sys.path[:] = [p for p in sys.path if p]
import importlib.util as u
s = u.spec_from_file_location("ray_lite", {init!r}, submodule_search_locations=[{package!r}])
m = sys.modules["ray_lite"] = u.module_from_spec(s)
s.loader.exec_module(m)
import ray_lite.node
ray_lite.node.main({fd})
"""


def started_at(pid: int) -> int:
    """Start time of a process in clock ticks since boot: with the pid it names a process for good."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])


def spawn_node() -> tuple[int, socket.socket]:
    """Starts the node process; (its pid, the driver's end of the socketpair). It waits for its setting.

    Raises:
        RaySystemError: there is no interpreter to start.
    """
    if not sys.executable or not os.access(sys.executable, os.X_OK):
        raise RaySystemError(f"sys.executable is {sys.executable!r}: ray_lite needs the path of a Python interpreter there "
                             "to start its processes (an embedding program can set it)")
    package = os.path.dirname(os.path.abspath(__file__))
    code = _BOOTSTRAP.format(init=os.path.join(package, "__init__.py"), package=package, fd=NODE_FD)
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does
    ours, theirs = socket.socketpair()
    actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, theirs.fileno(), NODE_FD)]
    with theirs:
        pid = os.posix_spawn(sys.executable, [sys.executable, *flags, "-c", code], os.environ, file_actions=actions,
                             setsid=True, setsigmask=[], setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGPIPE])
    return pid, ours
