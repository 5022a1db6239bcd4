# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The core: shared memory, allocator, ids, references, ready sets, tasks and slots. Mechanism only, no policy.

One extension of many files.  Each folder of `_core.src` is a layer with an umbrella file, included here from the bottom up:
calls point to files that are included before.  Must not import anything of the package but ray_lite.exceptions.
"""
include "_core.src/region.pyx"
include "_core.src/memory.pyx"
include "_core.src/records.pyx"
include "_core.src/scheduling.pyx"
include "_core.src/tasks.pyx"
include "_core.src/verify.pyx"
include "_core.src/python.pyx"

DRIVER, NODE, WORKER, ACTOR = RL_DRIVER, RL_NODE, RL_WORKER, RL_ACTOR
TURNS, LIVES = RL_TURNS, RL_LIVES
CPU, GPU, CUSTOM = RL_CPU, RL_GPU, RL_CUSTOM
ERROR = RL_ERROR
PENDING, CREATING, SEALED = RL_PENDING, RL_CREATING, RL_SEALED
NO_INLINE, WRITABLE_ARGS = RL_NO_INLINE, RL_WRITABLE_ARGS

rl_watch_forks()
