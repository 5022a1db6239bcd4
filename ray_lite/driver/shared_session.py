"""Starting a shared session: one that has no driver of its own, and stays until it is stopped.

The process that starts it makes files and region, as a driver does, and leaves when the node and the control store are ready.
Neighbours: launch.py spawns the node; begin.py makes the region; stop.py ends such a session.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from typing import NamedTuple

from ray_lite.control.listener import reached
from ray_lite.control.store_binaries import NO_BINARIES
from ray_lite.control.store_server import SOCKET, log_name, socket_name
from ray_lite.driver.begin import make_region, session_id_of, setting_of
from ray_lite.driver.launch import abandon, spawn
from ray_lite.driver.node_start import NodeStart
from ray_lite.driver.plan import SessionPlan, make_plan
from ray_lite.driver.request import Request
from ray_lite.exceptions import RaySystemError
from ray_lite.session_setting import JobDefaults, Secret, SessionInfo, SessionSetting, Sharing
from ray_lite.system import session_dir
from ray_lite.system.polling import readable

LOOK = 0.005  # seconds between two looks at whether a server listens
GAVE_UP = "Failed listening"  # what a server logs that ends since it can't have its port
LOG_MOST = 65_536  # characters of a server's log
PASSWORD_BYTES = 24  # of a password that the user has not chosen


class Ports(NamedTuple):
    """What a shared session is asked to listen on."""

    bind: str = "127.0.0.1"  #: a numeric address of this machine
    primary: int | None = None  #: TCP port of the control store; 0: a free one; None: none
    shards: tuple[int, ...] = ()  #: of its further servers
    password: str | None = None  #: of all of them; None: a new one


class Started(NamedTuple):
    """A shared session that has started."""

    address: str  #: by which drivers attach
    session_dir: str
    node_pid: int
    summary: str  #: what it has
    store: str  #: why it has no control store, or ""


def start_session(request: Request, ports: Ports, group: int = -1) -> Started:
    """Starts a shared session, and returns when it is ready.

    Args:
        group: id of the group whose members may attach; -1: only this user.

    Raises:
        OSError: as `launch`; or a port can't be had, or the session's directory can't be made.
        ValueError, ImportError: as `init`.  RaySystemError: the node, or the control store, did not start.
    """
    plan = make_plan(request)
    ports = _with_free_port(ports)
    directory = session_dir.new_shared_path(ports.primary or 0)
    with contextlib.ExitStack() as undo, contextlib.ExitStack() as ours:
        undo.callback(session_dir.remove_stale, directory)  # unless another session was quicker to take it
        node = spawn()
        undo.callback(abandon, node)
        files = make_region(plan, ours)[0]
        sharing = _sharing(ports, directory, group)
        redis_address = sharing.address if ports.primary else os.path.join(directory, SOCKET)
        info = SessionInfo(request.config, plan.resources, session_id_of(plan), files.spill, directory)
        setting = setting_of(plan, info, redis_address if plan.store.binaries else None)._replace(
            sharing=sharing, defaults=JobDefaults(request.num_workers or 0, request.pin, request.preload), num_workers=0,
            pin=False, redirect_output=True)
        NodeStart(node, setting, files).wait()
        _wait_for_store(plan, setting, node[0])
        undo.pop_all()
    node[1].close()
    return Started(sharing.address, directory, node[0], plan.summary, "" if plan.store.binaries else NO_BINARIES)


def _sharing(ports: Ports, directory: str, group: int) -> Sharing:
    address = _joined(ports.bind, ports.primary) if ports.primary else f"unix:{directory}"
    password = ports.password or os.urandom(PASSWORD_BYTES).hex()
    return Sharing(address, (ports.primary, *ports.shards) if ports.primary else (), ports.bind, Secret(password), group)


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _with_free_port(ports: Ports) -> Ports:
    """The ports, with a free one where any will do; raises OSError if one is taken."""
    if ports.primary is None:
        return ports
    found = _free_port(ports.bind, ports.primary)
    for port in ports.shards:
        _free_port(ports.bind, port)
    return ports._replace(primary=found)


def _free_port(host: str, port: int) -> int:
    """A port that can be bound; raises OSError if this one can't be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()  # somebody may have bound the same port with the same option
        except OSError as error:
            raise OSError(error.errno or errno.EADDRINUSE, f"port {port} of {host} can't be had: {error.strerror}") from None
        return int(probe.getsockname()[1])


def _wait_for_store(plan: SessionPlan, setting: SessionSetting, node_pid: int) -> None:
    """Waits until all servers of the control store listen, where there are any.

    Raises:
        RaySystemError: they don't in time, or the node has ended.
    """
    if not plan.store.binaries or setting.sharing is None:
        return
    places: list[str | tuple[str, int]] = [os.path.join(setting.session_dir, socket_name(number))
                                           for number in range(plan.store.shards + 1)]
    places += [(setting.sharing.bind, port) for port in setting.sharing.ports]
    deadline = time.monotonic() + setting.config.start_timeout
    pidfd = os.pidfd_open(node_pid)
    try:
        while places:
            if _listens(places[-1]):
                places.pop()
            elif readable(pidfd, LOOK) or time.monotonic() > deadline or GAVE_UP in _log(setting):
                raise RaySystemError(_why_no_store(setting))
    finally:
        os.close(pidfd)


def _listens(place: str | tuple[str, int]) -> bool:
    if isinstance(place, str):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, reached(os.path.dirname(place)) as directory:
            return probe.connect_ex(f"{directory}/{os.path.basename(place)}") == 0
    with socket.socket(socket.AF_INET6 if ":" in place[0] else socket.AF_INET, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(place) == 0


def _log(setting: SessionSetting) -> str:
    """What the first server has logged."""
    with contextlib.suppress(OSError), open(os.path.join(setting.session_dir, log_name(0)), errors="replace") as file:
        return file.read(LOG_MOST)
    return ""


def _why_no_store(setting: SessionSetting) -> str:
    """Why the control store did not start, as far as its log says so."""
    lines = [line.strip() for line in _log(setting).splitlines() if line.strip()]
    told = [line for line in lines if GAVE_UP in line] or lines[-1:] or ["nothing"]
    return (f"the control store did not start within {setting.config.start_timeout:g} s (RAY_LITE_START_TIMEOUT), or gave up; "
            f"its log says: {told[0]}")


def wait_for_end(started: Started) -> int:
    """Waits until a session that this process has started ends; the exit code of its node, or minus the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(started.node_pid, 0)[1])
