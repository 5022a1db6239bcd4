"""The public functions. They check what they are given, before anything changes, and hand on to the current backend."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from typing import Any

from ray_lite import session
from ray_lite.backends.serial import SerialBackend
from ray_lite.config import PYTHON_MODE, SCRIPT_MODE, SILENT_MODE, Config
from ray_lite.driver import sigterm
from ray_lite.driver.launch import launch
from ray_lite.driver.plan import Request
from ray_lite.options import GPUS_MOST, Options, amount, custom_resources, duration, whole
from ray_lite.remote_function import RemoteFunction
from ray_lite.store.region_files import arena_backing, spill_path

_changing = threading.RLock()  # whoever starts or ends a session; a handler of signals may end the one that its thread starts

# Arguments of `init` whose features come later, with the value that asks for nothing.
_LATER = {
    "redis_address": (None, "attaching to a running session"),
    "num_redis_shards": (None, "the control store"),
    "redis_max_clients": (None, "the control store"),
    "redis_password": (None, "the control store"),
}


def init(  # noqa: PLR0913  (the user fixed this signature)
    redis_address: str | None = None, node_ip_address: str | None = None, object_id_seed: int | None = None,
    num_workers: int | None = None, driver_mode: int = SCRIPT_MODE, redirect_worker_output: bool = False,
    redirect_output: bool = True, num_cpus: float | None = None, num_gpus: float | None = None,
    resources: dict[str, float] | None = None, num_custom_resource: int | None = None,
    num_redis_shards: int | None = None, redis_max_clients: int | None = None, plasma_directory: str | None = None,
    huge_pages: bool = False, include_webui: bool = True, object_store_memory: int | None = None, use_raylet: bool = False, *,
    spill_directory: str | None = None, redis_password: str | None = None, max_workers: int | None = None,
    pin: bool = False, shutdown_grace: float = 5.0, verbose: bool = False,
) -> dict[str, Any]:
    """Starts a private session: its processes end with this one.

    Args:
        node_ip_address: recorded and shown; default 127.0.0.1.
        object_id_seed: whole number; the same seed and program give the same ids in every run.
        num_workers: worker processes started at once; the pool grows on demand anyway. Default 0.
        driver_mode: SCRIPT_MODE (a failure that no `get` has raised after half a second is shown on stderr), SILENT_MODE
            (it isn't), or PYTHON_MODE (everything runs inline, values instead of ids; resources and retries mean nothing).
        num_cpus: CPUs that tasks may use at once; any number may be claimed, 0 too. Default: RAY_LITE_NUM_CPUS, else what this
            process may use.
        num_gpus: GPUs that tasks may use at once. Default: those that CUDA_VISIBLE_DEVICES (or ROCm's or Intel's variable),
            Slurm or the NVIDIA driver show. Any number may be claimed where no variable names them.
        resources: dict of other resources, name -> amount; tasks that ask for them count against it.
        num_custom_resource: how many names `resources` has; only checked.
        max_workers: most worker processes at once, those that wait included. Default: 1,000 (RAY_LITE_MAX_WORKERS), or what
            RLIMIT_NPROC, pids.max and RLIMIT_NOFILE leave.
        pin: pin each worker to CPUs of its own, as far as there are: as many as its task has. Default False.
        plasma_directory: directory of the object store's file, on tmpfs, hugetlbfs or a local disk. Default: none (anonymous
            memory).
        huge_pages: the object store on huge pages: those of the hugetlbfs that plasma_directory is on, else anonymous ones of
            2 MiB (RAY_LITE_HUGE_PAGE).
        spill_directory: directory of the file to which objects go that nobody looks at, when the store is full; that file
            has no name and ends with the session. Default: none, then a full store is an error.
        object_store_memory: bytes of the object store. Default: 30 % of the machine's memory.
        redirect_worker_output: workers' stdout and stderr go into capped files, `<session_dir>/logs/worker-<pid>.out` and
            `.err`, which end with the session, instead of the driver's. Default False.
        redirect_output: the same for the node process. Default True.
        include_webui: accepted; there is no page yet.
        shutdown_grace: seconds that running tasks get at `shutdown`, and when this process gets SIGTERM (which ends the
            session first, unless the user handles it or `init` ran in another thread than the main one). Default 5.
        verbose: say on stderr what was detected.
        The others belong to features that come later.

    Returns:
        dict with node_ip_address, redis_address, object_store_address, webui_url, session_dir, node_pid; in PYTHON_MODE
        all but the first are None.

    Raises:
        RuntimeError: there is a session already, or this is a worker.
        OSError: not enough huge pages, memory or address space; the message says of what.
        TypeError, ValueError: a wrong argument.  NotImplementedError: an argument whose feature isn't there yet.
    """
    given = dict(locals())
    _check_free()
    _check_later(given)
    request = _request(given)
    with _changing:
        _check_free()
        _start(request)
    return dict(session.current().address)


def _start(request: Request) -> None:
    if request.driver_mode == PYTHON_MODE:
        session.install(SerialBackend(request.node_ip_address))
        return
    session.install(launch(request))
    atexit.register(shutdown)
    sigterm.watch(shutdown)


def _check_free() -> None:
    backend = session.peek()
    if backend is None:
        return
    if backend.inherited:
        session.clear()
        return
    if backend.is_worker:
        raise RuntimeError("init() can't be called in a worker: tasks use the session they run in")
    raise RuntimeError("ray_lite is initialised already; call shutdown() first")


def _check_later(given: dict[str, Any]) -> None:
    if given["use_raylet"]:
        raise NotImplementedError("use_raylet=True is not supported yet")
    for name, (nothing, what) in _LATER.items():
        if given[name] is not nothing and given[name] not in (nothing, 0, {}):
            raise NotImplementedError(f"{name}={given[name]!r}: {what} can't be had yet")


def _request(given: dict[str, Any]) -> Request:
    """The checked arguments of a private session."""
    mode = given["driver_mode"]
    if mode not in (SCRIPT_MODE, SILENT_MODE, PYTHON_MODE) or isinstance(mode, bool):
        raise ValueError(f"driver_mode must be SCRIPT_MODE, SILENT_MODE or PYTHON_MODE, got {mode!r}")
    for name in ("redirect_worker_output", "redirect_output", "include_webui", "huge_pages", "verbose", "pin"):
        if not isinstance(given[name], bool):
            raise TypeError(f"{name} must be True or False, got {given[name]!r}")
    address = given["node_ip_address"]
    if address is not None and not isinstance(address, str):
        raise TypeError(f"node_ip_address must be a string, got {address!r}")
    directory, seed, memory = given["plasma_directory"], given["object_id_seed"], given["object_store_memory"]
    workers, cpus = given["num_workers"], given["num_cpus"]
    config = Config.from_environment()
    if config.num_cpus is not None:
        amount("RAY_LITE_NUM_CPUS", config.num_cpus)
    if workers is not None and given["max_workers"] is not None and workers > given["max_workers"]:
        raise ValueError(f"num_workers={workers} are more than max_workers={given['max_workers']}")
    return Request(
        num_cpus=None if cpus is None else amount("num_cpus", cpus),
        num_gpus=None if given["num_gpus"] is None else whole("num_gpus", given["num_gpus"], 0, GPUS_MOST),
        resources=_resources(given),
        max_workers=None if given["max_workers"] is None else whole("max_workers", given["max_workers"], 1, 100_000),
        pin=given["pin"],
        num_workers=None if workers is None else whole("num_workers", workers, 0, 10_000),
        object_store_memory=None if memory is None else whole("object_store_memory", memory, 1 << 20, 1 << 46),
        backing=arena_backing(directory, given["huge_pages"], config),
        spill_directory=spill_path(given["spill_directory"]),
        object_id_seed=None if seed is None else whole("object_id_seed", seed),
        node_ip_address=address or "127.0.0.1",
        shutdown_grace=duration("shutdown_grace", given["shutdown_grace"]),
        config=config,
        driver_mode=mode,
        redirect_worker_output=given["redirect_worker_output"],
        redirect_output=given["redirect_output"],
        verbose=given["verbose"],
    )


def _resources(given: dict[str, Any]) -> dict[str, float]:
    """The session's custom resources, by name."""
    found = custom_resources("resources", given["resources"])
    count = given["num_custom_resource"]
    if count is not None and whole("num_custom_resource", count, 0, 1 << 31) != len(found) and given["resources"] is not None:
        raise ValueError(f"num_custom_resource={count}, but resources has {len(found)} names")
    return dict(sorted(found.items()))


