"""Failures as stored values: the worker packs a task's exception, and `get` raises it again.

A failure is packed once, where it happens; passing through further tasks adds no layer.  Packing never fails: what can't be
pickled is left out, and its text stays.  Neighbours: workers/ and node/ pack failures, backends/local.py raises them.  No I/O.
"""

from __future__ import annotations

import builtins
import pickle
from typing import Any, NamedTuple

from ray_lite import exceptions
from ray_lite.exceptions import ObjectStoreFullError, RayActorError, RayError, RaySystemError, RayTaskError
from ray_lite.values.exception_state import attributes, both, give, make
from ray_lite.values.serialization import PROTOCOL, Pickled, dumps, flat, loads
from ray_lite.values.tracebacks import traceback_text

PLAIN = (str, int, float, bool, type(None), bytes)  # what always travels
TEXT_MOST = 100_000  # most characters of a traceback in a failure


class Cause(NamedTuple):
    """A pickled exception (class, args and attributes); `ids` keeps the objects alive that it contains."""

    stream: bytes
    buffers: list[bytes]
    ids: list[Any]


class Failure(NamedTuple):
    """A task's failure as its objects store it."""

    task_name: str
    text: str  #: the remote traceback
    cause: Cause | None
    report: int = 0  #: number of its report; 0: not reported
    attempts: int = 1  #: how often the task ran


class SystemFailure(NamedTuple):
    """A failure that ray_lite itself causes or finds, such as a worker's death."""

    error: str  #: name of a class in ray_lite.exceptions
    text: str
    attributes: dict[str, Any] = {}  #: attributes of the exception
    report: int = 0  #: number of its report; 0: not reported


class ArgumentFailed(Exception):
    """Raised while a task's arguments are loaded: the task fails with the failure of its argument."""

    def __init__(self, failure: Failure | SystemFailure) -> None:
        self.failure = failure


def pack(error: BaseException, task_name: str) -> Failure | SystemFailure:
    """Packs what a task raised into the failure to store."""
    if isinstance(error, ArgumentFailed):
        return error.failure
    if isinstance(error, RayTaskError) and isinstance(known := vars(error).get("_failure"), Failure):
        return known
    try:
        cause = _pack_cause(error)
    except Exception:  # the exception can't be pickled, made again or read: its text must suffice
        cause = None
    return Failure(task_name, shorten(traceback_text(error), TEXT_MOST), cause)


def stored(failure: Failure | SystemFailure) -> Pickled:
    """A failure as its objects store it: quickly, if nothing of the user's is in it but what is pickled already."""
    if isinstance(failure, SystemFailure):
        kind, is_plain = "system", all(type(value) in PLAIN for value in failure.attributes.values())
    else:
        kind, is_plain = "task", failure.cause is None or not failure.cause.ids
    if not is_plain:
        return dumps((kind, *failure))
    return Pickled(pickle.dumps((kind, *failure), PROTOCOL), [], [], [])


def described(error: BaseException) -> str:
    """The class of an exception and its text, which may fail."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception as problem:  # from its own __str__
        return f"{type(error).__name__} (showing it failed: {problem!r:.200})"


def constructor_failed(error: BaseException) -> str:
    """How an actor died whose constructor raised."""
    return f"its constructor failed: {described(error)}\n\n{shorten(traceback_text(error), TEXT_MOST)}"


def shorten(text: str, most: int) -> str:
    """The text, with its middle left out if it has more than `most` characters."""
    if len(text) <= most:
        return text
    return f"{text[: most // 2]}\n... {len(text) - most:,} characters left out ...\n{text[-most // 2 :]}"


def _pack_cause(error: BaseException) -> Cause:
    """Packs an exception without its traceback; attributes that can't be pickled are left out, args become text."""
    facts = {key: item for key, item in attributes(error) if _travels(item)}
    args = tuple(item if _travels(item) else _shown(item) for item in error.args)
    is_builtin = getattr(builtins, type(error).__name__, None) is type(error)
    if is_builtin and not facts and all(type(item) in PLAIN for item in args):
        return Cause(pickle.dumps((type(error), args, facts), PROTOCOL), [], [])  # it can be made again for certain
    cause = _cause((type(error), args, facts))
    _unpack_cause(cause)
    return cause


def _cause(value: Any) -> Cause:
    pickled = dumps(value)
    return Cause(bytes(pickled.stream), [bytes(buffer) for buffer in flat(pickled)], pickled.contained)


