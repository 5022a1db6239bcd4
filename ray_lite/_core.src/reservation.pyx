"""The reservation: what is kept for a shape that was passed over for too long, so that it does not starve behind small ones.

What hangs for `aging` ns is noticed by the node, and nested tasks get it at once where parents would swarm; one shape at a
time has it.  It looks for its kinds in a fixed
order, CPU last, and keeps what it found so far and what is freed of the kind that it lacks: so it gets all of them after a
finite time, and no CPU rests while it waits for something else.  Who holds of that kind may wait for a task that needs what is
kept: so the reservation is lifted while nobody works who could give something of it back.
Neighbours: resources.pyx (asks what is kept), turns.pyx (whose turn it is).  Must not choose tasks.
"""
cdef enum:
    KEEP_LOG = 3  # what `keep_for` writes


cdef bint is_lender(rl_region* R, uint32_t slot) noexcept nogil:
    """Lock held. Whether a process holds of the kind that the reserved shape lacks, and works."""
    cdef rl_slot* s = rl_slot_at(R, slot)
    return s.state and s.shape and not s.blocked and demanded(R, s.shape, queue_at(R, R.h.reserved).hung) != 0


cdef void keep_for(rl_region* R, uint32_t q, uint32_t k) noexcept nogil:
    """Lock held. The reservation is a shape's, which lacks a kind. Whoever works and holds of it is counted from now on."""
    cdef uint32_t found = 0
    cdef uint32_t s
    rl_set32(R, &R.h.reserved, q)
    rl_set32(R, &queue_at(R, q).hung, k)
    for s in range(1, R.h.slots.used):
        found += is_lender(R, s)
    rl_set32(R, &R.h.lenders, found)


cdef void lenders_move(rl_region* R, uint32_t shape, int by) noexcept nogil:
    """Lock held. One that holds what a shape demands begins to work, or works no more."""
    if R.h.reserved and demanded(R, shape, queue_at(R, R.h.reserved).hung):
        rl_set32(R, &R.h.lenders, R.h.lenders + by)


cdef bint lifted(rl_region* R) noexcept nogil:
    """Lock held. Whether there is a reservation and it doesn't bind. Of CPUs it always does: who is blocked holds none."""
    cdef uint32_t q = R.h.reserved
    if q == 0 or R.h.lenders:
        return False
    return queue_at(R, q).hung != RL_CPU and not enough(R, q, queue_at(R, q).hung, 1)


cdef bint is_kept(rl_region* R, uint32_t k) noexcept nogil:
    """Lock held. Whether what the reserved shape demands of a kind is kept for it."""
    cdef uint32_t lacks = queue_at(R, R.h.reserved).hung
    return (k == lacks or lacks == RL_CPU or k != RL_CPU and k < lacks) and not lifted(R)


cdef int64_t kept_of(rl_region* R, uint32_t k) noexcept nogil:
    """Lock held. How much of a kept kind; whole GPUs, unless there is room in a shared one."""
    cdef int64_t amount = demanded(R, R.h.reserved, k)
    if k != RL_GPU or amount == 0 or amount >= RL_UNIT:
        return amount
    return 0 if gpu_sharing(R, amount) >= 0 else RL_UNIT


cdef bint may_share(rl_region* R) noexcept nogil:
    """Lock held. Whether who needs a part of a GPU may have it of a shared one, though GPUs are kept: the reserved shape needs
    whole ones and has them, or a part for which no shared one has room."""
    cdef int64_t amount = demanded(R, R.h.reserved, RL_GPU)
    return amount == 0 or queue_at(R, R.h.reserved).hung != RL_GPU and gpu_sharing(R, amount) < 0


# --- who has it ---


cdef void reserve_nested(rl_region* R) noexcept nogil:
    """Lock held. More tasks are blocked than there are CPUs, and a nested one hangs, since too few are free for it: they are
    kept for it at once. Else they would start parents, one each, which lend them again."""
    cdef uint32_t q = kind_at(R, RL_CPU).head
    cdef uint32_t _
    if R.h.lent * <int64_t>RL_UNIT <= kind_at(R, RL_CPU).total or overdue(R):
        return
    for _ in range(<uint32_t>LOOKED_AT):
        if q == 0:
            return
        if queue_at(R, q).depth:
            keep_for(R, q, RL_CPU)
            look_at(R, RL_CPU)
            return
        q = queue_at(R, q).next


cdef uint32_t oldest_hanging(rl_region* R, int64_t since) noexcept nogil:
    """Lock not needed: a hint. The queue that hangs the longest, if it does since before `since`."""
    cdef uint32_t best = 0
    cdef uint32_t q
    cdef int64_t passed
    for q in range(1, rl_load(&R.h.queues.used)):
        passed = <int64_t>rl_load64(<uint64_t*>&queue_at(R, q).passed)
        if rl_load(&queue_at(R, q).listed) == RL_HUNG and passed and passed < since:
            since = passed
            best = q
    return best


cdef int age(rl_region* R) noexcept nogil:
    """Lock not held. The shape that hangs the longest has the reservation, if nobody has it and that is too long."""
    cdef uint32_t q
    if rl_load(&R.h.nhung) == 0 or rl_load(&R.h.reserved):
        return DONE
    q = oldest_hanging(R, rl_now() - R.h.aging)
    if q == 0:
        return DONE
    if rl_lock(R):
        return EIO
    if R.h.reserved == 0 and queue_at(R, q).listed == RL_HUNG:
        keep_for(R, q, queue_at(R, q).hung)
        look_at(R, queue_at(R, q).hung)
    rl_commit(R)
    return rouse_rest(R, 1)
