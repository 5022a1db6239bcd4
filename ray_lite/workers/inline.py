"""Running tasks inline: a task that waits first runs what it waits for itself, in its own process, if nobody has begun it.

The core says which task that may be (tasks/inline.pyx); here is when, how deep, and what keeps the two tasks apart: a fresh
contextvars.Context, the process's state and random generators put back afterwards, and room on the stack.  Neighbours:
backend.py calls it before it blocks; isolation.py.
"""

from __future__ import annotations

import contextvars
import sys
from functools import partial

from ray_lite import _core
from ray_lite.calls.runtime_env import RuntimeEnv
from ray_lite.workers.cancellation import Cancellation, calls_users_code
from ray_lite.workers.isolation import ProcessState, RandomStates

DEPTH_MOST = 64  # inline tasks on top of each other; then the worker blocks and the pool grows
FRAMES_EACH = 100  # what a level may cost of the recursion limit, beyond the user's own frames
STACK_MOST = FRAMES_EACH * DEPTH_MOST  # no inline task runs another on a deeper stack than this: C's has an end, too
AT_ONCE = 64  # ids that a task looks at for one to run before it gives its CPUs back: no longer than that takes itself


class InlineRunner:
    """Runs tasks inline for the tasks of one worker, in its main thread."""

    def __init__(
        self, region: _core.Region, worker: _core.Worker, runtime_env: RuntimeEnv, cancellation: Cancellation
    ) -> None:
        self.region, self.worker, self.runtime_env, self.cancellation = region, worker, runtime_env, cancellation
        self.depth = 0  #: inline tasks on top of each other now
        self.waiting_task = 0  #: record of the innermost task that runs another inline
        self._recursion = sys.getrecursionlimit()  # what a task may count on, inline too

    def run_all(self, ids: list[_core.ObjectID]) -> bool:
        """Runs inline what the ids wait for, while there is anything of that kind; whether all are ready then."""
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
        """Where the first id is, from `at` on, whose task could be run inline now. During a long look others have the CPUs."""
        found = _core.find_inline(self.region, late, at, AT_ONCE)
        if found < at + AT_ONCE:
            return found
        return _core.while_blocked(self.region, False, partial(_core.find_inline, self.region, late, found, len(late)))

    def _may_run(self) -> bool:
        return self.depth == 0 or self.depth < DEPTH_MOST and _core.stack_depth() < STACK_MOST

    def _run(self, x: _core.ObjectID, random_states: RandomStates) -> bool:
        """Runs a task that `x` waits for; whether there was one."""
        around: list[ProcessState] = []
        environment = self.runtime_env.state()

        def enter() -> None:
            random_states.replace()
            around.append(ProcessState())

        limit, depth, waiting_task = sys.getrecursionlimit(), self.depth, self.waiting_task
        try:
            self.depth, self.waiting_task = depth + 1, self.worker.calling
            sys.setrecursionlimit(max(limit, _core.stack_depth() + self._recursion + FRAMES_EACH))
            ran = contextvars.Context().run(self.worker.run_inline, x, enter)
        finally:
            try:
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
