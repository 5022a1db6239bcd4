"""Idle workers: their list.

The list is kept under the lock, with the worker that became idle last at its head.  A process that makes a task READY takes a
suitable worker off the list and rings its bell (scheduling/wakeups.pyx), so no wake-up is lost and no worker polls.
Neighbours: region/states.h (BUSY, IDLE, STARTING, RUNG); scheduling/idle_waits.pyx (how one waits).  Must not decide how long a
worker stays.
"""
cdef enum:
    IDLE_LOG = 7  # log entries that joining the idle list, leaving it, or being rung writes at most


cdef void idle_add(rl_region* R, uint32_t slot) noexcept nogil:
    """Lock held. Adds the worker to the idle list."""
    cdef rl_slot* s = rl_slot_at(R, slot)
    cdef rl_job* j = rl_job_at(R, s.job)
    rl_set32(R, &s.next, j.idle_first)
    rl_set32(R, &s.prev, 0)
    rl_set32(R, &rl_slot_at(R, j.idle_first).prev if j.idle_first else &j.idle_last, slot)
    rl_set64(R, <uint64_t*>&s.since, <uint64_t>rl_now())
    rl_set32(R, &j.idle_first, slot)
    rl_worker_become(R, s, RL_IDLE)


cdef void idle_remove(rl_region* R, uint32_t slot, uint32_t to) noexcept nogil:
    """Lock held. Takes the worker off the idle list: it leaves by itself (BUSY) or is rung (RUNG)."""
    cdef rl_slot* s = rl_slot_at(R, slot)
    cdef rl_job* j = rl_job_at(R, s.job)
    list_remove(R, &rl_slot_at(R, s.prev).next if s.prev else &j.idle_first,
                &rl_slot_at(R, s.next).prev if s.next else &j.idle_last, s.next, s.prev)
    rl_worker_become(R, s, to)


cdef void worker_arrived(rl_region* R, rl_slot* s) noexcept nogil:
    """Lock held. Ends the state RUNG of a worker that has arrived (or died)."""
    if s.availability == RL_RUNG:
        rl_worker_become(R, s, RL_BUSY)
