"""ConcurrentCalls: calls of an actor that run at the same time, in threads or as coroutines.

The core takes calls and ends them (`_core.take_call`); each has a `_core.RunningCall`, to which the code that it runs belongs.
One thread waits for the bell of the process: for calls that come, for cancellations, and for the end.  Neighbours:
thread_calls.py, coroutine_calls.py (where calls run), actor_runner.py (results and errors).
"""

from __future__ import annotations

import contextvars
import sys
from collections.abc import Callable
from typing import Any, Protocol

from ray_lite import _core
from ray_lite.calls.instance import Exit
from ray_lite.config import Config
from ray_lite.exceptions import TaskCancelledError
from ray_lite.workers.actor_runner import ActorRunner
from ray_lite.workers.cancellation import Cancellation, calls_users_code, is_delicate


class Process(Protocol):
    """What these calls need of the process they run in."""

    region: _core.Region
    worker: _core.Worker
    cancellation: Cancellation

    @property
    def config(self) -> Config:
        """The limits of the session."""


class ConcurrentCalls:
    """The calls that an actor's process runs at a time; an implementation says where.

    Args:
        runner: of the process.
    """

    def __init__(self, process: Process, runner: ActorRunner) -> None:
        self.region, self.worker, self.runner = process.region, process.worker, runner
        self.cancellation, self.again = process.cancellation, process.config.cancel_again
        self.park, self.turn = int(process.config.actor_park * 1e9), int(process.config.actor_turn * 1e9)
        self.running: dict[_core.RunningCall, None] = {}  #: calls that were taken and have not ended
        self._cancels = -1  # number of cancellations in the session when the marks were last looked at

    def serve(self) -> None:
        """Runs calls until the actor is to end, and those that run have ended."""
        raise NotImplementedError

    # --- taking, running, ending ---

    def take(self, ended: _core.RunningCall | None = None, rests: bool = False) -> _core.RunningCall | None:
        """Ends a call and takes the next one; `rests`: in the thread that waits for the bell."""
        if ended is not None:
            del self.running[ended]  # before its record can be another call's
        call = _core.take_call(self.worker, ended, self.turn, rests)
        if call is not None:
            self.running[call] = None
        return call

    def end(self, call: _core.RunningCall) -> None:
        """Ends a call without taking another."""
        del self.running[call]
        _core.end_call(self.worker, call)

    def run(self, call: _core.RunningCall) -> None:
        """Runs a call of a plain method in this thread, until its returns are stored."""
        contextvars.Context().run(self._run, call)

    def _run(self, call: _core.RunningCall) -> None:
        call.enter()
        error: BaseException | None = None
        try:
            function = call.function()
            args, kwargs = call.arguments()
            self._check(call)
            result = call.call(function, args, kwargs)
            del args, kwargs
            if not call.exits:
                call.store(result)
        except BaseException as caught:
            error = caught
        self.finish(call, error)

    def finish(self, call: _core.RunningCall, error: BaseException | None) -> None:
        """Stores what a call ended with, if that is not its result."""
        if call.exits:  # whatever the method made of the exception that ends it
            error = Exit()
        if error is not None:
            self.runner.fail(call.record, error)

    # --- waiting ---

    def wait(self, for_ever: bool, wait: Callable[[], bool]) -> bool:
        """Calls `wait()`, in which this thread sleeps, and returns its result; the CPUs are given back if no call can go on."""
        self.check()
        own = self.own()
        return _core.while_thread_waits(self.region, for_ever, wait, self.held_up(), own.record if own else 0)

    def own(self) -> _core.RunningCall | None:
        """The call that runs in this thread, if one does."""
        call = _core.running_call()
        return call if call is not None and call.runs_here else None

    def held_up(self) -> int:
        """Number of calls that can't go on while this thread sleeps."""
        return int(self.own() is not None)

    # --- cancellation ---

    def check(self) -> None:
        """Raises TaskCancelledError if the call that calls this is marked and has not got it yet."""
        own = _core.running_call()
        if own is not None:
            self._check(own)

    def _check(self, call: _core.RunningCall) -> None:
        if call.is_cancelled:
            call.told()
            raise TaskCancelledError("this call was cancelled")

    def deliver(self) -> bool:
        """Interrupts the calls that are marked and were not told yet; False: it must be tried again soon for some."""
        count = _core.cancel_count(self.region)
        if count == self._cancels and not self.cancellation.pending:
            return True
        self._cancels = count
        told = [self.interrupt(call) for call in list(self.running) if call.is_cancelled]
        self.cancellation.pending = not all(told)
        return all(told)

    def interrupt(self, call: _core.RunningCall) -> bool:
        """Raises TaskCancelledError in a call that runs in a thread of its own; False: now that would strike code of ours."""
        frame = call.frame()
        if frame is None or is_delicate(frame) or not call.interrupt(frame, TaskCancelledError):
            return False
        call.told()
        return True

    @property
    def takes(self) -> bool:
        """Whether further calls may begin."""
        return not self.runner.over and _core.may_take_calls(self.worker)


def is_asyncio_cancellation(error: BaseException) -> bool:
    """Whether an error is what asyncio raises in a coroutine that is cancelled."""
    module: Any = sys.modules.get("asyncio")
    return module is not None and isinstance(error, module.CancelledError)


for function in (ConcurrentCalls._run,):
    calls_users_code(function.__code__)
