"""Checkpoints: the state of this process's actor is saved, and restored in the actor's next process.

Neighbours: actor_runner.py asks for them; _core keeps the calls since the last one; calls/instance.py has the instance.
"""

from __future__ import annotations

from typing import Any

from ray_lite import _core
from ray_lite.calls.actor_facts import ProcessFacts
from ray_lite.calls.instance import instance
from ray_lite.calls.methods import bound
from ray_lite.control.report_channel import Reporter
from ray_lite.store.object_store import Store
from ray_lite.values.failures import described, titled

BYTES_PART = 8  # the arguments of past calls may take one part in eight of the store


class Checkpoints:
    """The checkpoints of one actor, whose process this is.

    Args:
        most: past calls that are kept at most; then a checkpoint is tried early, and if it fails they are given up.
    """

    def __init__(self, store: Store, reporter: Reporter, facts: ProcessFacts, most: int) -> None:
        self.region, self.store, self.reporter, self.facts, self.most = store.region, store, reporter, facts, most
        self._title = titled(facts.class_name, facts.name)
        self.bytes_most = self.region.statistics()["arena_bytes"] // BYTES_PART

    def begin(self, worker: _core.Worker) -> None:
        """Lets a worker ask for checkpoints as often as the class says."""
        self._worker = worker
        if self.facts.interval:
            worker.interval, worker.past_most, worker.bytes_most = self.facts.interval, self.most, self.bytes_most

    def save(self) -> None:
        """Makes a checkpoint. If it fails, that is reported, and an earlier one stays."""
        try:
            state = self.store.put(self._state())
            _core.save_checkpoint(self.region, state)
        except BaseException as error:  # it must not end the process, nor fail the call
            if not _core.node_died(self.region):  # else the session is over, and this process with it
                self._say("a checkpoint", "__ray_save__", error)
                self._give_up()
        finally:
            self._worker.tried_checkpoint()

    def _state(self) -> Any:
        is_async = self.facts.hooks.get("__ray_save__")
        if is_async is None:
            return instance.value
        return instance.loop.finished(bound(instance.value, "__ray_save__")(), is_async)

    def _give_up(self) -> None:
        """Gives the past calls up if there are too many to keep them."""
        calls, size = _core.kept_calls(self.region)
        if calls >= self.most or size >= self.bytes_most:
            _core.lose_past(self.region)
            self.reporter.note(f"the actor {self._title} can't be restored before its next checkpoint: its "
                               f"{calls:,} calls since the last one ({size:,} bytes of arguments) are too many to keep",
                               "checkpoint")

    def restore(self, cls: Any, state: Any) -> None:
        """Makes the instance from a state that `save` has saved.

        Args:
            cls: class of the actor.
        """
        is_async = self.facts.hooks.get("__ray_restore__")
        if is_async is None:
            instance.value = state
            return
        instance.value = made = cls.__new__(cls)
        instance.loop.finished(bound(made, "__ray_restore__")(state), is_async)

    def say_restore_failed(self, error: BaseException) -> None:
        """Reports that the state could not be restored."""
        self._say("the restoration", "__ray_restore__", error)

    def _say(self, what: str, hook: str, error: BaseException) -> None:
        import traceback  # 3 ms, which the node needn't take

        where = f" in {self.facts.class_name}.{hook}" if hook in self.facts.hooks else ""
        trace = "".join(traceback.format_exception(error)) if where else described(error)
        self.reporter.note(f"{what} of the actor {self._title} failed{where}: {trace}", "checkpoint")
