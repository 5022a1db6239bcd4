"""Idle workers: their list, and how one waits for work: it spins, then parks, which means that it sleeps in the kernel.

The list is kept under the lock, with the worker that became idle last at its head.  A process that makes a task READY takes a
suitable worker off the list and rings its bell (scheduling/wakeups.pyx), so no wake-up is lost and no worker polls.
Neighbour: region/states.h (BUSY, IDLE, STARTING, RUNG).  Must not decide how long a worker spins or stays.
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


cdef int bell_wait(rl_region* R, uint32_t bell, int64_t spin, int64_t park) noexcept nogil:
    """Waits until this process's bell is no longer `bell`: spins for `spin` ns, then sleeps for at most `park` ns. DONE (rung),
    ETIMEDOUT or EINTR."""
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    cdef uint32_t k = 0
    cdef int64_t until = rl_now() + spin
    cdef int rc
    while spin > 0 and rl_load(&me.bell) == bell:
        rl_pause()
        k += 1
        if k & 31 == 0 and rl_now() >= until:
            break
        if k & 127 == 0:
            sched_yield()  # a process that this worker just woke may wait for the same CPU
    if rl_load(&me.bell) != bell:
        return DONE
    rl_store(&me.parked, 1)  # announced before the kernel compares the bell: pairs with rl_publish_one
    rl_failpoint(R, b"park.sleep")
    rc = rl_futex_wait(&me.bell, bell, park)
    rl_store(&me.parked, 0)
    if rl_load(&me.bell) != bell:
        return DONE
    return rc if rc else DONE


cdef int idle_wait(rl_region* R, int64_t spin, int64_t park) noexcept nogil:
    """Waits for this idle worker's bell: spins for `spin` ns, then sleeps for at most `park` ns. DONE (rung), ETIMEDOUT or
    EINTR."""
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    cdef uint32_t bell = rl_load(&me.bell)
    if rl_load(&me.availability) != RL_IDLE or rl_load(&me.leaving) or rl_load(&R.j.closing):
        return DONE  # the bell may have rung before it was loaded
    return bell_wait(R, bell, spin, park)
