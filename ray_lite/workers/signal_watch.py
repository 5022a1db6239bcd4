"""SignalWatch: what a task has changed about signals, put back after it: timers, handlers, the mask, the wake-up descriptor.

To compare all of these after each task would cost more than a task.  So the functions that change them are replaced in a worker
by ones that note it, in `_signal` too, where the `signal` module and pickled functions find them.  Changes by C code are not
noticed.  Neighbours: the core stops timers when a task ends (python/execute.pyx), since they strike any Python code;
task_runner.py puts back the rest; inline_tasks.py keeps the changes of a waiting task apart.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import functools
import signal
import threading
from collections.abc import Callable, Iterable
from typing import Any

_setitimer, _alarm, _set_handler = _signal.setitimer, _signal.alarm, _signal.signal
_sigmask, _set_wakeup_fd = _signal.pthread_sigmask, _signal.set_wakeup_fd


FUNCTIONS = ("setitimer", "alarm", "set_wakeup_fd", "signal", "pthread_sigmask")


def _replace(name: str, old: Callable[..., Any], new: Callable[..., Any]) -> None:
    """Replaces a function in both modules; where `signal` has a function of its own, that calls the one of `_signal`."""
    if getattr(signal, name) is old:
        setattr(signal, name, new)
    setattr(_signal, name, new)


def _function(original: Callable[..., Any], replacement: Callable[..., Any]) -> Callable[..., Any]:
    """The replacement as a function, which is pickled by the original's name."""

    @functools.wraps(original)
    def call(*args: Any, **options: Any) -> Any:
        return replacement(*args, **options)

    return call


def unwatch() -> None:
    """Gives the functions back: these modules live as long as the interpreter, and so does what they hold."""
    for name in FUNCTIONS:
        function = getattr(_signal, name)
        _replace(name, function, getattr(function, "__wrapped__", function))


class Changes:
    """What one task has changed: the values before."""

    def __init__(self) -> None:
        self.timers: set[int] = set()  #: those that it has set; the core stops them
        self.handlers: dict[int, Any] = {}  #: None: a handler of C code, which Python can't put back
        self.mask: Iterable[int] | None = None
        self.wakeup_fd: int | None = None

    def undo(self) -> None:
        """Puts back all of it; the mask before the handlers, so that a pending signal meets that of its own task."""
        if self.mask is not None:
            _sigmask(signal.SIG_SETMASK, self.mask)
        for number, handler in self.handlers.items():
            if handler is not None:
                _set_handler(number, handler)
        if self.wakeup_fd is not None:
            _set_wakeup_fd(self.wakeup_fd)


class SignalWatch:
    """Notes the changes of the innermost task of a worker.

    Args:
        on_change: called at the first change that a task makes.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.on_change = on_change
        self.changes: Changes | None = None  #: None: nothing

    def begin(self) -> None:
        """Replaces the functions."""
        replacements: tuple[Callable[..., Any], ...] = (
            self._on_setitimer, self._on_alarm, self._on_set_wakeup_fd, self._on_signal, self._on_sigmask,
        )
        for name, replacement in zip(FUNCTIONS, replacements, strict=True):
            original = getattr(_signal, name)
            function = _function(original, replacement)
            _replace(name, original, function)

    def put_back(self) -> None:
        """Puts back what the task has changed."""
        changes, self.changes = self.changes, None
        if changes is not None:
            changes.undo()

    def resume(self, changes: Changes | None) -> None:
        """Continues with the changes of the task that has waited."""
        self.changes = changes
        if changes is not None:
            self.on_change()

    def timer_runs(self) -> bool:
        """Whether a timer of the task is running."""
        return self.changes is not None and any(signal.getitimer(which)[0] for which in self.changes.timers)

    def _noted(self) -> Changes:
        if self.changes is None:
            self.changes = Changes()
            self.on_change()
        return self.changes

    def _on_setitimer(self, which: int, *times: float) -> Any:
        self._noted().timers.add(which)
        return _setitimer(which, *times)

    def _on_alarm(self, seconds: int, /) -> Any:
        self._noted().timers.add(signal.ITIMER_REAL)
        return _alarm(seconds)

    def _on_signal(self, number: int, handler: Any, /) -> Any:
        self._noted().handlers.setdefault(number, _signal.getsignal(number))
        return _set_handler(number, handler)

    def _on_sigmask(self, how: int, mask: Iterable[int], /) -> Any:
        changes = self._noted()
        if changes.mask is None and threading.current_thread() is threading.main_thread():
            changes.mask = _sigmask(signal.SIG_BLOCK, ())
        return _sigmask(how, mask)

    def _on_set_wakeup_fd(self, fd: int, /, **options: bool) -> Any:
        before = _set_wakeup_fd(fd, **options)
        changes = self._noted()
        changes.wakeup_fd = before if changes.wakeup_fd is None else changes.wakeup_fd
        return before
