"""Which implementation runs the calls of an actor that runs several at a time.  Neighbour: main.py asks."""

from __future__ import annotations

from ray_lite.calls.instance import instance
from ray_lite.workers.actor_runner import ActorRunner
from ray_lite.workers.backend import WorkerBackend
from ray_lite.workers.concurrent_calls import ConcurrentCalls
from ray_lite.workers.signal_watch import unwatch


def concurrently(backend: WorkerBackend) -> None:
    """Runs the calls of this process's actor, whose constructor has run, until the actor ends."""
    unwatch()  # what one of them changes about signals can't be put back when it ends: others run
    runner = backend.runner
    assert isinstance(runner, ActorRunner)
    calls: ConcurrentCalls
    if instance.is_async:
        from ray_lite.workers.coroutine_calls import CoroutineCalls  # imports asyncio

        calls = CoroutineCalls(backend, runner)
    else:
        from ray_lite.workers.thread_calls import ThreadCalls

        calls = ThreadCalls(backend, runner)
    backend.concurrent = calls
    calls.serve()
