"""Options of remote functions and classes, and checks of the types and ranges of public arguments.  No I/O.

Neighbours: api.py and remote_function.py check options where the user writes them; policy/resources.py makes demands of them.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ray_lite.config import CPU_UNIT

RETURNS_MOST = 1_000_000
RETRIES_MOST = 65_534
CALLS_MOST = 1_000_000_000
NAME_MOST = 200  # characters of the name of an actor
CONCURRENCY_MOST = 10_000  # calls of an actor that run at once
AMOUNT_MOST = 10**11  # in ten-thousandths, times the number of processes of a session, it still fits into 63 bits
SIZE_MOST = 1 << 46  # bytes of the object store; a process has 47 bits of addresses
GPUS_MOST = 256  # GPUs of a session; the core's RL_GPUS
TIME_MOST = 1e9  # in any unit: stands for no limit, and still fits where time is counted in nanoseconds

RESTARTS = 10  # default of max_restarts for actors with checkpoints


class WorkerOptions(NamedTuple):
    """Options that only the worker needs; kept outside the task record, since most tasks have none."""

    max_calls: int = 0
    retry_exceptions: tuple[type[BaseException], ...] = ()


class ActorOptions(NamedTuple):
    """Options of a remote class's actors; `ray_lite.remote` documents each. None: not given."""

    num_cpus: float | None = None
    num_gpus: float | None = None
    resources: tuple[tuple[str, float], ...] | None = None
    name: str | None = None
    get_if_exists: bool = False
    shared: bool = False
    max_concurrency: int | None = None
    max_pending_calls: int | None = None
    on_full: str = "raise"
    checkpoint_interval: int | None = None
    max_restarts: int | None = None

    def updated(self, given: dict[str, Any]) -> "ActorOptions":
        """A copy of these options, changed by the given ones.

        Args:
            given: options by name, not checked yet.

        Raises:
            TypeError: an unknown option, or a wrong type.  ValueError: out of range.
        """
        for name in given:
            if name not in _ACTOR_CHECKS:
                kind = "is an option of functions, not of classes" if name in _CHECKS else "is unknown"
                raise TypeError(f"option {name!r} {kind}; those of classes are {', '.join(_ACTOR_CHECKS)}")
        changed: dict[str, Any] = {name: self._field_defaults[name] if value is None else _ACTOR_CHECKS[name](name, value)
                                   for name, value in given.items()}
        return self._replace(**changed)

    def check_creation(self) -> None:
        """Raises ValueError if no actor can be created with these options, which others may still complete."""
        for option in ("get_if_exists", "shared"):
            if getattr(self, option) and self.name is None:
                raise ValueError(f"{option}=True needs a name")

    def check_for(self, class_name: str, is_async: bool) -> None:
        """Raises ValueError if the class can't have these options together."""
        if self.on_full == "wait" and self.max_pending_calls is None:
            raise ValueError("on_full='wait' needs max_pending_calls, the number of calls from which on a call waits")
        if self.checkpoint_interval is None:
            return
        if self.max_restarts == 0:
            raise ValueError(f"{class_name} has checkpoint_interval={self.checkpoint_interval} and max_restarts=0: checkpoints "
                             "only serve a process that comes after another one")
        if self.max_concurrency not in (None, 1) or is_async:
            why = "async methods" if is_async else f"max_concurrency={self.max_concurrency}"
            raise ValueError(f"{class_name} has checkpoint_interval={self.checkpoint_interval} and {why}: calls that run at "
                             "the same time have no order in which they could be repeated")

    @property
    def keeps(self) -> bool:
        """Whether calls are kept, to be run again after the death of an actor's process."""
        return self.checkpoint_interval is not None

    @property
    def restarts(self) -> int:
        """How often an actor comes back after the death of its process."""
        if self.max_restarts is not None:
            return self.max_restarts
        return 0 if self.checkpoint_interval is None else RESTARTS