def shutdown(worker: Any = None) -> None:
    """Ends the session and everything it started. Does nothing when there is none. `worker` is ignored.

    Calls in other threads raise RaySystemError from now on; `init` in another thread waits until all has ended.

    Raises:
        RuntimeError: this is a worker.
    """
    with _changing:
        backend = session.peek()
        if backend is None:
            return
        if backend.is_worker and not backend.inherited:
            raise RuntimeError("shutdown() can't be called in a worker")
        atexit.unregister(shutdown)
        sigterm.leave()
        session.clear()
        backend.close()


def _leave_lock() -> None:
    """In a forked child: whoever has it there is a thread of the parent's."""
    global _changing
    _changing = threading.RLock()


os.register_at_fork(after_in_child=_leave_lock)


def is_initialized() -> bool:
    """Whether this process has a session."""
    backend = session.peek()
    return backend is not None and not backend.inherited


def remote(*args: Any, **options: Any) -> Any:
    """Makes a function remote: `@remote`, `@remote(num_cpus=2)`, `remote(f)`, `remote(num_cpus=2)(f)`.

    Options:
        num_return_vals: how many ids a call returns. Default 1.
        num_cpus: CPUs that a call needs; fractions allowed. Default 1.
        num_gpus: GPUs that a call needs: whole ones, or below 1 a part of one. Default 0.
        resources: dict of other resources that a call needs, name -> amount. Default none.
        max_calls: a worker ends after so many calls of the function, those in place of a waiting parent included, but only
            when it runs nothing else. Default 0: never.
        max_retries: how often a call runs again after its worker was killed from outside. Default 3.
        retry_exceptions: exceptions after which it runs again, too, as often: a class, a list of classes, or True for every
            Exception; SystemExit and KeyboardInterrupt only if they are named. Default False. The task learns from
            `get_attempt_number()` which attempt it is.
        inline: whether a waiting parent may run the call in place. Default True.
        writable_args: whether the task may write to arrays among its arguments: copies of its own, made page by page where
            it writes. Default False: they are read-only.

    Raises:
        TypeError: not a function, an unknown option, or a wrong type.  ValueError: out of range.
        NotImplementedError: classes, and options whose feature isn't there yet.
    """
    checked = Options().updated(options)

    def decorate(function: Callable[..., Any]) -> RemoteFunction:
        if isinstance(function, RemoteFunction):
            raise TypeError(f"{function!r} is remote already; use its .options(...)")
        if isinstance(function, type):
            raise NotImplementedError(f"remote class {function.__qualname__}: actors are not implemented yet")
        if not callable(function):
            raise TypeError(f"remote takes a function, got {function!r}")
        return RemoteFunction(function, checked)

    if len(args) == 1 and not options:
        return decorate(args[0])
    if args or not options:
        raise TypeError("remote takes one function, or options by name: @remote or @remote(num_cpus=2)")
    return decorate


