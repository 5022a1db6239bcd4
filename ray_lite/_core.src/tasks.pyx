"""Tasks: the operations of a task's life, from its submission to the repair after its worker's death.

Each operation is cut into sections of at most RL_LOG_BUDGET log entries.  Must not decide what an outcome means for the user.
"""
from libc.errno cimport EIO
from libc.string cimport memcpy, memset

include "tasks/actor_calls.pyx"
include "tasks/submit_task.pyx"
include "tasks/run_task.pyx"
include "tasks/blocking.pyx"
include "tasks/inline.pyx"
include "tasks/cancel.pyx"
include "tasks/take_call.pyx"
include "tasks/sweep.pyx"
include "tasks/actor_restarts.pyx"
include "tasks/actor_ends.pyx"
include "tasks/job_ends.pyx"
