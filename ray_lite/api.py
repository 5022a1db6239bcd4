"""The public functions: each checks its arguments before anything changes, then calls the current backend.

Neighbours: init_arguments.py and options.py check values, driver/launch.py starts a session; decorator.py and actors.py have
the other functions.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

from ray_lite import session
from ray_lite.config import PYTHON_MODE, SCRIPT_MODE
from ray_lite.driver import sigterm
from ray_lite.driver.request import Request
from ray_lite.init_arguments import request_of
from ray_lite.options import duration, whole
from ray_lite.values import custom_serializers

_changing = threading.RLock()  # held while a session starts or ends; reentrant: a signal handler may end what its thread starts


def init(  # noqa: PLR0913  (the user fixed this signature)
    redis_address: str | None = None, node_ip_address: str | None = None, object_id_seed: int | None = None,
    num_workers: int | None = None, driver_mode: int = SCRIPT_MODE, redirect_worker_output: bool = False,
    redirect_output: bool = True, num_cpus: float | None = None, num_gpus: float | None = None,
    resources: dict[str, float] | None = None, num_custom_resource: int | None = None,
    num_redis_shards: int | None = None, redis_max_clients: int | None = None, plasma_directory: str | None = None,
    huge_pages: bool = False, include_webui: bool = True, object_store_memory: float | None = None, use_raylet: bool = False, *,
    spill_directory: str | None = None, redis_password: str | None = None, max_workers: int | None = None,
    pin: bool = False, preload: Sequence[str] = (), shutdown_grace: float = 5.0, verbose: bool = False,
) -> dict[str, Any]:
    """Starts a private session, whose processes end with this process, or attaches to a running one.

    Args:
        redis_address: of the session to attach to: what `ray-lite start` printed or `init` returned there. Default: none.
        node_ip_address: an address that is only recorded and shown. Default 127.0.0.1.
        object_id_seed: whole number; the same seed and program give the same ids in every run. Default: random ids.
        num_workers: worker processes to start immediately; the pool grows on demand in any case. Default 0.
        driver_mode: SCRIPT_MODE (default: a failure that no `get` has raised after half a second is shown on stderr),
            SILENT_MODE (such a failure is not shown), or PYTHON_MODE (a call runs at once in this process and returns its value
            instead of an id; resources and retries have no effect).
        num_cpus: CPUs that tasks may use at once, even more than there are. Default: RAY_LITE_NUM_CPUS, else those we may use.
        num_gpus: GPUs that tasks may use at once. Default: the GPUs that CUDA_VISIBLE_DEVICES (or the variable of ROCm or
            Intel), Slurm or the NVIDIA driver shows. Any number is accepted where no variable names the GPUs.
        resources: dict of custom resources, name -> amount, that tasks may use at once. Default: none.
        num_custom_resource: number of names in `resources`; only checked against it.
        max_workers: most worker processes at once, blocked ones too. Default: 1,000 (RAY_LITE_MAX_WORKERS), or fewer by limits.
        pin: whether each worker is pinned to a core, and a task of n CPUs to that core and the next n - 1. Default False.
        preload: names of packages that are imported once, in the process from which all workers are forked, so that no worker
            imports them again; `init` returns when that is done (at most RAY_LITE_PRELOAD_TIMEOUT, 300 s). A package that
            starts threads or processes, or opens a GPU, when it is imported is refused. Default: none.
        plasma_directory: directory of the object store's file, on tmpfs, hugetlbfs or a local disk. Default: none.
        huge_pages: whether the object store is on huge pages: those of the hugetlbfs that holds plasma_directory, or without
            one anonymous ones of 2 MiB (RAY_LITE_HUGE_PAGE). Default False.
        spill_directory: directory of the spill file, to which a full store moves objects that have no reader. The file has no
            name and ends with the session. Default: none; a full store is then an error.
        object_store_memory: most bytes of the object store; any number above 0, rounded up to whole pages of the store and
            to at least 4 MiB (RAY_LITE_STORE_LEAST). Default: 30 % of the memory that this process may use
            (RAY_LITE_STORE_FRACTION), or all free huge pages, if these are fewer.
        redirect_worker_output: whether stdout and stderr of workers go to capped files, `<session_dir>/logs/worker-<pid>.out`
            and `.err`, which end with the session, instead of to the driver's stdout and stderr. Default False.
        redirect_output: whether the node process's output goes to such files, `node.out` and `node.err`. Default True.
        num_redis_shards: servers of the control store besides the primary, at most 31; larger tables are on these. Default 0.
        redis_max_clients: most connections to each of these servers at a time. Default: 10,000, as the server has it.
        shutdown_grace: seconds that running tasks get to end, at `shutdown` and when this process gets SIGTERM. SIGTERM ends
            the session before the process, unless the user handles it, or `init` ran outside the main thread. Default 5.
        verbose: whether the detected CPUs, GPUs and sizes are shown on stderr. Default False.
        redis_password: of another user's session at redis_address. Default: RAY_LITE_REDIS_PASSWORD.
        use_raylet: NotImplementedError if True.
        include_webui: no effect yet.

    Returns:
        dict with node_ip_address, redis_address (path of the control store's Unix socket, or None if there is no Redis or
        Valkey server), object_store_address, webui_url, session_dir, node_pid; in PYTHON_MODE all but the first are None.

    Raises:
        RuntimeError: this process has a session already, or is a worker.  ImportError: `preload` can't be imported.
        OSError: not enough memory, address space or processes.  RaySystemError: no node, or no session at redis_address.
        TypeError, ValueError: a wrong argument, or a package that must not be forked.  NotImplementedError: not there yet.
    """
    return _init(dict(locals()))


def _init(given: dict[str, Any]) -> dict[str, Any]:
    """Checks all arguments of `init`, then starts the session."""
    _check_free()
    request = request_of(given)
    with _changing:
        _check_free()
        _start(request)
    return dict(session.current().address)


def _start(request: Request) -> None:
    # Imported here: a program that only defines tasks needs neither, nor does the node, which loads this file too.
    if request.driver_mode == PYTHON_MODE:
        from ray_lite.backends.serial import SerialBackend

        session.install(SerialBackend(request.node_ip_address))
    else:
        from ray_lite.driver.launch import launch

        session.install(launch(request))
    atexit.register(shutdown)
    sigterm.watch(shutdown)
    try:
        session.current().serializers.share_all()  # now that the session is there: they may name remote functions
    except BaseException:
        shutdown()
        raise


def _check_free() -> None:
    if session.is_preloading:
        raise RuntimeError("init() can't be called while a package is imported for the workers of a session (preload)")
    backend = session.peek()
    if backend is None:
        return
    if backend.inherited:
        session.clear()
        return
    if backend.is_worker:
        raise RuntimeError("init() can't be called in a worker: tasks use the session they run in")
    raise RuntimeError("ray_lite is initialised already; call shutdown() first")


def shutdown(worker: Any = None) -> None:
    """Ends the session and all processes that it started; does nothing without a session.

    Calls of ray_lite in other threads raise RaySystemError from now on; a call of `init` in another thread waits until the
    session has ended.

    Args:
        worker: ignored.

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
    """Makes a new lock in a forked child: a thread that exists only in the parent may hold the old one."""
    global _changing
    _changing = threading.RLock()


