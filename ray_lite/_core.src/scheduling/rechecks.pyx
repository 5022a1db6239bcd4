"""Rechecks: when something was released, or a queue left the ring, stalled queues that may fit go back to the ring.

If enough of a resource is free for the head of its list, some queue of the ready ring or of TURNS demands that resource, too.
To keep this true, a recheck of the resources concerned is owed each time a queue leaves the ring, or something is released or
no longer reserved.  If a process dies owing a recheck, the sweep rechecks all resources.
"""


cdef uint32_t unstallable(rl_region* R, uint32_t k) noexcept nogil:
    """Lock held. The queue stalled on a resource that goes back to its ring: the one that has the reservation, or the next, if
    enough of the resource is free for it; else 0."""
    cdef uint32_t q = resource_at(R, k).head
    cdef rl_queue* e = queue_at(R, R.h.reserved_for)
    if q and R.h.reserved_for and e.stalled_on == k and e.listed == RL_STALLED and has_enough(R, R.h.reserved_for, k, 1):
        return R.h.reserved_for
    return q if q and has_enough(R, q, k, 1) else 0


cdef bint recheck_resource(rl_region* R, uint32_t k) noexcept nogil:
    """Lock held. Moves the next queue that is stalled on a resource, or the one that has the reservation, to its ring if enough
    of it is free. An actor that can be started may stay there for long, and a queue of another job, too: then the next queue
    goes as well. False: the log is full."""
    cdef uint32_t q = unstallable(R, k)
    while q:
        if rl_log_used(R) > RL_LOG_BUDGET - UNSTALL_LOG:
            return False
        unstall(R, q)
        ring_add(R, q)
        if queue_at(R, q).job != R.job:
            rl_owe_job(R, queue_at(R, q).job)
        q = unstallable(R, k) if queue_at(R, q).members == RL_LIVES or queue_at(R, q).job != R.job else 0
    return True


cdef bint recheck_shape(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. Rechecks all resources that a shape demands. False: the log is full, and the recheck must be repeated."""
    cdef uint32_t n
    if R.h.nstalled:
        for n in range(resource_count(R, q)):
            if demanded(R, q, nth_resource(R, q, n)) and not recheck_resource(R, nth_resource(R, q, n)):
                return False
    return True


cdef bint recheck_released(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. Rechecks a shape's resources after something that it demands was released. If that lifts the reservation, also
    those of the reserved shape. False: the log is full."""
    return recheck_shape(R, q) and (not reservation_lifted(R) or recheck_shape(R, R.h.reserved_for))
