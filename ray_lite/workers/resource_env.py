"""The resource environment: what a worker changes in its process for a task with other resources.

    variables   OMP_NUM_THREADS and the like, unless the user set them; for libraries that are not loaded yet
    pools       thread pools of loaded libraries, through threadpoolctl; without it, the worker keeps to tasks of one size
    GPUs        the variable that shows them
    cores       with init(pin=True): as many as the task has CPUs, beginning with the worker's own

Neighbour: task_runner.py calls it for each new shape.  Must not decide what a task gets.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from typing import Any

from ray_lite import _core
from ray_lite.config import CPU_UNIT
from ray_lite.policy.resources import Resources

THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "TBB_NUM_THREADS",
)
#: modules that make thread pools of their own when they are loaded
WITH_POOLS = ("numpy", "scipy", "torch", "numexpr", "numba", "mkl", "sklearn", "tensorflow", "jax", "pyarrow")


class ResourceEnv:
    """The resource environment of one worker.

    Args:
        region: the region of the session.
        resources: the resources of the session.
        pin_index: number of this worker, from 0, if workers are pinned; else None.
        pools: threads for which the pools of libraries were made that were loaded before any task came; 0: none were.
    """

    def __init__(self, region: _core.Region, resources: Resources, pin_index: int | None, pools: int = 0) -> None:
        self.region, self.resources, self.pools = region, resources, pools
        self.user_threads = {name for name in THREAD_VARIABLES if name in os.environ}
        self.cores = sorted(os.sched_getaffinity(0)) if pin_index is not None else []
        self.pin_index = pin_index or 0
        self.threads = 0
        self._controller: tuple[int, Any] | None = None

    def change(self, cpus: int, may_decline: bool) -> bool:
        """Adapts the process to a task; False: this worker can only run tasks with as many threads as before.

        Args:
            cpus: CPUs of the task, in ten-thousandths.
            may_decline: whether this may return False; else pools that can't be resized keep their size.
        """
        threads = max(1, math.ceil(cpus / CPU_UNIT))
        if threads != self.threads:
            if not self._limit(threads) and may_decline:
                _core.fix_threads(self.region, self.pools)
                return False
            self.threads = self.pools = threads
            for variable in THREAD_VARIABLES:
                if variable not in self.user_threads:
                    os.environ[variable] = str(threads)
            self._pin(threads)
        if self.resources.gpu_ids:
            shown = (self.resources.gpu_ids[number] for number in _core.held_gpus(self.region))
            os.environ[self.resources.gpu_variable] = ",".join(shown)
        return True

    def _limit(self, threads: int) -> bool:
        """Resizes existing thread pools; False if that is impossible."""
        if self.pools in (0, threads) or self.user_threads or not any(name in sys.modules for name in WITH_POOLS):
            return True
        limit = self._limiter()
        if limit is not None:
            limit(limits=threads)
        return limit is not None

    def _limiter(self) -> Callable[..., Any] | None:
        """threadpoolctl's limit function for the libraries that are loaded now, or None if it is not installed."""
        if self._controller is None or self._controller[0] != len(sys.modules):
            try:
                from threadpoolctl import ThreadpoolController
            except ImportError:
                return None
            self._controller = len(sys.modules), ThreadpoolController()
        limit: Callable[..., Any] = self._controller[1].limit
        return limit

    def _pin(self, threads: int) -> None:
        if self.cores:
            chosen = {self.cores[(self.pin_index + k) % len(self.cores)] for k in range(min(threads, len(self.cores)))}
            os.sched_setaffinity(0, chosen)
