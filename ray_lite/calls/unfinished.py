"""Functions whose calls do not finish by themselves: coroutine functions and generator functions, and what they return.

A coroutine function becomes remote as a plain function that runs the coroutine to its end.  A generator function can only yield
the several returns of a task.  Neighbours: remote_function.py asks at the decoration, workers/task_runner.py and
backends/serial.py about results.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable
from typing import Any

UNFINISHED = {
    types.CoroutineType: "a coroutine", types.GeneratorType: "a generator", types.AsyncGeneratorType: "an async generator",
}  #: types of results whose body has not run


class Finished:
    """A coroutine function as a plain one: a call runs the coroutine to its end, in an event loop of its own."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function, updated=())
        self.function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _asyncio().run(self.function(*args, **kwargs))

    def __reduce__(self) -> Any:
        return Finished, (self.function,)


def finished(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself, or for a coroutine function the plain function that runs it."""
    return Finished(function) if is_coroutine_function(function) else function


def is_coroutine_function(function: Any) -> bool:
    """Whether a call of the function makes a coroutine."""
    import inspect

    return _is_one(inspect.iscoroutinefunction, function)


def is_generator_function(function: Callable[..., Any]) -> bool:
    """Whether a call of the function makes a generator. Raises TypeError if it makes an async generator."""
    import inspect

    if _is_one(inspect.isasyncgenfunction, function):
        raise TypeError(f"{shown_name(function)} is an async generator function: write one that returns a list instead")
    return _is_one(inspect.isgeneratorfunction, function)


def check_returns(name: str, num_return_vals: int) -> None:
    """Raises TypeError unless a generator function of this name has several returns, which it yields."""
    if num_return_vals <= 1:
        raise TypeError(f"{name} is a generator function: return a list instead, or give num_return_vals=n, above 1, if its n "
                        "values are the returns of a call")


def check_finished(name: str, result: Any, several: bool) -> None:
    """Raises TypeError if a task's result is a coroutine or a generator, whose body has not run; a generator of `several`
    values may be the returns."""
    what = UNFINISHED.get(type(result))
    if what is None or several and type(result) is types.GeneratorType:
        return
    if isinstance(result, types.CoroutineType):
        result.close()  # else Python warns that it was never awaited
        raise TypeError(f"{name} returned {what}, which has not run: write `async def`, or run it in the task (asyncio.run)")
    raise TypeError(f"{name} returned {what}, which stays in its process: return a list of its values")


def hide_loop() -> HiddenLoop | None:
    """Hides the event loop that runs in this thread, so that a task that runs inline may run its own; None if none runs."""
    events = sys.modules.get("asyncio.events")
    loop = None if events is None else events._get_running_loop()
    return None if loop is None else HiddenLoop(loop)


class HiddenLoop:
    """A running event loop that is hidden until `show`."""

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.task = self._swap(None)
        _asyncio()._set_running_loop(None)

    def show(self) -> None:
        """Makes the loop the running one again."""
        _asyncio()._set_running_loop(self.loop)
        self._swap(self.task)

    def _swap(self, task: Any) -> Any:
        """Exchanges the current task of the loop, where CPython compares it with that of another loop (3.14)."""
        swap = getattr(_asyncio().tasks, "_swap_current_task", None)
        return None if swap is None else swap(self.loop, task)


def _asyncio() -> Any:
    import asyncio  # when first needed: it is large

    return asyncio


def _is_one(test: Callable[[Any], bool], function: Any) -> bool:
    """Whether a function, or the method that a call of an object runs, passes a test."""
    return test(function) or test(getattr(type(function), "__call__", None))  # noqa: B004


def shown_name(function: Any) -> str:
    """Qualified name of a function, or of the class of an object that can be called."""
    return getattr(function, "__qualname__", None) or type(function).__qualname__
