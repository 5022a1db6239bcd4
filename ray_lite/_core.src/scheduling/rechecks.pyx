"""Rechecks: when something was released, or a queue left the ring, stalled queues that may fit go back to the ring.

If the head of a resource's list fits as far as that resource goes, some queue of the ring demands that resource, too: so each time
a queue leaves the ring, or something is released or no longer reserved, a recheck of the resources concerned is owed.  What a
process owed when it died is made good by the sweep.
"""


cdef bint recheck_resource(rl_region* R, uint32_t k) noexcept nogil:
    """Lock held. Whose turn it may be, if there is enough of a kind for it: it goes to the ring. False: the log is full."""
    cdef uint32_t q = resource_at(R, k).head
    if q and R.h.reserved_for and queue_at(R, R.h.reserved_for).stalled_on == k and queue_at(R, R.h.reserved_for).listed == RL_STALLED:
        if has_enough(R, R.h.reserved_for, k, 1):
            q = R.h.reserved_for
    if q == 0 or not has_enough(R, q, k, 1):
        return True
    if rl_log_used(R) > RL_LOG_BUDGET - UNSTALL_LOG:
        return False
    unstall(R, q)
    ring_add(R, q)
    return True


cdef bint recheck_shape(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. A look at all kinds that a shape demands. False: the log is full, look again."""
    cdef uint32_t n
    if R.h.nstalled:
        for n in range(resource_count(R, q)):
            if demanded(R, q, nth_resource(R, q, n)) and not recheck_resource(R, nth_resource(R, q, n)):
                return False
    return True


cdef bint recheck_released(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. As above, when something that a shape demands was given back; the reservation may be reservation_lifted by that, too."""
    return recheck_shape(R, q) and (not reservation_lifted(R) or recheck_shape(R, R.h.reserved_for))
