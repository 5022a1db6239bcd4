"""Rechecks: when something was released, or a queue left the ring, stalled queues that may fit go back to the ring.

If the head of a resource's list fits as far as that resource goes, some queue of the ring demands that resource, too: so each time
a queue leaves the ring, or something is released or no longer reserved, a recheck of the resources concerned is owed.  What a
process owed when it died is made good by the sweep.
"""


cdef bint look_at(rl_region* R, uint32_t k) noexcept nogil:
    """Lock held. Whose turn it may be, if there is enough of a kind for it: it goes to the ring. False: the log is full."""
    cdef uint32_t q = kind_at(R, k).head
    if q and R.h.reserved and queue_at(R, R.h.reserved).hung == k and queue_at(R, R.h.reserved).listed == RL_HUNG:
        if enough(R, R.h.reserved, k, 1):
            q = R.h.reserved
    if q == 0 or not enough(R, q, k, 1):
        return True
    if rl_log_used(R) > RL_LOG_BUDGET - UNHANG_LOG:
        return False
    take_down(R, q)
    ring_add(R, q)
    return True


cdef bint look_for(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. A look at all kinds that a shape demands. False: the log is full, look again."""
    cdef uint32_t n
    if R.h.nhung:
        for n in range(kinds_of(R, q)):
            if demanded(R, q, kind_of(R, q, n)) and not look_at(R, kind_of(R, q, n)):
                return False
    return True


cdef bint look_back(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. As above, when something that a shape demands was given back; the reservation may be lifted by that, too."""
    return look_for(R, q) and (not lifted(R) or look_for(R, R.h.reserved))
