"""The creation of an actor in a session with processes: what is exported, kept and asked for.

    options -> queues -> constructor and methods exported once per class -> facts kept -> _core.create_actor

Neighbours: local_actors.py owns it; node/actors.py starts the process.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from ray_lite import _core
from ray_lite.calls.actor_facts import CallerFacts, ProcessFacts
from ray_lite.calls.arguments import IN_OBJECT, pack
from ray_lite.calls.functions import Call, Function, Signatures, Token
from ray_lite.calls.instance import Constructor, MethodFunction
from ray_lite.calls.methods import Creation, MethodCall
from ray_lite.config import Config
from ray_lite.exceptions import SerializationError
from ray_lite.options import ActorOptions, Options
from ray_lite.store.named_values import keep_named

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


class ActorCreator:
    """Makes the actors of one backend."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._exported: weakref.WeakKeyDictionary[type, tuple[Function, dict[str, Function]]] = weakref.WeakKeyDictionary()

    def create(self, creation: Creation) -> LocalActor:
        """Makes an actor; its name, if it has one, was free a moment ago."""
        backend, options = self._backend, creation.options
        digest = None if options.name is None else name_digest(backend.region, options.name, options.shared)
        life, turn = self._queues(creation.methods.name, options)
        constructor, methods = self._functions(creation)
        token = backend.export(constructor)
        tokens = {name: backend.export(method) for name, method in methods.items()}
        facts = CallerFacts(creation.methods, options.name, creation.cls.__module__, tokens, options.keeps,
                            options.on_full == "wait")
        environment = backend.runtime_env.current()
        kept = self._kept(_process_facts(creation, environment, token), facts)
        stream, refs = packed(backend, constructor, creation, backend.config.small_arguments)
        record = token[0], 0, environment
        at_once = _at_once(creation, backend.config)
        limits = life, turn, at_once, options.max_pending_calls or 0, kept, options.restarts, options.keeps
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
        held = _core.actor_queue(region, _core.LIVES, (*info.resources.demand(name, life), 0))
        if turn is None:
            return held, 0
        return held, _core.actor_queue(region, _core.TURNS, (*info.resources.demand(name, turn), 0))


def packed(backend: Any, function: Function, call: Creation | MethodCall, most: int) -> tuple[bytes, list[_core.ObjectID]]:
    """The arguments of a call: bytes and ids. `most`: bytes from which on they are an object."""
    pickled, refs = pack(Call(function, Options(), call.args, call.kwargs, None), None)  # type: ignore[arg-type]
    stream: Any = pickled.stream
    if pickled.buffers or pickled.contained or len(stream) > most:
        refs.insert(0, backend.store.put_pickled(pickled))
        stream = IN_OBJECT
    return bytes(stream), refs


def name_digest(region: _core.Region, name: str, shared: bool) -> bytes:
    """What the core knows an actor's name by. `shared`: all drivers of the session share the name; else each has its own."""
    job = "shared" if shared else region.job_key
    return _core.digest_id(f"actor\0{job}\0{name}".encode())


def _process_facts(creation: Creation, runtime_env: int, constructor: Token) -> ProcessFacts:
    """What the processes of an actor need."""
    options, known = creation.options, creation.methods.known
    interval = options.checkpoint_interval if options.keeps else 0
    hooks = {name: known[name].is_async for name in HOOKS if name in known}
    return ProcessFacts(creation.methods.name, options.name, runtime_env, constructor, interval, hooks, options.shared)


def _at_once(creation: Creation, config: Config) -> int:
    """How many calls of an actor may run at a time."""
    return creation.options.max_concurrency or (config.async_calls if creation.methods.is_async else 1)


def _function(name: str, identity: str, body: Callable[..., Any]) -> Function:
    """A function of an actor, under a name for errors; those of equal identity are the same."""
    return Function(name, _core.digest_id(f"of an actor\0{identity}".encode()), body, NO_SIGNATURE)
