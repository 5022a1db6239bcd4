"""From `init`'s arguments to a running session: directory, files, region, node; and back to nothing at the end."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import sys
import time
from typing import Any, NamedTuple

from ray_lite import _core, machine, session
from ray_lite.config import SCRIPT_MODE, Config
from ray_lite.demands import Resources
from ray_lite.descriptors import readable
from ray_lite.exceptions import RaySystemError
from ray_lite.files import SMALL_PAGE, Files, Place, Sizes, make_files, plan
from ray_lite.forkserver import READY, SHUTDOWN, is_alive, remove_directory, send_setting, spawn_node, started_at
from ray_lite.local import LocalBackend, Part
from ray_lite.options import GPUS_MOST
from ray_lite.settings import snapshot

PREFIX = "ray_lite"
END_SLACK = 5.0  # seconds that the node may need beyond the grace before it is killed


class Request(NamedTuple):
    """What a private session shall be; checked by api.py."""

    num_cpus: float | None = None
    num_gpus: int | None = None
    resources: dict[str, float] = {}
    num_workers: int | None = None
    max_workers: int | None = None
    pin: bool = False
    object_store_memory: int | None = None
    place: Place = Place(None, SMALL_PAGE)
    spill_directory: str | None = None
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
        self.region.retire()  # calls of other threads end now, not after the grace
        try:
            if not self.inherited:
                self._end_node()
        finally:
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
        try:
            if not readable(self.node_pidfd, self.grace + END_SLACK):
                signal.pidfd_send_signal(self.node_pidfd, signal.SIGKILL)
        except BaseException:  # Ctrl-C: the polite time is over
            signal.pidfd_send_signal(self.node_pidfd, signal.SIGKILL)
            raise
        finally:
            if not _reap(self.node_pid):
                _end_workers(self.region)
            remove_directory(self.session_dir)


def _reap(pid: int) -> bool:
    """Whether it ended in good order, as far as can be told."""
    try:
        return os.waitpid(pid, 0)[1] == 0
    except ChildProcessError:
        return False  # the user's own wait() reaped it, or SIGCHLD is ignored


def _end_workers(region: _core.Region) -> None:
    """Those that outlived their node: a task had blocked or ignored the signal that tells of its death, or had changed its
    user, and the kernel sends none then."""
    for pid, started in region.workers():
        with contextlib.suppress(OSError):  # it has ended
            _end_group(pid, started)


def _end_group(pid: int, started: int) -> None:
    """Kills the process that started then under this pid, and its group."""
    pidfd = os.pidfd_open(pid)
    try:
        if started_at(pid) == started:  # looked at after the opening: it is no other process's
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            readable(pidfd, END_SLACK)
    finally:
        os.close(pidfd)


def _new_directory() -> str:
    """The path of the session's directory, which the node makes; first those that a killed session of this user left go."""
    base = _base_directory()
    _remove_stale(base)
    stamp = f"{PREFIX}-{os.getuid()}-{os.getpid()}-{started_at(os.getpid())}-"
    return os.path.join(base, stamp + os.urandom(8).hex())


def _base_directory() -> str:
    """Where session directories go: $XDG_RUNTIME_DIR, else $TMPDIR if that is local, else /tmp."""
    for base in (os.environ.get("XDG_RUNTIME_DIR"), os.environ.get("TMPDIR")):
        if base and os.access(base, os.W_OK | os.X_OK) and machine.file_system(base) not in machine.NETWORK_FILE_SYSTEMS:
            return os.path.abspath(base)
    return "/tmp"


def _remove_stale(base: str) -> None:
    try:
        entries = list(os.scandir(base))
    except OSError:
        return  # one may write there and not read: nobody's directories can be told then
    for entry in entries:
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
        _check_huge_pages(request)
    with contextlib.ExitStack() as undo:
        directory = _new_directory()
        undo.callback(remove_directory, directory)  # the last thing to be undone: the node makes it
        node = _spawn()  # its interpreter starts while we lay out the region
        undo.callback(_abandon, *node)
        driver = _with_node(request, directory, node, undo)
        undo.pop_all()
        return driver


def _spawn() -> tuple[int, socket.socket]:
    try:
        return spawn_node()
    except BlockingIOError as error:
        raise OSError(errno.EAGAIN, f"no process can be started: {machine.why_no_process()}") from error


def _abandon(node_pid: int, link: socket.socket) -> None:
    link.close()
    os.kill(node_pid, signal.SIGKILL)
    _reap(node_pid)


def _check_huge_pages(request: Request) -> None:
    """Before anything starts: raises OSError when there are too few for the object store."""
    request.place.check_enough(plan(request.config, request.place, _store_memory(request).value, Resources()).arena_bytes)


def _store_memory(request: Request) -> machine.Limit:
    """Bytes of the object store, and who says so: by default no more huge pages than are free, if any are."""
    if request.object_store_memory is not None:
        return machine.Limit(request.object_store_memory, "object_store_memory")
    memory, fraction = machine.memory(), request.config.store_fraction
    part = machine.Limit(int(memory.value * fraction), f"{fraction * 100:g} % of {memory.value:,}: {memory.source}")
    free = request.place.free() * request.place.page if request.place.huge else 0
    return machine.Limit(free, "the free huge pages") if 0 < free < part.value else part


