"""CoroutineCalls: calls of an actor with `async def` methods, on one event loop in the main thread.

Calls of its other methods run one at a time in one thread beside the loop, so that they don't block it.  Only the loop takes
calls: while it is blocked, by a `get` in a coroutine, none begins.  A helper thread waits for the bell.  Neighbour:
concurrent_calls.py.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from queue import SimpleQueue

from ray_lite import _core
from ray_lite.calls.instance import MethodFunction, instance
from ray_lite.exceptions import TaskCancelledError
from ray_lite.workers.actor_runner import ActorRunner
from ray_lite.workers.concurrent_calls import ConcurrentCalls, Process


class CoroutineCalls(ConcurrentCalls):
    """Calls on a loop."""

    def __init__(self, process: Process, runner: ActorRunner) -> None:
        super().__init__(process, runner)
        self.main_thread = threading.get_ident()
        self.tasks: dict[_core.RunningCall, asyncio.Task[None]] = {}  #: of coroutines
        self._begun: set[_core.RunningCall] = set()  # of these, those whose task has made its first step
        self._queue: SimpleQueue[_core.RunningCall | None] = SimpleQueue()  # calls for the thread beside the loop
        self._queued: dict[_core.RunningCall, None] = {}  # those that have not begun; some may have failed already
        self._beside: threading.Thread | None = None
        self._looked = threading.Semaphore(0)
        self._stopped = False

    def serve(self) -> None:
        """Runs the loop until the actor is to end, and the calls that run have ended."""
        self.loop = instance.loop.made()
        listener = threading.Thread(target=self._listen, daemon=True, name="bell")
        listener.start()
        self.loop.run_forever()
        self._looked.release()
        _core.ring_own_bell(self.region)
        listener.join()
        if self._beside is not None:
            self._queue.put(None)
            self._beside.join()

    def _listen(self) -> None:
        """The thread that waits for the bell and lets the loop look around."""
        while True:
            seen = _core.bell(self.region)
            self.loop.call_soon_threadsafe(self._answer)
            self._looked.acquire()
            if self._stopped:
                return
            _core.await_bell(self.region, seen, self.park)

    def _answer(self) -> None:
        try:
            self._look()
        finally:
            self._looked.release()

    def _look(self) -> None:
        """Delivers cancellations and takes calls, or ends the loop when it is time."""
        if self._stopped:  # the loop runs what the actor's end needs
            return
        if not self.deliver():
            self.loop.call_later(self.again, self._look)
        while self.takes and (call := self.take(rests=True)) is not None:
            self._start(call)
        if not self.takes:
            self._end()

    def _end(self) -> None:
        """No further call begins; when the last one has ended the loop stops."""
        for call in list(self._queued):
            if self._withdraw(call):
                self.runner.lose(call.record)
                self.end(call)
        if not self.running and not self._stopped:
            self._stopped = True
            self.loop.stop()

    # --- coroutines ---

    def _start(self, call: _core.RunningCall) -> None:
        try:
            function = call.function()
        except BaseException as error:
            self.finish(call, error)
            self.end(call)
            return
        if isinstance(function, MethodFunction) and function.is_async:
            context = contextvars.Context()
            context.run(call.enter)
            self.tasks[call] = context.run(self.loop.create_task, self._await(call, function))
        else:
            self._queued[call] = None
            self._queue.put(call)
            if self._beside is None:
                self._beside = threading.Thread(target=self._work, daemon=True, name="sync-methods")
                self._beside.start()

    async def _await(self, call: _core.RunningCall, function: MethodFunction) -> None:
        """Runs a coroutine until its returns are stored, ends the call and takes the next ones."""
        error: BaseException | None = None
        try:
            self._begun.add(call)
            args, kwargs = call.arguments()
            self._check(call)
            result = await function.awaited(*args, **kwargs)
            del args, kwargs
            if not call.exits:
                call.store(call.several(result))
        except asyncio.CancelledError as caught:
            error = TaskCancelledError("this call was cancelled") if call.was_told else caught
        except BaseException as caught:
            error = caught
        del self.tasks[call]
        self._begun.discard(call)
        self.finish(call, error)
        if (another := self.take(call)) is not None:
            self._start(another)
        if not self.takes:
            self._end()

    def interrupt(self, call: _core.RunningCall) -> bool:
        """Cancels a coroutine, fails a call that has not begun, or raises an error in the thread beside the loop."""
        if call in self.tasks:
            if call in self._begun:  # else it looks at the mark when it begins
                call.told()
                self.tasks[call].cancel()
            return True
        if self._withdraw(call):
            call.told()
            self.finish(call, TaskCancelledError("this call was cancelled"))
            self.end(call)
            return True
        return super().interrupt(call)

    def held_up(self) -> int:
        """All coroutines, if it is their thread that sleeps."""
        return len(self.tasks) if threading.get_ident() == self.main_thread else super().held_up()

    # --- plain methods ---

    def _withdraw(self, call: _core.RunningCall) -> bool:
        """Takes a call back from the thread beside the loop; False: it has begun, or is none."""
        return self._queued.pop(call, self) is None

    def _work(self) -> None:
        """The thread beside the loop."""
        while (call := self._queue.get()) is not None:
            if self._withdraw(call):
                self.run(call)
                self.end(call)
                self.loop.call_soon_threadsafe(self._look)
