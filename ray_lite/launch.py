"""From `init`'s arguments to a running session: directory, files, region, node; and back to nothing at the end."""

from __future__ import annotations

import errno
import os
import pickle
import select
import signal
import socket
import sys
import time
from typing import Any, NamedTuple

from ray_lite import _core, machine, session
from ray_lite.config import SCRIPT_MODE, Config
from ray_lite.exceptions import RaySystemError
from ray_lite.files import SMALL_PAGE, Files, Place, Sizes, make_files, plan
from ray_lite.forkserver import LOGS, READY, SHUTDOWN, is_alive, remove_directory, spawn_node, started_at
from ray_lite.local import LocalBackend
from ray_lite.settings import snapshot

PREFIX = "ray_lite"
END_SLACK = 5.0  # seconds that the node may need beyond the grace before it is killed


class Request(NamedTuple):
    """What a private session shall be; checked by api.py."""

    num_cpus: float | None = None
    num_workers: int | None = None
    object_store_memory: int | None = None
    place: Place = Place(None, SMALL_PAGE)
    config: Config = Config()
    object_id_seed: int | None = None
    node_ip_address: str = "127.0.0.1"
    shutdown_grace: float = 5.0
    driver_mode: int = SCRIPT_MODE
    redirect_worker_output: bool = False
    redirect_output: bool = True
    verbose: bool = False


class Driver(LocalBackend):
    """The backend of the process that called `init`; it owns the session."""

    link: socket.socket
    files: Files
    session_dir: str
    node_pid: int
    grace: float
    _closed = False

    def close(self) -> None:
        """Ends every process of the session, then the mapping, the files, the directory."""
        if self._closed:
            return
        self._closed = True
        self.sites.end()
        if not self.inherited:
            self._end_node()
            remove_directory(self.session_dir)
        self.region.close()
        self.link.close()
        self.files.close()
        os.close(self.node_pidfd)
        self.node_pidfd = -1

    def _end_node(self) -> None:
        try:
            self.link.sendall(SHUTDOWN)
        except OSError:
            pass  # it is dead: all the better
        if not select.select([self.node_pidfd], [], [], self.grace + END_SLACK)[0]:
            signal.pidfd_send_signal(self.node_pidfd, signal.SIGKILL)
            select.select([self.node_pidfd], [], [])
        try:
            os.waitpid(self.node_pid, 0)
        except ChildProcessError:
            pass  # the user's own wait() reaped it


def _make_directory() -> str:
    """The session's directory, 0700; first those that a killed session of this user left are removed."""
    base = _base_directory()
    _remove_stale(base)
    stamp = f"{PREFIX}-{os.getuid()}-{os.getpid()}-{started_at(os.getpid())}-"
    path = os.path.join(base, stamp + os.urandom(8).hex())
    os.mkdir(path, 0o700)
    os.mkdir(os.path.join(path, LOGS), 0o700)
    return path


def _base_directory() -> str:
    """Where session directories go: $XDG_RUNTIME_DIR, else $TMPDIR if that is local, else /tmp."""
    for base in (os.environ.get("XDG_RUNTIME_DIR"), os.environ.get("TMPDIR")):
        if base and os.access(base, os.W_OK | os.X_OK) and machine.file_system(base) not in machine.NETWORK_FILE_SYSTEMS:
            return base
    return "/tmp"


def _remove_stale(base: str) -> None:
    for entry in os.scandir(base):
        parts = entry.name.split("-")
        if len(parts) < 5 or parts[0] != PREFIX or parts[1] != str(os.getuid()):
            continue
        try:
            mine = entry.stat(follow_symlinks=False)
            if mine.st_uid == os.getuid() and not is_alive(int(parts[2]), int(parts[3])):
                remove_directory(entry.path)
        except (OSError, ValueError):
            continue


def launch(request: Request) -> Driver:
    """Starts a private session.

    Raises:
        OSError, ObjectStoreFullError: no memory or address space for it.  RaySystemError: the node did not come up.
    """
    if request.place.huge:
        request = _with_huge_memory(request)
    node_pid, link = spawn_node()  # first: the interpreter starts while we lay out the region
    try:
        return _with_node(request, node_pid, link)
    except BaseException:
        link.close()
        os.kill(node_pid, signal.SIGKILL)
        os.waitpid(node_pid, 0)
        raise