os.register_at_fork(after_in_child=_leave_lock)


def is_initialized() -> bool:
    """Whether this process has a session."""
    backend = session.peek()
    return backend is not None and not backend.inherited


def get(object_ids: Any, worker: Any = None, *, timeout: float | None = None, writable: bool = False) -> Any:
    """Waits for the value of an id, or for all values of a list of ids, and returns it or their list.

    Args:
        object_ids: an ObjectID or a list of ObjectIDs; duplicates and [] are allowed.
        worker: ignored.
        timeout: seconds to wait; 0 does not wait. Default: no limit.
        writable: whether arrays and buffers may be written. They are then this process's own, copied page by page where it
            writes (small ones at once), and the stored bytes do not change. Default False: read-only, never copied.

    Raises:
        GetTimeoutError: not ready in time.  ObjectLostError: an object is gone, or never existed.
        RayTaskError: the task failed (the error is an instance of the exception's own class too).
        WorkerCrashedError: the process that ran the task died.  RayActorError: the actor is dead, or the call was lost.
        TaskCancelledError: the task was cancelled.  DeadlockError: in a task or an actor, the wait could never end.
        RaySystemError: the session has ended.  ForkedError: in a forked child.  TypeError: not ids.
    """
    if not isinstance(writable, bool):
        raise TypeError(f"writable must be True or False, got {writable!r}")
    if timeout is not None:
        timeout = duration("timeout", timeout)
    return session.current().get(object_ids, timeout, writable)