def _shown(item: Any) -> str:
    try:
        return repr(item)
    except Exception:  # the argument's own repr fails
        return object.__repr__(item)


def _travels(item: Any) -> bool:
    if type(item) in PLAIN:
        return True
    try:
        cause = _cause(item)
        loads(cause.stream, cause.buffers)
    except Exception:  # whatever the reason, the item is left out
        return False
    return True


def _unpack_cause(cause: Cause) -> BaseException:
    kind, args, facts = loads(cause.stream, cause.buffers)
    error = make(kind, args)
    give(error, facts.items())
    return error


def unpack(failure: Failure | SystemFailure) -> RayError:
    """Makes the exception that `get` raises for a failure."""
    if isinstance(failure, SystemFailure) and failure.error == RayActorError.__name__:
        return actor_error(failure.text, **failure.attributes)
    if isinstance(failure, SystemFailure):
        error: RayError = getattr(exceptions, failure.error, RaySystemError)(failure.text)
        vars(error).update(failure.attributes)
        return error
    cause = None
    if failure.cause is not None:
        try:
            cause = _unpack_cause(failure.cause)
        except Exception as problem:  # for example, its module is missing here; the text still tells what happened
            cause = None
            failure = failure._replace(text=f"{failure.text}\n(the exception itself can't be made here: {problem})")
    error = _both(cause, failure)
    BaseException.__setattr__(error, "__cause__", cause)
    return error


def bare(failure: Failure | SystemFailure) -> tuple[str, int]:
    """What is kept of a failure for which the store has no room: (name of its class, number of its report)."""
    if isinstance(failure, SystemFailure):
        return failure.error, failure.report
    full = isinstance(unpack(failure), ObjectStoreFullError)
    return ("ObjectStoreFullError" if full else "RayTaskError"), failure.report


def from_bare(error: str, report: int) -> SystemFailure:
    """The failure of which only `bare` was kept."""
    text = f"the object store was full when the task ended: of its result or error only this fitted, that it is a {error}"
    return SystemFailure(error, text, report=report)


def _both(cause: BaseException | None, failure: Failure) -> RayTaskError:
    """Makes an instance of RayTaskError and, where possible, of the cause's class too."""
    times = f" {failure.attempts} times" if failure.attempts > 1 else ""
    text = f"task {failure.task_name} failed{times}:\n\n{failure.text}"
    error: Any = None
    if isinstance(cause, Exception) and not isinstance(cause, (StopIteration, StopAsyncIteration, RayTaskError)):
        error = both(RayTaskError, cause, {"__str__": _text_of, "__reduce__": _reduce})
    error = error or RayTaskError(text)
    facts = {"cause": cause, "task_name": failure.task_name, "remote_traceback": failure.text, "attempts": failure.attempts}
    vars(error).update(facts, _failure=failure, _text=text)  # not setattr, which a frozen class refuses
    return error  # type: ignore[no-any-return]


def _text_of(error: Any) -> str:
    return str(error._text)


def _reduce(error: Any) -> Any:
    return unpack, (error._failure,)


def titled(class_name: str, name: str | None) -> str:
    """An actor's class, and its name if it has one, for texts."""
    return class_name if name is None else f"{class_name} {name!r}"


def dead(class_name: str, name: str | None, how: str, cause: BaseException | None = None) -> SystemFailure:
    """The failure of calls of a dead actor; `how` says how it died."""
    text = f"the actor {titled(class_name, name)} is dead: {how}"
    return SystemFailure(RayActorError.__name__, text, {"class_name": class_name, "cause": cause})


def actor_error(text: str, class_name: str = "", cause: BaseException | None = None, lost: bool = False) -> RayActorError:
    """The error of a dead actor's calls, or of a call that was lost; an instance of the class of its constructor's error, too,
    if there can be one."""
    methods = {"__str__": _text_of, "__reduce__": lambda self: (actor_error, (text, class_name, cause, lost))}
    made: Any = None if cause is None else both(RayActorError, cause, methods)
    error: Any = RayActorError(text) if made is None else made
    for name, value in {"_text": text, "class_name": class_name, "lost": lost, "cause": cause, "__cause__": cause}.items():
        BaseException.__setattr__(error, name, value)  # the class's own __setattr__ may refuse
    return error  # type: ignore[no-any-return]
