"""Precedence of nested tasks: CPUs that blocked tasks free go to nested tasks first, the deepest first.

Otherwise each such CPU would start another parent, which blocks and frees it again, and a program of parents would have a
process for each of them before the first child has run.  As many nested tasks have precedence as tasks are blocked.  Beyond
that all queues take turns, and a top-level task that was passed over for `aging` ns is next.
"""
cdef enum:
    SCAN_LIMIT = 64  # most queues, or idle workers, that one section goes through


cdef uint32_t overdue_toplevel(rl_region* R) noexcept nogil:
    """Lock held. A queue of top-level tasks in the ring, if these were passed over for too long; else 0."""
    cdef uint32_t q = R.j.ready_ring
    cdef uint32_t _
    if R.j.toplevel_waiting_since == 0 or rl_now() - R.j.toplevel_waiting_since < R.h.aging:
        return 0
    for _ in range(<uint32_t>SCAN_LIMIT):
        if queue_at(R, q).depth == 0:
            return q
        q = queue_at(R, q).next
    return 0


cdef uint32_t pick_next(rl_region* R) noexcept nogil:
    """Lock held. The queue of the ring that is served next, if it fits."""
    cdef uint32_t q = overdue_toplevel(R) if R.j.nblocked > R.j.nworking_nested else R.j.ready_ring
    cdef uint32_t depth = RL_DEPTHS
    while q == 0 and depth > 1:
        depth -= 1
        q = R.j.nested_rings[depth]
        if q and R.j.toplevel_waiting_since == 0:
            rl_set64(R, <uint64_t*>&R.j.toplevel_waiting_since, <uint64_t>rl_now())
    return q if q else R.j.ready_ring