def _with_huge_memory(request: Request) -> Request:
    """With a size for which there are enough huge pages: by default what is free, but no more than of other memory.

    Raises:
        OSError: too few of them.
    """
    place, config = request.place, request.config
    wanted = request.object_store_memory
    if wanted is None:
        wanted = int(machine.memory() * config.store_fraction)
        wanted = min(wanted, place.free() * place.page) or wanted
    arena_bytes = plan(config, place, wanted, 0).arena_bytes
    place.check_enough(arena_bytes)
    return request._replace(object_store_memory=arena_bytes)


def _region(request: Request, files: Files, sizes: Sizes) -> _core.Region:
    try:
        return _core.Region.create(files.control, files.arena, files.bell, sizes)
    except OSError as error:
        if request.place.huge and error.errno == errno.ENOMEM:  # somebody else took them meanwhile
            raise request.place.too_few(sizes.arena_bytes) from error
        raise


def _with_node(request: Request, node_pid: int, link: socket.socket) -> Driver:
    config = request.config
    cpus = machine.cpus() if request.num_cpus is None else request.num_cpus
    memory = request.object_store_memory or int(machine.memory() * config.store_fraction)
    sizes = plan(config, request.place, memory, cpus)
    files = make_files(sizes, request.place.directory)
    region = None
    try:
        region = _region(request, files, sizes)
        region.join(_core.DRIVER, os.getpid(), started_at(os.getpid()))
        region.make_current()
        driver = Driver(region, config, region.slot, sizes.nonce)
        driver.link, driver.files, driver.node_pid, driver.grace = link, files, node_pid, request.shutdown_grace
        driver.node_pidfd = os.pidfd_open(node_pid)
        _core.set_root(_root(request.object_id_seed))
        driver.settings.begin()
        driver.sites.begin()
        driver.session_dir = _make_directory()
        _greet(driver, request, sizes.nonce)
    except BaseException:
        if region is not None:
            region.close()
        files.close()
        raise
    driver.address = {
        "node_ip_address": request.node_ip_address, "redis_address": None, "object_store_address": None,
        "webui_url": None, "session_dir": driver.session_dir, "node_pid": node_pid,
    }
    if request.verbose:
        print(f"ray_lite: {cpus:g} CPUs, {sizes.arena_bytes:,} bytes of object store on pages of {sizes.page_bytes:,}, "
              f"session {driver.session_dir}", file=sys.stderr)
    return driver


def _root(seed: int | None) -> bytes:
    return os.urandom(20) if seed is None else _core.digest_id(f"seed\0{seed}".encode())


def _greet(driver: Driver, request: Request, nonce: int) -> None:
    """Sends the node its setting and waits for its answer; as long as it is alive, it may take its time."""
    umask = os.umask(0)
    os.umask(umask)
    setting: dict[str, Any] = {
        "config": driver.config, "driver": os.getpid(), "job": driver.job, "nonce": nonce, "umask": umask,
        "argv": list(sys.argv), "path": snapshot()["path"], "session_dir": driver.session_dir,
        "num_workers": request.num_workers or 0, "shutdown_grace": request.shutdown_grace,
        "driver_mode": request.driver_mode, "redirect_worker_output": request.redirect_worker_output,
        "redirect_output": request.redirect_output,
    }
    fds = [driver.files.control, driver.files.arena, driver.files.bell]
    try:
        socket.send_fds(driver.link, [pickle.dumps(setting)], fds)
        deadline = time.monotonic() + driver.config.start_timeout
        while not select.select([driver.link], [], [], 1.0)[0]:
            if time.monotonic() > deadline:
                raise RaySystemError(f"the node process (pid {driver.node_pid}) did not answer within "
                                     f"{driver.config.start_timeout:g} s (RAY_LITE_START_TIMEOUT)")
        if driver.link.recv(len(READY)) == READY:
            return
    except (BrokenPipeError, ConnectionResetError):
        pass  # said below
    remove_directory(driver.session_dir)
    raise RaySystemError("the node process ended while it started; what it wrote to stderr says why")


def _leave_link() -> None:
    """In a forked child: the node must see the end of the socket when the driver ends, however long the child lives."""
    backend = session.peek()
    if isinstance(backend, Driver):
        backend.link.close()


os.register_at_fork(after_in_child=_leave_link)
