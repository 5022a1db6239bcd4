"""The graceful end of a worker: what an interpreter does at its end, for what tasks have left in the process.

That is: threads joined, exit handlers called, and the interpreter finalised, which closes files and calls finalisers.  A worker
in which tasks have left nothing of this ends at once.  Neighbours: node/worker_process.py calls it; child.py ends forked
children, and workers that failed.
"""

from __future__ import annotations

import atexit
import faulthandler
import gc
import signal
import sys
import threading
import weakref
from types import FunctionType
from typing import Any, NoReturn

from ray_lite import _core, session
from ray_lite.workers.backend import WorkerBackend
from ray_lite.workers.cancellation import CANCEL_SIGNAL
from ray_lite.workers.child import flush_streams
from ray_lite.workers.signal_watch import unwatch

#: modules that register an exit handler when they are loaded, by the name of that handler; it may run in any process
REGISTER_ONCE = {"logging": "shutdown", "multiprocessing.util": "_exit_function"}

_own_handlers = 0  # exit handlers that `begin` has registered


def begin() -> None:
    """Forgets the exit handlers of the node process; registers those that a module loaded there would register here."""
    global _own_handlers
    atexit._clear()
    registry: dict[Any, object] = getattr(weakref.finalize, "_registry", {})
    for finalizer in list(registry):
        finalizer.detach()
    weakref.finalize._registered_with_atexit = False  # type: ignore[attr-defined]  # the next finalizer registers again
    for name, handler in REGISTER_ONCE.items():
        if name in sys.modules:
            atexit.register(getattr(sys.modules[name], handler))
    _own_handlers = atexit._ncallbacks()
    gc.freeze()  # the collector no longer lists what the node has made


def end_worker(region: _core.Region, bound: float) -> NoReturn:
    """Ends this process in good order, within `bound` seconds; meanwhile calls of ray_lite raise RaySystemError."""
    left = True
    try:
        signal.signal(CANCEL_SIGNAL, signal.SIG_IGN)
        region.retire()
        faulthandler.dump_traceback_later(bound, exit=True, file=2)  # a thread without the GIL: nothing can hold it up
        left = _anything_left()
        if left:
            threading._shutdown()  # type: ignore[attr-defined]  # joins threads: an interpreter's first step, too
        atexit._run_exitfuncs()
        flush_streams()
        if left:
            _let_go()
    finally:  # an exception must not reach the frames of the node below
        _core.end_process(0, left)


def _anything_left() -> bool:
    """Whether tasks have left something that only the end of an interpreter completes."""
    return atexit._ncallbacks() > _own_handlers or _has_other_threads() or _has_finalisers()


def _has_other_threads() -> bool:
    return any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread())


def _has_finalisers() -> bool:
    """Whether an object with a finaliser, such as an open file, is alive and was made in this process; others are frozen."""
    kinds: set[type] = set(map(type, gc.get_objects()))
    return any("__del__" in vars(base) for kind in kinds for base in kind.__mro__)


def _let_go() -> None:
    """Lets go of the globals of tasks' functions, in order, as the interpreter does with those of modules.

    Else the garbage collector would find them: it may close a file before the object that still has to write into it.
    """
    backend = session.peek()
    session.clear()
    if not isinstance(backend, WorkerBackend):
        return
    unwatch()
    for function in backend.worker.functions.values():
        names = function.__globals__ if isinstance(function, FunctionType) else {}
        if names is not vars(sys.modules.get(names.get("__name__", ""), sys)):
            for name in [name for name in names if name != "__builtins__"]:
                names[name] = None
