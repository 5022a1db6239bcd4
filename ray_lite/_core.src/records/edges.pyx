"""Edges: each argument of a task that is not sealed yet is on the list of its object.

tasks/run_task.pyx drains the list when the object is sealed.
"""


cdef void edge_link(rl_region* R, uint32_t r) noexcept nogil:
    """Lock held. Adds the argument ref `r` to the list of refs that wait for its object."""
    cdef rl_ref* f = ref_at(R, r)
    cdef rl_object* o = object_at(R, f.object)
    rl_set32(R, &f.edge_prev, 0)
    rl_set32(R, &f.edge_next, o.edges)
    if o.edges:
        rl_set32(R, &ref_at(R, o.edges).edge_prev, r)
    rl_set32(R, &o.edges, r)
    rl_set32(R, &f.linked, 1)


cdef void edge_unlink(rl_region* R, uint32_t r) noexcept nogil:
    """Lock held. Takes the argument ref `r` off its object's list."""
    cdef rl_ref* f = ref_at(R, r)
    list_remove(R, &ref_at(R, f.edge_prev).edge_next if f.edge_prev else &object_at(R, f.object).edges,
                &ref_at(R, f.edge_next).edge_prev if f.edge_next else NULL, f.edge_next, f.edge_prev)
    rl_set32(R, &f.linked, 0)


cdef int edges_cut(rl_region* R, rl_task* k, uint32_t room) noexcept nogil:
    """Lock held. Unlinks the edges of a task that will not run. MORE: the log has less room left than `room` entries."""
    cdef uint32_t r = k.refs
    while k.ndeps:
        if rl_log_used(R) > RL_LOG_BUDGET - room:
            return MORE
        if ref_at(R, r).linked:
            edge_unlink(R, r)
            rl_set32(R, &k.ndeps, k.ndeps - 1)
        r = ref_at(R, r).next
    return MORE if rl_log_used(R) > RL_LOG_BUDGET - room else DONE