def get(object_ids: Any, worker: Any = None, *, timeout: float | None = None, writable: bool = False) -> Any:
    """The value of an id, or the list of values of a list of ids; waits until they are there.

    Args:
        object_ids: an ObjectID or a list of them; duplicates and [] are fine.
        worker: ignored.
        timeout: seconds to wait; 0 only looks. Default: for ever.
        writable: arrays and buffers may be written: they are this process's own, copied page by page where it writes
            (small ones at once), and the stored ones stay as they are. Default False: read-only, never copied.

    Raises:
        GetTimeoutError: not ready in time.  ObjectLostError: an object is gone, or never was.
        RayTaskError: the task failed (an instance of its exception's class too).  WorkerCrashedError: its process died.
        TypeError: not ids.
    """
    if not isinstance(writable, bool):
        raise TypeError(f"writable must be True or False, got {writable!r}")
    if timeout is not None:
        timeout = duration("timeout", timeout)
    return session.current().get(object_ids, timeout, writable)


def memory(most: int = 10) -> Any:
    """What the session's memory is used for: `print(memory())`.

    Args:
        most: so many of the largest objects are listed.

    Returns:
        A record with bytes_used, bytes_kept, bytes_committed, bytes_spilled, arena_bytes, page_bytes, objects, largest (id,
        bytes, state, pins, holders, call_site, kept) and processes (pid, kind, private and shared bytes).
    """
    return session.current().view.memory(whole("most", most, 0, 1_000_000))


