"""Preloading: packages that the node imports once, before it forks, so that no worker needs time and memory for that.

A fork copies only the thread that calls it, and no GPU knows its copy: a package that starts threads or processes, or opens a
GPU, when it is imported is refused.  Threads that their library ends before each fork, as OpenBLAS does, or that a copy can do
without are no obstacle.  Thread pools are made for one thread; workers resize them for tasks with more CPUs
(workers/resource_env.py).  What else a package changes in the process is undone.  Neighbour: supervisor.py calls.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from ray_lite import _core, session
from ray_lite.workers.resource_env import THREAD_VARIABLES, WITH_POOLS

#: threads without which a copy of the process works: those in which jemalloc (of pyarrow) gives memory back, by its manual
NOT_NEEDED = ("jemalloc_bg_thd",)
GPU_DEVICES = re.compile(r"/dev/(nvidia|kfd|dri/renderD|accel)")
#: by these OpenMP binds the thread that loads it to a core; workers are bound by `init(pin=True)`
BINDING_VARIABLES = ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY")


class Refused(Exception):
    """A package can't be preloaded.

    Args:
        error: name of the class that `init` raises.
    """

    def __init__(self, error: str, text: str) -> None:
        super().__init__(text)
        self.error, self.text = error, text


def preload(names: tuple[str, ...], path: list[str], driver_pid: int) -> None:
    """Imports packages, found by the driver's sys.path. The process ends if the driver does meanwhile.

    Raises:
        Refused: one can't be imported, or must not be forked.
    """
    with ExitStack() as after:
        for context in (_path(path), _variables(), _unchanged()):
            after.enter_context(context)
        session.is_preloading = True
        _core.die_with_parent(driver_pid)
        for name in names:
            _import(name)
    _core.outlive_parent()
    session.is_preloading = False
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError, OSError):  # None, closed, or full: no matter of ours
            stream.flush()  # else each worker would write it once more


def _import(name: str) -> None:
    try:
        importlib.import_module(name)
    except BaseException as error:  # whatever it does, the user must hear of it
        raise Refused("ImportError", f"preload: {name!r} can't be imported: {_story(error)}") from error
    why = why_not_to_fork()
    if why:
        raise Refused("ValueError", f"preload: {name!r} can't be preloaded, since {why} when it is imported: workers are "
                                    "copies of the process that preloads, and would lack that. Let tasks import it")
    pools = [one for one in WITH_POOLS if one in sys.modules]
    if pools and importlib.util.find_spec("threadpoolctl") is None:
        raise Refused("ValueError", f"preload: {name!r} can't be preloaded, since {pools[0]} has thread pools, which only "
                                    "threadpoolctl can resize for tasks with several CPUs: pip install threadpoolctl")


def _story(error: BaseException) -> str:
    """An error of an import: its first line, and its traceback."""
    import traceback

    lines = str(error).splitlines()
    return f"{type(error).__name__}{f': {lines[0]}' if lines else ''}\n\n{''.join(traceback.format_exception(error))}"


def why_not_to_fork() -> str:
    """What this process has that a fork does not copy, or ""."""
    devices = gpu_devices()
    if devices:
        return f"it opens {', '.join(devices)}"
    if _has_children():
        return "it starts processes"
    if len(os.listdir("/proc/self/task")) > 1:
        _fork_in_vain()
    others = {_thread_name(thread) for thread in os.listdir("/proc/self/task") if int(thread) != os.getpid()}
    return f"it starts threads ({', '.join(sorted(others))})" if others.difference(NOT_NEEDED) else ""


def gpu_devices(directory: str = "/proc/self/fd") -> list[str]:
    """Device files of GPUs that this process has open: those are its contexts on them."""
    found = set()
    for fd in os.listdir(directory):
        with suppress(FileNotFoundError):  # the descriptor of this listing
            found.add(os.readlink(os.path.join(directory, fd)))
    return sorted(path for path in found if GPU_DEVICES.match(path))


def _has_children() -> bool:
    """Whether this process has a child that runs; those that have ended are reaped."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _fork_in_vain() -> None:
    """Forks a child that ends at once: libraries that can be forked end their threads before."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _thread_name(thread: str) -> str:
    try:
        with open(f"/proc/self/task/{thread}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except FileNotFoundError:
        return "one that has ended"


@contextmanager
def _path(path: list[str]) -> Iterator[None]:
    """Lets imports find what the driver would find."""
    before = sys.path.copy()
    sys.path[:] = path
    yield
    sys.path[:] = before


@contextmanager
def _variables() -> Iterator[None]:
    """Lets libraries make their thread pools for one thread, or for as many as the user has chosen, and bind no thread."""
    before = os.environ.copy()
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    os.environ.update({name: threads for name in THREAD_VARIABLES if name not in os.environ})
    for name in BINDING_VARIABLES:
        os.environ.pop(name, None)
    yield
    for name in (*THREAD_VARIABLES, *BINDING_VARIABLES):
        os.environ.pop(name, None)
        if name in before:
            os.environ[name] = before[name]


@contextmanager
def _unchanged() -> Iterator[None]:
    """Undoes changes of the process: its directory, signals, cores, garbage collection."""
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    cores, directory = os.sched_getaffinity(0), os.open(".", os.O_PATH | os.O_CLOEXEC)
    yield
    os.fchdir(directory)
    os.close(directory)
    os.sched_setaffinity(0, cores)
    gc.enable()
    for number, handler in handlers.items():
        if handler is not None and signal.getsignal(number) != handler:
            signal.signal(number, handler)
