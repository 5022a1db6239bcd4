"""Scheduling: resources, ready queues, whose turn it is, and who is woken for it.

Mechanism: the rules are fixed and O(1); how many workers there are is policy/scheduler.py's to say.  Must not run or finish a task.
"""
include "scheduling/amounts.pyx"
include "scheduling/gpus.pyx"
include "scheduling/reservation.pyx"
include "scheduling/fits.pyx"
include "scheduling/grants.pyx"
include "scheduling/rings.pyx"
include "scheduling/queues.pyx"
include "scheduling/nesting.pyx"
include "scheduling/rechecks.pyx"
include "scheduling/dispatch.pyx"
include "scheduling/wakeups.pyx"
