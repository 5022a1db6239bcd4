"""Preloading: packages that the node imports once, before it forks, so that no worker needs time and memory for that.

A fork copies only the thread that calls it, and no GPU knows its copy: a package that starts threads or opens a GPU when it is
imported is refused.  Threads that their library ends before each fork, as OpenBLAS does, or that a copy can do without are no
obstacle.  Thread pools are made for one thread; workers resize them for tasks with more CPUs (workers/resource_env.py).
Neighbour: supervisor.py calls.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from ray_lite.workers.resource_env import THREAD_VARIABLES

#: threads without which a copy of the process works: those in which jemalloc (of pyarrow) gives memory back, by its manual
NOT_NEEDED = ("jemalloc_bg_thd",)
GPU_DEVICES = re.compile(r"/dev/(nvidia|kfd|dri/renderD|accel)")


class Refused(Exception):
    """A package can't be preloaded.

    Args:
        error: name of the class that `init` raises.
    """

    def __init__(self, error: str, text: str) -> None:
        super().__init__(text)
        self.error, self.text = error, text


def preload(names: tuple[str, ...], path: list[str]) -> None:
    """Imports packages, found by the driver's sys.path.

    Raises:
        Refused: one can't be imported, or must not be forked.
    """
    with _path(path), _one_thread():
        for name in names:
            try:
                importlib.import_module(name)
            except BaseException as error:  # whatever it does, the user must hear of it
                raise Refused("ImportError", f"preload: {name!r} can't be imported: {_story(error)}") from error
            why = why_not_to_fork()
            if why:
                raise Refused("ValueError", f"preload: {name!r} can't be preloaded, since {why} when it is imported: workers "
                                            "are copies of the process that preloads, and would lack that. Let tasks import it")


def _story(error: BaseException) -> str:
    """An error of an import, in one line, and its traceback."""
    line = "".join(traceback.format_exception_only(error)).rstrip().rpartition("\n")[2]
    return f"{line}\n\n{''.join(traceback.format_exception(error))}"


def why_not_to_fork() -> str:
    """What this process has that a fork does not copy, or ""."""
    devices = gpu_devices()
    if devices:
        return f"it opens {', '.join(devices)}"
    if len(os.listdir("/proc/self/task")) > 1:
        _fork_in_vain()
    others = {_thread_name(thread) for thread in os.listdir("/proc/self/task") if int(thread) != os.getpid()}
    return f"it starts threads ({', '.join(sorted(others))})" if others.difference(NOT_NEEDED) else ""


def gpu_devices(directory: str = "/proc/self/fd") -> list[str]:
    """Device files of GPUs that this process has open: those are its contexts on them."""
    found = set()
    for fd in os.listdir(directory):
        try:
            found.add(os.readlink(os.path.join(directory, fd)))
        except FileNotFoundError:
            continue  # the descriptor of this listing
    return sorted(path for path in found if GPU_DEVICES.match(path))


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
    try:
        yield
    finally:
        sys.path[:] = before


@contextmanager
def _one_thread() -> Iterator[None]:
    """Lets libraries make their thread pools for one thread, unless the user has set their number."""
    ours = [name for name in THREAD_VARIABLES if name not in os.environ]
    os.environ.update(dict.fromkeys(ours, "1"))
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)
