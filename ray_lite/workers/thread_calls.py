"""ThreadCalls: calls of an actor with `max_concurrency`, each in a thread of the process.

The main thread waits for the bell and hands calls to threads; a thread that ends a call takes the next one itself.  A new
thread starts only when none is idle.  Neighbour: concurrent_calls.py.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue

from ray_lite import _core
from ray_lite.workers.concurrent_calls import ConcurrentCalls


class ThreadCalls(ConcurrentCalls):
    """Calls in threads."""

    _idle = 0  # threads that wait for a call, and for which none is in the queue

    def serve(self) -> None:
        """Hands calls to threads until the actor is to end, and those that run have ended."""
        self._threads: list[threading.Thread] = []
        self._queue: SimpleQueue[_core.RunningCall | None] = SimpleQueue()
        self._lock = threading.Lock()
        while True:
            seen = _core.bell(self.region)
            told = self.deliver()
            call = self.take(rests=True) if self.takes else None
            if call is not None:
                self._hand(call)
            elif self.running or self.takes:
                _core.await_bell(self.region, seen, self.park if told else int(self.again * 1e9))
            else:
                break
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _hand(self, call: _core.RunningCall) -> None:
        """Gives a call to a thread."""
        with self._lock:
            is_idle = self._idle > 0
            self._idle -= is_idle
        if is_idle:
            self._queue.put(call)
            return
        thread = threading.Thread(target=self._work, args=(call,), daemon=True, name=f"call-{len(self._threads) + 1}")
        try:
            thread.start()
        except RuntimeError as error:  # the machine allows no further thread
            self.finish(call, error)
            self.end(call)
            return
        self._threads.append(thread)

    def _work(self, call: _core.RunningCall | None) -> None:
        """A thread: runs this call, then others."""
        while call is not None:
            self.run(call)
            call = self.take(call)
            if call is not None:
                continue
            if not self.takes:
                _core.ring_own_bell(self.region)  # the main thread waits for the calls that run
            with self._lock:
                self._idle += 1
            call = self._queue.get()
