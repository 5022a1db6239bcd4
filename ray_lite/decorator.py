"""The decorator `remote`, for functions and classes.

Neighbours: remote_function.py and actor_class.py are what it makes; options.py checks options.
"""

from __future__ import annotations

from typing import Any

from ray_lite.actor_class import ActorClass
from ray_lite.actor_handle import ActorHandle, RemoteMethod
from ray_lite.calls.methods import methods_of
from ray_lite.options import ActorOptions, Options, check_options
from ray_lite.remote_function import RemoteFunction


def remote(*args: Any, **options: Any) -> Any:
    """Makes a function or a class remote: `@remote`, `@remote(num_cpus=2)`, `remote(f)`, `remote(num_cpus=2)(f)`.

    Options of functions:
        num_return_vals: number of ids that a call returns, up to 1,000,000. Default 1.
        num_cpus: CPUs that a call needs; fractions allowed. Default 1.
        num_gpus: GPUs that a call needs: a whole number, or a part of one GPU as a number below 1. Default 0.
        resources: dict of custom resources that a call needs, name -> amount, at least 0.0001. Default: none.
        max_calls: number of calls of the function, inline ones included, after which a worker ends as soon as it runs nothing
            else. Default 0: never.
        max_retries: how often a call may run again after its worker was killed from outside, up to 65,534. Default 3.
        retry_exceptions: exceptions after which a call runs again, up to max_retries times: a class, a list of classes, or
            True for every Exception; SystemExit and KeyboardInterrupt count only if they are named. Default False. The task
            learns from `get_attempt_number()` which attempt it is.
        inline: whether a waiting task may run the call inline. Default True.
        writable_args: whether the task may write to arrays among its arguments. They are then copies of its own, made page by
            page where it writes. Default False: they are read-only.

    An `async def` runs to its end in an event loop of its own, on the worker's main thread: `get` and `wait` in it block the
    loop. A generator function yields the returns of a call with num_return_vals above 1.

    Options of classes (docs/actors.md says what they promise); in PYTHON_MODE num_cpus, num_gpus, resources, max_concurrency,
    max_pending_calls, on_full and max_restarts have no effect:
        num_cpus, num_gpus, resources: what an actor holds as long as it lives; if one is given, num_cpus is 1 by default.
            Default: nothing, and 1 CPU while a method runs.
        name: name by which `get_actor` finds the actor, of at most 200 characters; free once it is dead. Default: none.
        get_if_exists, shared: whether `remote` returns the live actor of that name, if there is one; and whether all drivers
            of the session find the actor by its name. Default False.
        max_concurrency: number of calls that run at once, up to 10,000, in threads, in no promised order. Async methods run on
            one event loop, at most Config.async_calls by default, the others one at a time in a thread. Default 1.
        max_pending_calls: most calls that have not begun; a further one raises PendingCallsLimitExceeded. Default: no limit.
        on_full: "wait" if such a call waits instead. Default "raise".
        checkpoint_interval: number of calls after which the state is saved, by the class's `__ray_save__` or by pickling the
            instance. A new process begins in that state, and runs the calls since again. Default, and if negative: never.
        max_restarts: new processes after deaths since the last checkpoint, at most. Default 0, with checkpoints 10.

    Returns:
        A RemoteFunction, called as `f.remote(...)`, or an ActorClass; with options alone, a decorator that makes one.

    Raises:
        TypeError: not a function or class, a generator function with one return, a generator method, an unknown option, or
            a wrong type.
        ValueError: out of range, or options that don't go together.
    """
    check_options(options)

    def decorate(target: Any) -> RemoteFunction | ActorClass:
        if isinstance(target, (RemoteFunction, RemoteMethod, ActorClass, ActorHandle)):
            raise TypeError(f"{target!r} is remote already; use its .options(...)")
        if isinstance(target, type):
            return ActorClass.of(target, methods_of(target), ActorOptions().updated(options))
        if not callable(target):
            raise TypeError(f"remote takes a function or a class, got {target!r}")
        return RemoteFunction(target, Options().updated(options))

    if len(args) == 1 and not options:
        return decorate(args[0])
    if args or not options:
        raise TypeError("remote takes one function or class, or options by name: @remote or @remote(num_cpus=2)")
    return decorate
