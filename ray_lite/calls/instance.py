"""The instance of this process's actor, and the functions that calls of the actor run.

Neighbours: backends/local_actors.py exports the functions; workers/actor_runner.py runs them.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

from ray_lite import _core
from ray_lite.calls.methods import CHECKPOINT, TERMINATE, bound


class Exit(BaseException):
    """Ends the method that called `exit_actor`, and then the actor."""


class ActorLoop:
    """The event loop of an actor, made when its first coroutine comes."""

    def __init__(self) -> None:
        self._loop: Any = None

    def made(self) -> Any:
        """The loop."""
        import asyncio

        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop

    def finished(self, result: Any, is_async: bool) -> Any:
        """The result of a coroutine that a coroutine function made; anything else as it is. A call inside a call gets a loop of
        its own."""
        if not is_async or not isinstance(result, types.CoroutineType):
            return result
        import asyncio

        if self._loop is not None and self._loop.is_running():
            return asyncio.run(result)
        return self.made().run_until_complete(result)

    def close(self) -> None:
        """Cancels what runs on the loop, and closes it."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        import asyncio

        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.close()


class Instance:
    """The instance of this process's actor, once its constructor has begun."""

    value: Any = None
    is_async = False  #: whether its class has coroutine functions, which run on the one loop
    exits = False  #: whether a method has called exit_actor; where several calls run at a time each has its own word

    def __init__(self) -> None:
        self.loop = ActorLoop()
        self.save: Callable[[], None] = lambda: None  #: makes a checkpoint
        self.ask: Callable[[], None] = lambda: None  #: lets `exits` be looked at after the call that runs

    def shut_down(self) -> None:
        """Calls `__ray_shutdown__`, if the class has it, and closes the event loop."""
        hook = bound(self.value, "__ray_shutdown__")
        try:
            if hook is not None:
                self.loop.finished(hook(), True)
        finally:
            self.value = None
            self.loop.close()


instance = Instance()


def leave() -> None:
    """Ends the actor after the call that calls this."""
    call = _core.running_call()
    if call is None:
        instance.exits = True
        instance.ask()
    else:
        call.exits = True


class Constructor:
    """The constructor of an actor as a function."""

    def __init__(self, cls: type, is_async: bool) -> None:
        self.cls, self.is_async = cls, is_async

    def __call__(self, /, *args: Any, **kwargs: Any) -> None:
        instance.is_async = self.is_async
        instance.value = construct(self.cls, instance, args, kwargs)


def construct(cls: type, place: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Calls a class; the instance is in `place.value` already while its constructor runs, which may call the actor."""
    if type(cls).__call__ is not type.__call__:
        return cls(*args, **kwargs)
    made: Any = cls.__new__(cls, *args, **kwargs)
    if isinstance(made, cls):
        place.value = made
        type(made).__init__(made, *args, **kwargs)
    return made


class MethodFunction:
    """A method of this process's actor as a function."""

    def __init__(self, name: str, is_async: bool) -> None:
        self.name, self.is_async = name, is_async

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        if self.name == TERMINATE:
            leave()
            raise Exit
        if self.name == CHECKPOINT:
            return instance.save()
        return instance.loop.finished(bound(instance.value, self.name)(*args, **kwargs), self.is_async)

    @property
    def is_plain(self) -> bool:
        """Whether a call of it is no more than a call of the method."""
        return not self.is_async and self.name not in (TERMINATE, CHECKPOINT)

    async def awaited(self, /, *args: Any, **kwargs: Any) -> Any:
        """The result, on the loop that runs already."""
        result = bound(instance.value, self.name)(*args, **kwargs)
        return await result if isinstance(result, types.CoroutineType) else result