def memory(most: int = 10) -> Any:
    """Reports what the session's memory is used for: `print(memory())`.

    Args:
        most: number of objects to list, the largest first. Default 10.

    Returns:
        A store.memory_report.Memory: bytes_used, bytes_kept, bytes_committed, bytes_spilled, arena_bytes, page_bytes, objects,
        largest (id, bytes, state, pins, holders, call_site, kept) and processes (pid, kind, private and shared bytes).
    """
    return session.current().view.memory(whole("most", most, 0, 1_000_000))


def error_info(worker: Any = None) -> list[dict[str, Any]]:
    """The newest errors of this session, oldest first: failures of tasks, whether a `get` has raised them or not, deaths of
    processes that ran something, checkpoints that failed. Reading them clears nothing.

    Args:
        worker: ignored.

    Returns:
        dicts with `type` ("task", "worker_died", "worker_crash", "checkpoint", ...), `message`, `data` (dict of further facts,
        such as function_name) and `timestamp` (seconds since 1970); at most 1,000 (RAY_LITE_ERRORS), with at most 4 MiB of text
        (RAY_LITE_ERROR_BYTES). In PYTHON_MODE none.

    Raises:
        RaySystemError: the session did not answer within 5 s (RAY_LITE_ANSWER_TIMEOUT), or has ended.
    """
    return session.current().view.errors()


def put(value: Any, worker: Any = None, *, timeout: float | None = None) -> Any:
    """Stores a copy of a value as it is now and returns a new ObjectID.

    Args:
        value: anything that pickle or cloudpickle takes, except an ObjectID.
        worker: ignored.
        timeout: seconds to wait, when the store is full, for objects that are about to be freed. Default 10
            (RAY_LITE_FULL_WAIT, which also holds for results and arguments of tasks).

    Raises:
        TypeError: the value is an ObjectID.  SerializationError: it can't be pickled; the message names the part.
        ObjectStoreFullError: no room in the store.
    """
    if timeout is not None:
        timeout = duration("timeout", timeout)
    return session.current().put(value, timeout)


