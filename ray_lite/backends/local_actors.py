"""LocalActors: the actors of a session with processes, as one of its processes sees them.

    create -> export the constructor and the methods once -> _core.create_actor          call -> _core.submit

Neighbours: local.py owns it; node/actors.py starts and ends the processes; workers/actor_runner.py runs the calls.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from typing import Any, NoReturn

from ray_lite import _core
from ray_lite.calls.actor_facts import CallerFacts, ProcessFacts
from ray_lite.calls.arguments import IN_OBJECT, pack
from ray_lite.calls.functions import Call, Function, Signatures
from ray_lite.calls.instance import Constructor, Exit, MethodFunction, leave
from ray_lite.calls.methods import Creation, MethodCall
from ray_lite.config import Config
from ray_lite.exceptions import ObjectLostError, PendingCallsLimitExceeded, RayActorError, SerializationError
from ray_lite.options import ActorOptions, Options
from ray_lite.store.named_values import keep_named, label_of, load_named

MOST_LOOKS = 32  # the pause between two looks for room doubles up to so many times the first
HOOKS = ("__ray_save__", "__ray_restore__", "__ray_shutdown__")
NO_SIGNATURE = Signatures(None, None)


class LocalActor:
    """What stands for an actor: its handle in the region, and what this process knows of it."""

    def __init__(self, reference: _core.ObjectID, facts: CallerFacts) -> None:
        self.reference, self.tokens = reference, facts.tokens
        self.methods, self.name, self.module = facts.methods, facts.name, facts.module
        self.keeps, self.waits = facts.keeps, facts.waits

    @property
    def id(self) -> bytes:
        """Its 20 bytes."""
        return self.reference.binary()


class LocalActors:
    """See abc.Actors for the methods' contracts."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._exported: weakref.WeakKeyDictionary[type, tuple[Function, dict[str, Function]]] = weakref.WeakKeyDictionary()
        self._known: dict[int, CallerFacts] = {}  # by index of the object that holds them

    def create(self, creation: Creation) -> LocalActor:
        backend, options = self._backend, creation.options
        digest = None if options.name is None else _core.digest_id(f"actor\0{options.name}".encode())
        if digest is not None and (known := _core.named_actor(backend.region, digest)) is not None:
            return self._existing(self.find(known), creation)
        life, turn = self._queues(creation.methods.name, options)
        constructor, methods = self._functions(creation)
        token = backend.export(constructor)
        tokens = {name: backend.export(method) for name, method in methods.items()}
        keeps = options.checkpoint_interval is not None and options.restarts > 0
        environment, known = backend.runtime_env.current(), creation.methods.known
        facts = CallerFacts(creation.methods, options.name, creation.cls.__module__, tokens, keeps, options.on_full == "wait")
        interval = options.checkpoint_interval or 0 if keeps else 0
        hooks = {name: known[name].is_async for name in HOOKS if name in known}
        own = ProcessFacts(creation.methods.name, options.name, environment, token, interval, hooks)
        kept = self._kept(own, facts)
        stream, refs = self._packed(constructor, creation.args, creation.kwargs, backend.config.small_arguments)
        record = token[0], 0, environment
        at_once = _at_once(creation, backend.config)
        limits = life, turn, at_once, options.max_pending_calls or 0, kept, options.restarts, keeps
        reference = backend.store.with_room(
            lambda: _core.create_actor(backend.region, record, stream, refs, limits, digest), len(stream))
        return LocalActor(reference, facts)

    def _kept(self, own: ProcessFacts, facts: CallerFacts) -> int:
        """Index of the object with what is known of an actor. Signatures that can't be pickled are left out: calls by other
        processes are checked when they run."""
        try:
            return keep_named(self._backend.store, tuple(facts), *own)
        except SerializationError:
            bare = {name: method._replace(signatures=NO_SIGNATURE) for name, method in facts.methods.known.items()}
            methods = facts.methods._replace(constructor=NO_SIGNATURE, known=bare)
            return keep_named(self._backend.store, tuple(facts._replace(methods=methods)), *own)

    def _existing(self, known: LocalActor, creation: Creation) -> LocalActor:
        """The actor that has the name already, if the creation may take it."""
        name, methods = creation.options.name, creation.methods
        if not creation.options.get_if_exists:
            raise ValueError(f"there is an actor named {name!r} already, of class {known.methods.name}: kill it first, use "
                             "another name, or give get_if_exists=True")
        if known.module != creation.cls.__module__ or known.methods.name != methods.name:
            raise ValueError(f"the actor named {name!r} is of class {known.methods.name}, not {methods.name}")
        return known

    def _functions(self, creation: Creation) -> tuple[Function, dict[str, Function]]:
        if creation.cls not in self._exported:
            class_name = f"{creation.cls.__module__}\0{creation.cls.__qualname__}\0{id(creation.cls)}"
            body = Constructor(creation.cls, creation.methods.is_async)
            constructor = _function(f"{creation.methods.name}.__init__", class_name, body)
            methods = {name: _function(method.shown_name, method.shown_name, MethodFunction(name, method.is_async))
                       for name, method in creation.methods.known.items()}
            self._exported[creation.cls] = constructor, methods
        return self._exported[creation.cls]

    def _queues(self, name: str, options: ActorOptions) -> tuple[int, int]:
        """The queues in which an actor waits: for what it holds for life, and for the CPUs of a call, or 0."""
        given = (options.num_cpus, options.num_gpus, options.resources)
        region, info = self._backend.region, self._backend.info
        plain = Options()
        if given == (None, None, None):
            life, turn = plain._replace(num_cpus=0), plain
        else:
            cpus = 1 if options.num_cpus is None else options.num_cpus
            life, turn = plain._replace(num_cpus=cpus, num_gpus=options.num_gpus or 0, resources=options.resources or ()), None
        held = _core.actor_queue(region, _core.LIVES, (info.job, *info.resources.demand(name, life), 0))
        if turn is None:
            return held, 0
        return held, _core.actor_queue(region, _core.TURNS, (info.job, *info.resources.demand(name, turn), 0))

    def _packed(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any],
                most: int) -> tuple[bytes, list[_core.ObjectID]]:
        """The arguments of a call: bytes and ids. `most`: bytes from which on they are an object."""
        backend: Any = self._backend
        pickled, refs = pack(Call(function, Options(), args, kwargs, None), None)  # type: ignore[arg-type]
        stream: Any = pickled.stream
        if pickled.buffers or pickled.contained or len(stream) > most:
            refs.insert(0, backend.store.put_pickled(pickled))
            stream = IN_OBJECT
        return bytes(stream), refs

    def call(self, call: MethodCall) -> Any:
        backend, actor = self._backend, call.actor
        if not isinstance(actor, LocalActor) or not self._is_here(actor):
            raise RayActorError(f"the actor of {call.method.shown_name} was of an earlier session")
        function = Function(call.method.shown_name, b"", None, call.method.signatures)
        retries = Options().max_retries if actor.keeps else 0
        token, facts = actor.tokens[call.method.name][0], (call.num_return_vals, retries, 0)
        call.remote.arm(backend.region, token, 0, (*facts, *function.positional_range()), actor.reference)
        most = backend.config.kept_arguments if actor.keeps else backend.config.small_arguments
        stream, refs = self._packed(function, call.args, call.kwargs, most)
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
            time.sleep(pause)

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
        if facts not in self._known:
            self._known[facts] = CallerFacts(*load_named(self._backend.store, facts))
        return LocalActor(reference, self._known[facts])

    def named(self, name: str) -> LocalActor:
        known = _core.named_actor(self._backend.region, _core.digest_id(f"actor\0{name}".encode()))
        if known is None:
            names = ", ".join(sorted(repr(row["Name"]) for row in self.rows() if row["Name"] is not None))
            raise ValueError(f"there is no actor named {name!r}; the names are {names or 'none'}")
        return self.find(known)

    def rows(self) -> list[dict[str, Any]]:
        """What `global_state.actors()` shows."""
        region = self._backend.region
        found = []
        for index in _core.actors(region):
            state, _, _, pending, _, _, killed, _ = _core.actor_facts(region, index)
            if state in ("PENDING", "STARTING", "ALIVE") and not killed:
                facts = ProcessFacts(*label_of(self._backend.store, _core.facts_of_actor(region, index)))
                lost = _core.restart_facts(region, index)[2]
                state = "RESTARTING" if lost and state != "ALIVE" else state
                pid, finished = _core.actor_process(region, index)
                found.append({"ActorID": _core.actor_id(region, index).hex(), "ClassName": facts.class_name,
                              "Name": facts.name, "State": state, "Pid": pid or None, "CallsFinished": finished,
                              "CallsQueued": pending, "Restarts": lost})
        return found

    def kill(self, actor: Any) -> None:
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


def _at_once(creation: Creation, config: Config) -> int:
    """How many calls of an actor may run at a time."""
    return creation.options.max_concurrency or (config.async_calls if creation.methods.is_async else 1)


def _function(name: str, identity: str, body: Callable[..., Any]) -> Function:
    """A function of an actor, under a name for errors; those of equal identity are the same."""
    return Function(name, _core.digest_id(f"of an actor\0{identity}".encode()), body, NO_SIGNATURE)
