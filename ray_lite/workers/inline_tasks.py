"""Running tasks inline: a waiting task first runs the tasks that it waits for in its own process, if no worker has begun them.

The core says which tasks may run inline (tasks/inline.pyx); this file decides when and how deep, and keeps the two tasks apart:
by a fresh contextvars.Context, by restoring the process's state and random generators afterwards, and by room on the stack.
A task with a running timer runs no other: the timer would strike that one.
Neighbours: backend.py calls it before it blocks; isolation.py restores.
"""

from __future__ import annotations

import contextvars
import sys
from functools import partial

from ray_lite import _core
from ray_lite.calls.runtime_env import RuntimeEnv
from ray_lite.workers.cancellation import Cancellation, calls_users_code
from ray_lite.workers.isolation import ProcessState, RandomStates
from ray_lite.workers.signal_watch import SignalWatch

DEPTH_MOST = 64  # most inline tasks on top of each other; a deeper task blocks, and the pool grows
FRAMES_EACH = 100  # frames of the recursion limit that a level may use besides the user's own frames
STACK_MOST = FRAMES_EACH * DEPTH_MOST  # most frames below an inline task that runs another: the C stack is limited, too
AT_ONCE = 64  # ids that a task searches with its CPUs held: giving them back takes as long as that search


class InlineRunner:
    """Runs tasks inline for the tasks of one worker, in its main thread."""

    def __init__(
        self, region: _core.Region, worker: _core.Worker, runtime_env: RuntimeEnv, cancellation: Cancellation,
        signals: SignalWatch,
    ) -> None:
        self.region, self.worker, self.runtime_env, self.cancellation = region, worker, runtime_env, cancellation
        self.signals = signals
        self.depth = 0  #: inline tasks on top of each other now
        self.waiting_task = 0  #: record of the innermost task that runs another inline
        self._recursion = sys.getrecursionlimit()  # recursion limit that every task gets, an inline one too

    def run_all(self, ids: list[_core.ObjectID]) -> bool:
        """Runs the tasks inline that the ids wait for, while there are such tasks; returns whether all ids are ready then."""
        late = _core.lacking(self.region, ids)
        if len(late) > 1:
            _core.announce(self.region, late)
        random_states = RandomStates()
        at = 0
        try:
            while self._may_run() and (at := self._find(late, at)) < len(late):
                self._run(late[at], random_states)
        finally:
            random_states.restore()
        return not _core.lacking(self.region, ids)

    def _find(self, late: list[_core.ObjectID], at: int) -> int:
        """Position of the first id, from `at` on, whose task can run inline now; a long search gives the CPUs back."""
        found = _core.find_inline(self.region, late, at, AT_ONCE)
        if found < at + AT_ONCE:
            return found
        return _core.while_blocked(self.region, False, partial(_core.find_inline, self.region, late, found, len(late)))

    def _may_run(self) -> bool:
        if self.signals.timer_runs():  # it would strike the inline task instead of the wait
            return False
        return self.depth == 0 or self.depth < DEPTH_MOST and _core.stack_depth() < STACK_MOST

    def _run(self, x: _core.ObjectID, random_states: RandomStates) -> bool:
        """Runs a task inline that `x` waits for; returns whether there was one."""
        around: list[ProcessState] = []
        environment = self.runtime_env.state()

        def enter() -> None:
            random_states.replace()
            around.append(ProcessState())

        changes = self.signals.changes
        limit, depth, waiting_task = sys.getrecursionlimit(), self.depth, self.waiting_task
        try:
            self.depth, self.waiting_task = depth + 1, self.worker.calling
            sys.setrecursionlimit(max(limit, _core.stack_depth() + self._recursion + FRAMES_EACH))
            self.signals.changes = None
            ran = contextvars.Context().run(self.worker.run_inline, x, enter)
        finally:
            try:
                self.signals.resume(changes)
                if environment[1] != _core.get_runtime_env():
                    self.runtime_env.restore(environment)
                for state in around:
                    state.restore()
            finally:  # a signal handler may raise in the lines above
                self.depth, self.waiting_task = depth, waiting_task
                sys.setrecursionlimit(limit)
        if ran and _core.is_cancelled(self.region):  # the mark came while this task was not the innermost
            self.cancellation.raise_it()
        return ran


calls_users_code(InlineRunner._run.__code__)
