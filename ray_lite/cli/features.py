"""The features that ray_lite uses where they are there, and what it does without them.

Each is tried out, since a version says little in a container.  Neighbours: doctor.py asks; the code that uses a feature has the
way around it.
"""

from __future__ import annotations

import importlib.machinery
import mmap
import os
from collections.abc import Callable

from ray_lite.cli.facts import Feature
from ray_lite.store.region_files import NO_EXECUTE

FAILS = "init() fails"  # said of what is needed
POPULATE_WRITE = 23  # MADV_POPULATE_WRITE, Linux 5.14
OOM_SCORE = "/proc/self/oom_score_adj"
MEMORY_MAP = "/proc/self/smaps_rollup"


def features() -> list[Feature]:
    """All of them, in the order of their weight."""
    return [
        Feature("pidfd_open", _works(_open_pidfd), FAILS, is_needed=True),
        Feature("MADV_POPULATE_WRITE (Linux 5.14)", _works(_populate),
                "large values are stored slower: pages are mapped one by one"),
        Feature("MFD_NOEXEC_SEAL (Linux 6.3)", _works(_seal), "the store's memory is not sealed against execution"),
        Feature("oom_score_adj", os.access(OOM_SCORE, os.W_OK),
                "if memory runs out, the kernel may kill the node before workers"),
        Feature("smaps_rollup", os.access(MEMORY_MAP, os.R_OK),
                "`ray-lite ps` and `memory` don't show the memory of processes"),
        Feature("threadpoolctl", importlib.machinery.PathFinder.find_spec("threadpoolctl") is not None,
                "a process that has loaded BLAS or OpenMP runs only tasks with the same number of CPUs; "
                "pip install threadpoolctl"),
    ]


def _works(trial: Callable[[], None]) -> bool:
    try:
        trial()
    except OSError:
        return False
    return True


def _open_pidfd() -> None:
    os.close(os.pidfd_open(os.getpid()))


def _populate() -> None:
    with mmap.mmap(-1, mmap.PAGESIZE) as memory:
        memory.madvise(POPULATE_WRITE)


def _seal() -> None:
    os.close(os.memfd_create("ray_lite_trial", os.MFD_CLOEXEC | NO_EXECUTE))