def wait(object_ids: Any, num_returns: int = 1, timeout: float | None = None,
         worker: Any = None) -> tuple[list[Any], list[Any]]:
    """Waits until enough ids of a list are ready, then splits the list into ready ids and the rest.

    Args:
        object_ids: list of different ObjectIDs.
        num_returns: number of ready ids to wait for, and most ids returned as ready. It may exceed the length of the list only
            with a timeout. Default 1.
        timeout: **milliseconds** to wait; 0 does not wait. Default: no limit.
        worker: ignored.

    Returns:
        (ready, rest), both in the order of the list. An id is ready when its object has a value or a failure.

    Raises:
        TypeError: not a list of ObjectIDs.  ValueError: an id occurs twice, or num_returns can never be reached.
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
        raise ValueError(f"num_returns={num_returns} can't be reached with {len(object_ids)} ids; lower it or give a timeout")
    return backend.wait(object_ids, num_returns, timeout)


def cancel(object_id: Any, force: bool = False, recursive: bool = False) -> bool:
    """Cancels the task that returns an object; `get` of that object then raises TaskCancelledError.

    A task that has not begun never runs. A running task gets TaskCancelledError in the main thread of its worker, as soon as
    that thread runs Python code of the task, or sleeps. The error comes later if the worker runs another task inline, imports
    something, or is in a call of ray_lite. Each call of `cancel` raises it at most once. A task that returns a value or fails
    before that keeps its outcome. A cancelled task is never tried again: if an attempt would have followed, or its worker
    dies, `get` raises TaskCancelledError.

    Args:
        object_id: an ObjectID that a call returned: of a remote function, or of an actor's method.
        force: whether to kill the worker that runs the task, with the processes that it started. Other tasks of that worker
            run again. Default False.
        recursive: whether to cancel also the tasks that the task submitted, the tasks that these submitted, and so on; a task
            that has ended breaks the chain. What any of them submits from now on is cancelled at once. Default False.

    Returns:
        Whether the task had not ended yet. An object that was put, or whose task has ended, does not change.

    Raises:
        TypeError: not an ObjectID.  ObjectLostError: the object is gone, or never existed.
        ValueError: force=True for a call of an actor; ray_lite.kill(handle) ends the actor.
    """
    backend = session.current()
    for name, value in (("force", force), ("recursive", recursive)):
        if not isinstance(value, bool):
            raise TypeError(f"{name} must be True or False, got {value!r}")
    return backend.cancel(object_id, force, recursive)


def get_gpu_ids() -> list[int | str]:
    """Ids of the GPUs that the current task holds, as CUDA_VISIBLE_DEVICES names them; whole numbers as ints.

    The list is empty for a task without GPUs, and in a driver.
    """
    return session.current().gpu_ids()


def get_attempt_number() -> int:
    """Number of the current task's attempt: 1 for the first, 0 in a driver."""
    return session.current().attempt()


def get_webui_url() -> str | None:
    """Address of the session's web page, or None: there is no page."""
    url: str | None = session.current().address.get("webui_url")
    return url


def register_custom_serializer(  # noqa: PLR0913  (programs of 2018 use this signature)
    cls: type, use_pickle: bool = False, use_dict: bool = False, serializer: Callable[[Any], Any] | None = None,
    deserializer: Callable[[Any], Any] | None = None, local: bool = False, worker: Any = None,
) -> None:
    """Says how instances of a class travel, in all processes of this driver, those that run already too, from now on.

    Exactly one of use_pickle, use_dict, and serializer with deserializer must be given. Call it before `init` or after it, also
    in a task; what is registered holds for later sessions of the process, too. The last registration of a class counts.

    Args:
        cls: the class; instances of its subclasses are not meant.
        use_pickle: whether they are pickled as any value is: undoes an earlier registration.
        use_dict: whether only their `__dict__` travels: their `__init__` and what they define for pickle are not called.
        serializer: function that makes another value of an instance, which can be pickled.
        deserializer: function that makes of that value what `get` returns, or a task gets; it travels with each value.
        local: whether only this process is to know. Default False.
        worker: ignored.

    Raises:
        TypeError: not a class, a function or a bool; or with use_dict, not all of an instance is in its `__dict__`.
        ValueError: not exactly one way; or a builtin class whose values always travel as they are.
        SerializationError: the class or a function can't be pickled; before `init`, that raises it.
    """
    for name, value in (("use_pickle", use_pickle), ("use_dict", use_dict), ("local", local)):
        if not isinstance(value, bool):
            raise TypeError(f"{name} must be True or False, got {value!r}")
    for name, function in (("serializer", serializer), ("deserializer", deserializer)):
        if function is not None and not callable(function):
            raise TypeError(f"{name} must be a function, got {function!r}")
    if (serializer is None) != (deserializer is None) or use_pickle + use_dict + (serializer is not None) != 1:
        raise ValueError("give exactly one of use_pickle=True, use_dict=True, and a serializer with a deserializer")
    custom_serializers.check_class(cls, use_dict)
    registration = custom_serializers.Registration(cls, use_dict, serializer, deserializer)
    backend = session.peek()
    if backend is not None and not backend.inherited and not local:
        backend.serializers.share(registration)
    custom_serializers.enter(registration, not local)
