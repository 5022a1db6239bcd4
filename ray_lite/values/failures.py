"""Failures as stored values: an exception of a task packed in the worker, and raised again by `get`.

A failure is packed once, where it happened; passing through further tasks keeps that one layer.  Packing never fails: what
can't be pickled is left out and its text stays.  Neighbours: workers/ and node/ pack, backends/local.py raises.  No I/O.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ray_lite import exceptions
from ray_lite.exceptions import RayError, RaySystemError, RayTaskError
from ray_lite.values.serialization import dumps, flat, loads

OURS = "_core.src/python/execute.pyx"  # the frame that calls tasks
TEXT_MOST = 100_000  # characters of a traceback that travel


class Cause(NamedTuple):
    """A pickled exception: its class, args and attributes; the ids keep what it holds."""

    stream: bytes
    buffers: list[bytes]
    ids: list[Any]


class Failure(NamedTuple):
    """A task's failure as it travels."""

    task_name: str
    text: str  #: the remote traceback
    cause: Cause | None
    report: int = 0  #: number under which it was reported, 0: it was not
    attempts: int = 1  #: how often the task ran


class SystemFailure(NamedTuple):
    """A failure that ray_lite reports itself, such as a worker's death."""

    error: str  #: name of a class in ray_lite.exceptions
    text: str
    attributes: dict[str, Any] = {}  #: of the exception
    report: int = 0  #: number under which it was reported, 0: it was not


class ArgumentFailed(Exception):
    """Raised while loading a task's arguments: the task fails as the argument did."""

    def __init__(self, failure: Failure | SystemFailure) -> None:
        self.failure = failure


def pack(error: BaseException, task_name: str) -> Failure | SystemFailure:
    """The failure to store for what a task raised."""
    if isinstance(error, ArgumentFailed):
        return error.failure
    if isinstance(error, RayTaskError) and isinstance(known := vars(error).get("_failure"), Failure):
        return known
    try:
        cause = _pack_cause(error)
    except Exception:  # a class that can't travel, or can't be made again, or that fails when looked at: the text has to do
        cause = None
    return Failure(task_name, shorten(_traceback_of(error), TEXT_MOST), cause)


def _traceback_of(error: BaseException) -> str:
    import traceback

    trace = error.__traceback__
    if trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename.endswith(OURS):
        trace = trace.tb_next  # the user's frames are what helps
    try:
        return "".join(traceback.format_exception(type(error), error, trace))
    except Exception as problem:  # exceptions that fail when they are shown, or are nested too deep
        frames = "".join(traceback.format_tb(trace))
        return f"Traceback (most recent call last):\n{frames}{type(error).__qualname__} (showing it failed: {problem!r:.200})\n"


def shorten(text: str, most: int) -> str:
    """The text with its middle left out, if it has more than `most` characters."""
    if len(text) <= most:
        return text
    return f"{text[: most // 2]}\n... {len(text) - most:,} characters left out ...\n{text[-most // 2 :]}"


def _pack_cause(error: BaseException) -> Cause:
    """The exception without its traceback; attributes that can't be pickled are left out, such arguments become text."""
    attributes = {key: item for key, item in _attributes(error) if _travels(item)}
    args = tuple(item if _travels(item) else _shown(item) for item in error.args)
    cause = _cause((type(error), args, attributes))
    _unpack_cause(cause)
    return cause


def _cause(value: Any) -> Cause:
    pickled = dumps(value)
    return Cause(bytes(pickled.stream), [bytes(buffer) for buffer in flat(pickled)], pickled.contained)


def _shown(item: Any) -> str:
    try:
        return repr(item)
    except Exception:  # the argument's own fault
        return object.__repr__(item)


def _attributes(error: BaseException) -> Iterator[tuple[str, Any]]:
    """Instance attributes, and those that a class keeps in C or in slots (OSError.errno, SystemExit.code)."""
    for kind in type(error).__mro__:
        if kind in (BaseException, object):
            continue  # args travel by themselves, traceback and context stay
        for key, slot in vars(kind).items():
            if isinstance(slot, (types.MemberDescriptorType, types.GetSetDescriptorType)) and not key.startswith("__"):
                value = getattr(error, key, None)
                if value is not None:
                    yield key, value
    yield from vars(error).items()


def _give(error: BaseException, attributes: Iterable[tuple[str, Any]]) -> None:
    for key, item in attributes:
        try:
            BaseException.__setattr__(error, key, item)  # the class itself may be frozen
        except (AttributeError, TypeError):
            continue  # read-only: its constructor has set it


def _travels(item: Any) -> bool:
    try:
        cause = _cause(item)
        loads(cause.stream, cause.buffers)
    except Exception:  # whatever it is, it stays behind
        return False
    return True


def _unpack_cause(cause: Cause) -> BaseException:
    kind, args, attributes = loads(cause.stream, cause.buffers)
    error: BaseException = kind.__new__(kind, *args)
    BaseException.__setattr__(error, "args", args)
    _give(error, attributes.items())
    return error


def unpack(failure: Failure | SystemFailure) -> RayError:
    """The exception that `get` raises."""
    if isinstance(failure, SystemFailure):
        error: RayError = getattr(exceptions, failure.error, RaySystemError)(failure.text)
        vars(error).update(failure.attributes)
        return error
    cause = None
    if failure.cause is not None:
        try:
            cause = _unpack_cause(failure.cause)
        except Exception as problem:  # its module is missing here: the text is the report
            cause = None
            failure = failure._replace(text=f"{failure.text}\n(the exception itself can't be made here: {problem})")
    error = _both(cause, failure)
    BaseException.__setattr__(error, "__cause__", cause)
    return error


def _both(cause: BaseException | None, failure: Failure) -> RayTaskError:
    """An instance of RayTaskError and, where that is possible, of the user's class."""
    times = f" {failure.attempts} times" if failure.attempts > 1 else ""
    text = f"task {failure.task_name} failed{times}:\n\n{failure.text}"
    error = None
    if isinstance(cause, Exception) and not isinstance(cause, (StopIteration, StopAsyncIteration)):
        error = _dual(cause)
    if error is None:
        error = RayTaskError(text)
    facts = {"cause": cause, "task_name": failure.task_name, "remote_traceback": failure.text, "attempts": failure.attempts}
    vars(error).update(facts, _failure=failure, _text=text)  # not by setattr, which a frozen class refuses
    return error


def _dual(cause: Exception) -> RayTaskError | None:
    kind = type(cause)
    if isinstance(cause, RayTaskError):
        return None
    for bases in (RayTaskError, kind), (kind, RayTaskError):  # the second for classes with an allocator of their own
        try:
            both = type(f"RayTaskError({kind.__name__})", bases, {"__str__": _text_of, "__reduce__": _reduce})
            error: RayTaskError = both.__new__(both, *cause.args)
            BaseException.__setattr__(error, "args", cause.args)
            _give(error, _attributes(cause))
        except Exception:  # a class that can't be subclassed, or not made from its args
            continue
        return error
    return None


def _text_of(error: Any) -> str:
    return str(error._text)


def _reduce(error: Any) -> Any:
    return unpack, (error._failure,)
