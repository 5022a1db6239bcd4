"""fsck of the rings of traces: each record is where its number says.  They are written without the lock, also now."""


cdef int fsck_trace_ring(rl_region* R, uint32_t slot, rl_finding* f) noexcept nogil:
    """Checks one slot's ring."""
    cdef rl_trace_ring* ring = rl_trace_ring_of(R, slot)
    cdef uint64_t seq
    cdef uint32_t k
    if ring == NULL:
        return 0
    if rl_slot_at(R, slot).trace_since > rl_traces_written(ring):
        return wrong(f, b"traces: begin behind the end", slot, rl_slot_at(R, slot).trace_since, rl_traces_written(ring))
    for k in range(R.h.trace_records):
        seq = rl_trace_seq(ring, k)  # before the count of what was written, which only grows
        if seq and ((seq - 1) & (R.h.trace_records - 1) != k or seq > rl_traces_written(ring)):
            return wrong(f, b"traces: a record in the wrong place", slot, k, seq)
    return 0


cdef int fsck_traces(rl_region* R, rl_finding* f) noexcept nogil:
    """Checks the rings of all slots, also of those that are free."""
    cdef uint32_t i
    if R.h.trace_records & (R.h.trace_records - 1):
        return wrong(f, b"traces: records are no power of two", 0, R.h.trace_records, 0)
    for i in range(1, R.h.slots.used):
        if fsck_trace_ring(R, i, f):
            return 1
    return 0