def put(value: Any, worker: Any = None, *, timeout: float | None = None) -> Any:
    """Stores a value, as it is now, and returns a new id.

    Args:
        worker: ignored.
        timeout: seconds to wait, when the store is full, for objects that are about to be freed. Default 10
            (RAY_LITE_FULL_WAIT, which holds for tasks' results and arguments, too).

    Raises:
        TypeError: the value is an ObjectID.  SerializationError: it can't be pickled; the message says which part.
        ObjectStoreFullError: no room.
    """
    if timeout is not None:
        timeout = duration("timeout", timeout)
    return session.current().put(value, timeout)


def wait(object_ids: Any, num_returns: int = 1, timeout: float | None = None,
         worker: Any = None) -> tuple[list[Any], list[Any]]:
    """Splits a list of ids into those that are ready and the others, both in the order of the list.

    Args:
        object_ids: different ObjectIDs.
        num_returns: wait until so many are ready; no more are returned as ready. With a timeout it may exceed the list.
        timeout: **milliseconds**. Default: for ever.
        worker: ignored.

    Returns:
        (ready, rest). Ready means that a value or an error is there.

    Raises:
        TypeError: not a list of ObjectIDs.  ValueError: an id is there twice, or num_returns can never be reached.
    """
    backend = session.current()
    if not isinstance(object_ids, list):
        raise TypeError(f"wait takes a list of ObjectIDs, not {type(object_ids).__name__}")
    if num_returns != 1:
        num_returns = whole("num_returns", num_returns, 1, 1 << 62)
    if timeout is not None:
        timeout = duration("timeout", timeout)
    if not object_ids:
        return [], []
    if num_returns > len(object_ids) and timeout is None:
        raise ValueError(f"num_returns={num_returns} of {len(object_ids)} ids can never be ready; give a timeout, or fewer")
    return backend.wait(object_ids, num_returns, timeout)


def cancel(object_id: Any, force: bool = False, recursive: bool = False) -> bool:
    """Cancels the task that returns an object; `get` then raises TaskCancelledError.

    A task that has not begun never runs. One that runs gets TaskCancelledError raised in its main thread, as soon as that
    runs Python code of the task, or sleeps; if it runs in place of another one, as soon as it is the innermost; in the midst of
    an import or of a call of ray_lite, as soon as that is over, or waits. If it catches that and returns, its result stands; it
    is told once a call of `cancel`. Nothing is retried.

    Args:
        force: kill the worker that runs it (and what that has started). Other tasks of that process run again.
        recursive: cancel the tasks that it submitted, too, and theirs, as far as those in between have not ended; what any of
            them submits from now on ends at once.

    Returns:
        Whether the task had not ended. An object that was put, or whose task has ended, stays as it is.

    Raises:
        TypeError: not an ObjectID.  ObjectLostError: the object is gone, or never was.
    """
    backend = session.current()
    for name, value in (("force", force), ("recursive", recursive)):
        if not isinstance(value, bool):
            raise TypeError(f"{name} must be True or False, got {value!r}")
    return backend.cancel(object_id, force, recursive)


def get_gpu_ids() -> list[int | str]:
    """The ids of the GPUs that the task at hand holds, as CUDA_VISIBLE_DEVICES names them; whole numbers as ints.

    Empty for a task without GPUs, and in a driver.
    """
    return session.current().gpu_ids()


def get_attempt_number() -> int:
    """Which attempt of the task at hand this is: 1 for the first, 0 in a driver."""
    return session.current().attempt()
