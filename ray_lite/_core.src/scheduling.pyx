"""Scheduling: resources, ready queues, which queue is next, which worker is woken for it, and what actors wait for.

Mechanism only: the rules are fixed and O(1); policy/scheduler.py decides how many workers there are.  Must not run or finish a
task.
"""
from libc.errno cimport EIO
from libc.string cimport memset

include "scheduling/amounts.pyx"
include "scheduling/gpus.pyx"
include "scheduling/jobs.pyx"
include "scheduling/reservation.pyx"
include "scheduling/fits.pyx"
include "scheduling/grants.pyx"
include "scheduling/rings.pyx"
include "scheduling/queues.pyx"
include "scheduling/nesting.pyx"
include "scheduling/rechecks.pyx"
include "scheduling/dispatch.pyx"
include "scheduling/sharing.pyx"
include "scheduling/actor_turns.pyx"
include "scheduling/wakeups.pyx"
include "scheduling/idle_waits.pyx"
