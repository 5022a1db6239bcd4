"""LocalActors: the actors of a session with processes, as one of its processes sees them.

Neighbours: local.py owns it; actor_creation.py makes actors; workers/actor_runner.py runs their calls.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any, NoReturn

from ray_lite import _core
from ray_lite.backends.actor_creation import ActorCreator, LocalActor, name_digest, packed
from ray_lite.calls.actor_facts import CallerFacts
from ray_lite.calls.actor_rows import actor_rows
from ray_lite.calls.functions import Function
from ray_lite.calls.instance import Exit, leave
from ray_lite.calls.methods import Creation, MethodCall
from ray_lite.exceptions import ObjectLostError, PendingCallsLimitExceeded, RayActorError
from ray_lite.options import Options
from ray_lite.store.named_values import load_named

MOST_LOOKS = 32  # the pause between two looks for room doubles up to so many times the first


class LocalActors:
    """See abc.Actors for the methods' contracts."""

    def __init__(self, backend: Any) -> None:
        self._backend, self._creator = backend, ActorCreator(backend)
        self._known: dict[tuple[int, int], CallerFacts] = {}  # by index and generation of the object that holds them

    def create(self, creation: Creation) -> LocalActor:
        name, shared = creation.options.name, creation.options.shared
        if name is None:
            return self._creator.create(creation)
        while True:
            known = self._reference(name, shared)
            if known is not None:
                return self._existing(self.find(known), creation)
            try:
                return self._creator.create(creation)
            except ValueError:
                if self._reference(name, shared) is None:
                    raise

    def _reference(self, name: str, shared: bool) -> _core.ObjectID | None:
        """The handle of the actor that has a name, among this driver's or (`shared`) among those of all drivers."""
        return _core.named_actor(self._backend.region, name_digest(self._backend.region, name, shared))

    def _existing(self, known: LocalActor, creation: Creation) -> LocalActor:
        """The actor that has the name already, if the creation may take it."""
        name, methods = creation.options.name, creation.methods
        if not creation.options.get_if_exists:
            raise ValueError(f"there is an actor named {name!r} already, of class {known.methods.name}: kill it first, use "
                             "another name, or give get_if_exists=True")
        if known.module != creation.cls.__module__ or known.methods.name != methods.name:
            raise ValueError(f"the actor named {name!r} is of class {known.methods.name}, not {methods.name}")
        return known

    def call(self, call: MethodCall) -> Any:
        backend, actor = self._backend, call.actor
        if not isinstance(actor, LocalActor) or not self._is_here(actor):
            raise RayActorError(f"the actor of {call.method.shown_name} was of an earlier session")
        function = Function(call.method.shown_name, b"", None, call.method.signatures)
        retries = Options().max_retries if actor.keeps else 0
        token, facts = actor.tokens[call.method.name][0], (call.num_return_vals, retries, 0)
        call.remote.arm(backend.region, token, 0, (*facts, *function.positional_range()), actor.reference)
        most = backend.config.kept_arguments if actor.keeps else backend.config.small_arguments
        stream, refs = packed(backend, function, call, most)
        record = token, 0, *facts, backend.runtime_env.current()
        pause = backend.config.full_look
        while True:
            try:
                return backend.store.with_room(
                    lambda: _core.submit(backend.region, record, stream, refs, actor.reference), len(stream))
            except PendingCallsLimitExceeded:
                if not actor.waits or self._is_own(actor):
                    raise
            self._wait_for_a_call(actor, pause)
            pause = min(2 * pause, MOST_LOOKS * backend.config.full_look)

    def _wait_for_a_call(self, actor: LocalActor, pause: float) -> None:
        """Waits until the first of an actor's pending calls has ended, or if that shows nothing by which one could tell, for
        `pause` seconds."""
        backend = self._backend
        first = _core.next_result_of(backend.region, actor.reference)
        if first is not None:
            backend.wait_until([first], 0, None, False)
        else:
            backend.look_around()
            backend.asleep(partial(time.sleep, pause))

    def _is_own(self, actor: LocalActor) -> bool:
        """Whether it is the actor whose process this is: it could wait for its own call for ever."""
        return _core.own_actor(self._backend.region) == _core.actor_of(self._backend.region, actor.reference)[0]

    def _is_here(self, actor: LocalActor) -> bool:
        try:
            _core.actor_of(self._backend.region, actor.reference)
        except ObjectLostError:
            return False
        return True

    def find(self, reference: Any) -> LocalActor:
        region = self._backend.region
        try:
            index, _ = _core.actor_of(region, reference)
        except ObjectLostError:
            raise RayActorError(f"the actor {reference.hex()} is gone") from None
        facts = _core.facts_of_actor(region, index)
        key = _core.facts_key(region, index)
        if key not in self._known:
            self._known[key] = CallerFacts(*load_named(self._backend.store, facts))
        return LocalActor(reference, self._known[key])

    def named(self, name: str) -> LocalActor:
        known = self._reference(name, shared=False) or self._reference(name, shared=True)
        if known is None:
            names = ", ".join(sorted(repr(row["Name"]) for row in self.rows() if row["Name"] is not None))
            raise ValueError(f"there is no actor named {name!r}; the names are {names or 'none'}")
        return self.find(known)

    def rows(self) -> list[dict[str, Any]]:
        """What `global_state.actors()` shows."""
        return actor_rows(self._backend.region)

    def kill(self, actor: Any) -> None:
        if not isinstance(actor, LocalActor) or not self._is_here(actor):
            raise RayActorError(f"the actor of class {actor.methods.name} was of an earlier session")
        _core.kill_actor(self._backend.region, actor.reference)

    def current(self) -> LocalActor:
        region = self._backend.region
        if not _core.own_actor(region):
            raise RuntimeError("this is no method of an actor")
        return self.find(_core.own_handle(region))

    def exit(self) -> NoReturn:
        self.current()
        leave()
        raise Exit
