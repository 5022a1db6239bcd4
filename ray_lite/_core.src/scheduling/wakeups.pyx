"""Wake-ups: idle workers are rung for tasks that became READY, and the node when another worker could run.

Also the rechecks that are owed after a section, and ageing: each may bring tasks into the ring for which somebody must be rung.
Neighbours: dispatch.pyx (who would find work), records/slots.pyx (who is idle).  Must not start workers.
"""


cdef uint32_t wake_workers(rl_region* R, uint32_t wanted) noexcept nogil:
    """Lock held. Rings idle workers for newly READY tasks, or the node when more workers could run; how many are left
    for another section, because this one's log or stage is full."""
    cdef uint32_t slot = 0
    cdef uint32_t stalled_on
    cdef int rc = DONE
    while wanted and R.h.idle_first:
        if pick_unserved(R, R.h.ncoming, True, &slot) == 0:
            stalled_on = R.h.nstalled
            if R.h.ncoming or slot != RL_MANY:  # whoever comes looks himself
                break
            if pick_fitting(R, &rc) == 0:
                return wanted if rc == MORE else 0
            if R.h.nstalled == stalled_on:  # what the first ones need nobody here can do; the node starts somebody who can
                break
            continue
        if rl_staged_full(R) or rl_log_used(R) >= RL_LOG_BUDGET - IDLE_LOG:
            return wanted
        idle_remove(R, slot, RL_RUNG)
        rl_stage_up(R, RL_PUBLISH_BELL, slot, 0)
        wanted -= 1
    if rl_slot_at(R, R.slot).role == RL_NODE or wanted == 0 or R.h.nstarting:
        return 0  # the node looks before it sleeps; who starts looks himself
    if R.h.idle_first == 0 and R.h.nworking and rl_load(&R.h.at_limit):
        return 0  # it can start nobody, and need not look whether everybody waits in vain
    if pick_unserved(R, R.h.ncoming, False, &slot) and slot == 0:
        rl_owe_node()
    return 0


cdef int wake_workers_unlocked(rl_region* R, uint32_t wanted) noexcept nogil:
    """Lock not held. Rings whom earlier sections had no room for."""
    while wanted:
        if rl_lock(R):
            return EIO
        wanted = wake_workers(R, min(wanted, R.h.nready))
        rl_commit(R)
    return DONE


cdef int recheck_owed(rl_region* R, uint32_t q) noexcept nogil:
    """Lock not held. The look owed for a shape (0: none) of which something was given back, or that left the ring. Also when
    nothing hangs: in the ring there may be what did not fit before, and nobody came to see it."""
    cdef uint32_t left = 0
    cdef bint done = q == 0
    while not done and rl_load(&R.h.nready):
        if rl_lock(R):
            return EIO
        done = recheck_released(R, q)
        left += wake_workers(R, R.h.nready)
        rl_commit(R)
    return wake_workers_unlocked(R, left)


cdef int recheck_all(rl_region* R) noexcept nogil:
    """Lock not held. After a death: at all kinds, since the dead may have owed a look at any."""
    cdef uint32_t k = RL_CPU
    cdef bint done
    while k < R.h.resources.used and rl_load(&R.h.nstalled):
        if rl_lock(R):
            return EIO
        done = True
        while done and k < R.h.resources.used:
            done = recheck_resource(R, k)
            k += done
        rl_commit(R)
        rl_failpoint(R, b"look.chunk")
    return wake_workers_unlocked(R, rl_load(&R.h.nready))


cdef uint32_t longest_stalled(rl_region* R, int64_t since) noexcept nogil:
    """Lock not needed: a hint. The queue that hangs the longest, if it does since before `since`."""
    cdef uint32_t best = 0
    cdef uint32_t q
    cdef int64_t stalled_since
    for q in range(1, rl_load(&R.h.queues.used)):
        stalled_since = <int64_t>rl_load64(<uint64_t*>&queue_at(R, q).stalled_since)
        if rl_load(&queue_at(R, q).listed) == RL_STALLED and stalled_since and stalled_since < since:
            since = stalled_since
            best = q
    return best


cdef int age(rl_region* R) noexcept nogil:
    """Lock not held. The shape that hangs the longest has the reservation, if nobody has it and that is too long."""
    cdef uint32_t q
    if rl_load(&R.h.nstalled) == 0 or rl_load(&R.h.reserved_for):
        return DONE
    q = longest_stalled(R, rl_now() - R.h.aging)
    if q == 0:
        return DONE
    if rl_lock(R):
        return EIO
    if R.h.reserved_for == 0 and queue_at(R, q).listed == RL_STALLED:
        reserve_for(R, q, queue_at(R, q).stalled_on)
        recheck_resource(R, queue_at(R, q).stalled_on)
    rl_commit(R)
    return wake_workers_unlocked(R, 1)


cdef int idle_leave(rl_region* R) noexcept nogil:
    """The worker stands idle no more: it retires. If it was rung, another is."""
    if rl_lock(R):
        return EIO
    worker_arrived(R, rl_slot_at(R, R.slot))
    if rl_slot_at(R, R.slot).availability == RL_IDLE:
        idle_remove(R, R.slot, RL_BUSY)
    rl_commit(R)
    rl_failpoint(R, b"leave.wake_workers")
    return wake_workers_unlocked(R, rl_load(&R.h.nready))