def _cpus(request: Request) -> tuple[float, str]:
    """CPUs of the session, and who says so."""
    if request.num_cpus is not None:
        return request.num_cpus, "num_cpus"
    if request.config.num_cpus is not None:
        return request.config.num_cpus, "RAY_LITE_NUM_CPUS"
    return machine.cpus()


def _detected(request: Request) -> tuple[Resources, machine.Limit, str]:
    """What the session has, how many workers it may have, and who says so.

    Raises:
        ValueError: more GPUs are claimed than are visible, or more are visible than a session can have.
    """
    cpus, why = _cpus(request)
    gpus = machine.gpus(request.num_gpus)
    if len(gpus.ids) > GPUS_MOST:
        raise ValueError(f"{gpus.source} shows {len(gpus.ids)} GPUs, but a session has at most {GPUS_MOST}; give num_gpus=")
    limit = machine.workers(request.config, request.max_workers)
    text = (f"{cpus:g} CPUs ({why}), {len(gpus.ids)} GPUs ({gpus.source}), at most {limit.value:,} workers ({limit.source})")
    return Resources(cpus, gpus.ids, gpus.variable, request.resources), limit, text


def _region(request: Request, files: Files, sizes: Sizes) -> _core.Region:
    try:
        return _core.Region.create(files.control, files.arena, files.bell, sizes)
    except OSError as error:
        if request.place.huge and error.errno == errno.ENOMEM:  # somebody else took them meanwhile
            raise request.place.too_few(sizes.arena_bytes) from error
        raise


def _with_node(request: Request, directory: str, node: tuple[int, socket.socket], undo: contextlib.ExitStack) -> Driver:
    config, (node_pid, link) = request.config, node
    resources, limit, detected = _detected(request)
    memory = _store_memory(request)
    sizes = plan(config, request.place, memory.value, resources, request.spill_directory is not None)
    files = make_files(sizes, request.place.directory, request.spill_directory)
    undo.callback(files.close)
    region = _region(request, files, sizes)
    undo.callback(region.close)
    region.join(_core.DRIVER, os.getpid(), started_at(os.getpid()))
    region.make_current()
    driver = Driver(region, Part(config, resources, region.slot, sizes.nonce, files.spill))
    driver.link, driver.files, driver.node_pid, driver.grace = link, files, node_pid, request.shutdown_grace
    driver.session_dir, driver.node_pidfd = directory, os.pidfd_open(node_pid)
    undo.callback(os.close, driver.node_pidfd)
    _core.set_root(_root(request.object_id_seed))
    driver.settings.begin()
    driver.sites.begin()
    undo.callback(driver.sites.end)
    _greet(driver, request, limit)
    driver.address = {
        "node_ip_address": request.node_ip_address, "redis_address": None, "object_store_address": None,
        "webui_url": None, "session_dir": driver.session_dir, "node_pid": node_pid,
    }
    if request.verbose:
        print(f"ray_lite: {detected}, {sizes.arena_bytes:,} bytes of object store ({memory.source}) on pages of "
              f"{sizes.page_bytes:,}, session {driver.session_dir}", file=sys.stderr)
    return driver


def _root(seed: int | None) -> bytes:
    return os.urandom(20) if seed is None else _core.digest_id(f"seed\0{seed}".encode())


def _greet(driver: Driver, request: Request, limit: machine.Limit) -> None:
    """Sends the node its setting and waits for its answer; as long as it is alive, it may take its time."""
    umask = os.umask(0)
    os.umask(umask)
    setting: dict[str, Any] = {
        "config": driver.config, "driver": os.getpid(), "job": driver.job, "nonce": driver.nonce, "umask": umask,
        "argv": list(sys.argv), "path": snapshot()["path"], "session_dir": driver.session_dir,
        "num_workers": request.num_workers or 0, "shutdown_grace": request.shutdown_grace,
        "driver_mode": request.driver_mode, "redirect_worker_output": request.redirect_worker_output,
        "redirect_output": request.redirect_output, "resources": driver.resources, "limit": limit, "pin": request.pin,
    }
    fds = [fd for fd in driver.files if fd >= 0]
    try:
        send_setting(driver.link, setting, fds)
        deadline = time.monotonic() + driver.config.start_timeout
        while not readable(driver.link.fileno(), 1.0):
            if time.monotonic() > deadline:
                raise RaySystemError(f"the node process (pid {driver.node_pid}) did not answer within "
                                     f"{driver.config.start_timeout:g} s (RAY_LITE_START_TIMEOUT)")
        if driver.link.recv(len(READY)) == READY:
            return
    except (BrokenPipeError, ConnectionResetError):
        pass  # said below
    raise RaySystemError("the node process ended while it started; what it wrote to stderr says why")


def _leave_link() -> None:
    """In a forked child: the node must see the end of the socket when the driver ends, however long the child lives."""
    backend = session.peek()
    if isinstance(backend, Driver):
        backend.link.close()


os.register_at_fork(after_in_child=_leave_link)