class Options(NamedTuple):
    """Options of a remote function's calls; `ray_lite.remote` documents each."""

    num_return_vals: int = 1
    num_cpus: float = 1
    num_gpus: float = 0
    resources: tuple[tuple[str, float], ...] = ()
    max_calls: int = 0
    max_retries: int = 3
    retry_exceptions: tuple[type[BaseException], ...] = ()
    inline: bool = True
    writable_args: bool = False

    @property
    def for_worker(self) -> WorkerOptions:
        """The options that only the worker needs."""
        return WorkerOptions(self.max_calls, self.retry_exceptions)

    def updated(self, given: dict[str, Any]) -> "Options":
        """A copy of these options, changed by the given ones.

        Args:
            given: options by name, not checked yet.

        Raises:
            TypeError: an unknown option or a wrong type.  ValueError: out of range.
        """
        for name in given:
            if name not in _CHECKS:
                kind = "is an option of classes, not of functions" if name in _ACTOR_CHECKS else "is unknown"
                raise TypeError(f"option {name!r} {kind}; those of functions are {', '.join(_CHECKS)}")
        changed: dict[str, Any] = {name: _CHECKS[name](name, value) for name, value in given.items()}
        return self._replace(**changed)


def check_options(given: dict[str, Any]) -> None:
    """Checks options before it is known whether they are for a function or a class.

    Raises:
        TypeError: neither has an option of this name, or a wrong type.  ValueError: out of range.
    """
    for name, value in given.items():
        check = _CHECKS.get(name) or _ACTOR_CHECKS.get(name)
        if check is None:
            known = dict.fromkeys([*_CHECKS, *_ACTOR_CHECKS])
            raise TypeError(f"unknown option {name!r}; the known ones are {', '.join(known)}")
        if value is not None or name not in _ACTOR_CHECKS:
            check(name, value)


def whole(name: str, value: Any, least: int | None = None, most: int | None = None) -> int:
    """Checks a whole number; `least` and `most` are allowed values. Raises TypeError or ValueError."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    number = int(value)
    if least is not None and number < least or most is not None and number > most:
        raise ValueError(f"{name} must be in {least:,}..{most:,}, got {number:,}")
    return number


def size(name: str, value: Any) -> int:
    """Checks a number of bytes above 0, at most SIZE_MOST; a fraction is rounded up. Raises TypeError or ValueError."""
    number = _number(name, value)
    if not 0 < number <= SIZE_MOST:
        raise ValueError(f"{name} must be above 0 and at most {SIZE_MOST:,}, got {value!r}")
    return int(value) if hasattr(value, "__index__") else math.ceil(number)


def amount(name: str, value: Any) -> float:
    """Checks an amount of a resource: 0, or a number from 1 / CPU_UNIT to AMOUNT_MOST. Raises TypeError or ValueError."""
    number = _number(name, value)
    if not 0 <= number <= AMOUNT_MOST:
        raise ValueError(f"{name} must be in 0..{AMOUNT_MOST:,}, got {value!r}")
    if 0 < number < 1 / CPU_UNIT:
        raise ValueError(f"{name} must be 0 or at least {1 / CPU_UNIT:g}, got {value!r}")
    return value if isinstance(value, int) else number


def gpus(name: str, value: Any) -> float:
    """Checks a number of GPUs: a whole number, or a part of one GPU. Raises TypeError or ValueError."""
    number = amount(name, value)
    if number > 1 and number != int(number):
        raise ValueError(f"{name} must be a whole number, or below 1 for a part of one, got {value!r}")
    return number


def session_gpus(name: str, value: Any) -> int:
    """Checks the number of GPUs of a session: a whole number, at most GPUS_MOST. Raises TypeError or ValueError."""
    number = amount(name, value)
    if number != int(number) or number > GPUS_MOST:
        raise ValueError(f"{name} must be a whole number in 0..{GPUS_MOST}, got {value!r}")
    return int(number)


def custom_resources(name: str, value: Any) -> dict[str, float]:
    """Checks custom resources, a dict of names and amounts; None is {}. Raises TypeError or ValueError."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TypeError(f"{name} must be a dict of names and amounts, got {value!r}")
    for resource in value:
        if not isinstance(resource, str):
            raise TypeError(f"{name} must have strings for names, got {resource!r}")
        if resource in ("CPU", "GPU"):
            raise ValueError(f"{name} must not name {resource}: use num_{resource.lower()}s")
    return {resource: amount(f"{name}[{resource!r}]", one) for resource, one in value.items()}


def exception_classes(name: str, value: Any) -> tuple[type[BaseException], ...]:
    """Checks exceptions to retry on: True for every Exception, a class, or a list of classes. Raises TypeError."""
    if isinstance(value, bool):
        return (Exception,) if value else ()
    classes = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    for one in classes:
        if not isinstance(one, type) or not issubclass(one, BaseException):
            raise TypeError(f"{name} must be True, False, or exception classes, got {one!r}")
    return classes


def package_names(name: str, value: Any) -> tuple[str, ...]:
    """Checked names of packages or modules, each once."""
    if isinstance(value, str) or not isinstance(value, (list, tuple)) or not all(isinstance(one, str) for one in value):
        raise TypeError(f"{name} must be a list or tuple of names of packages, such as ('numpy', 'pandas'), got {value!r}")
    for one in value:
        if not all(part.isidentifier() for part in one.split(".")):
            raise ValueError(f"{name}: {one!r} is no name of a package or module")
    return tuple(dict.fromkeys(value))


def duration(name: str, value: Any) -> float:
    """Checks a time, not negative, in any unit; at most TIME_MOST is returned. Raises TypeError or ValueError."""
    number = _number(name, value)
    if not number >= 0:
        raise ValueError(f"{name} must be zero or more, got {value!r}")
    return min(number, TIME_MOST)


def _number(name: str, value: Any) -> float:
    if isinstance(value, (bool, str)) or not hasattr(value, "__float__") and not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return value


_CHECKS = {
    "num_return_vals": lambda name, value: whole(name, value, 0, RETURNS_MOST),
    "num_cpus": amount,
    "num_gpus": gpus,
    "resources": lambda name, value: tuple(sorted(custom_resources(name, value).items())),
    "max_calls": lambda name, value: whole(name, value, 0, CALLS_MOST),
    "max_retries": lambda name, value: whole(name, value, 0, RETRIES_MOST),
    "retry_exceptions": exception_classes,
    "inline": _flag,
    "writable_args": _flag,
}


def _name(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {value!r}")
    if not value or len(value) > NAME_MOST:
        raise ValueError(f"{name} must have 1 to {NAME_MOST} characters, got {len(value):,}")
    return value


def _on_full(name: str, value: Any) -> str:
    if value not in ("raise", "wait"):
        raise ValueError(f"{name} must be 'raise' or 'wait', got {value!r}")
    return str(value)


def _interval(name: str, value: Any) -> int | None:
    """Checks a number of calls between checkpoints; negative: None, for no checkpoints, as in Ray of 2018."""
    number = whole(name, value, -CALLS_MOST, CALLS_MOST)
    if number == 0:
        raise ValueError(f"{name} must be above 0, or negative for no checkpoints, got 0")
    return None if number < 0 else number


_ACTOR_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "num_cpus": amount,
    "num_gpus": gpus,
    "resources": _CHECKS["resources"],
    "name": _name,
    "get_if_exists": _flag,
    "shared": _flag,
    "max_concurrency": lambda name, value: whole(name, value, 1, CONCURRENCY_MOST),
    "max_pending_calls": lambda name, value: whole(name, value, 1, CALLS_MOST),
    "on_full": _on_full,
    "checkpoint_interval": _interval,
    "max_restarts": lambda name, value: whole(name, value, 0, CALLS_MOST),
}
