"""Grants: a worker takes what its outermost task demands, and releases it; counts of workers that work or are blocked.

The process of an actor gets its CPUs for a turn of calls in the same way; what it holds for life is apart from that (`held`):
nobody waits for it to be released, so it counts neither as working nor for the reservation.
"""
cdef enum:
    GRANT_LOG = 26  # log entries that taking a task writes at most, without those for its resources


cdef void count_working(rl_region* R, uint32_t shape, int by) noexcept nogil:
    """Lock held. Counts a worker whose outermost task is of this queue, and which begins (`by` 1) or stops (-1) working."""
    cdef rl_job* j = rl_job_at(R, queue_at(R, shape).job)
    count_working_holders(R, shape, by)
    rl_set32(R, &j.nworking, j.nworking + by)
    if queue_at(R, shape).depth:
        rl_set32(R, &j.nworking_nested, j.nworking_nested + by)


cdef void count_held(rl_region* R, uint32_t q, int by) noexcept nogil:
    """Lock held. Counts the CPUs of an actor that begins (`by` 1) or stops (-1) holding them for life."""
    if queue_at(R, q).cpus:
        rl_set64(R, <uint64_t*>&R.h.cpus_held, <uint64_t>(R.h.cpus_held + by * queue_at(R, q).cpus))


cdef void count_blocked(rl_region* R, rl_slot* s, int by) noexcept nogil:
    """Lock held. Counts a worker that is blocked from now on (`by` 1), or no longer (-1)."""
    cdef rl_job* j = rl_job_at(R, s.job)
    rl_set32(R, &j.nblocked, j.nblocked + by)


cdef uint32_t grant_log(rl_region* R, uint32_t q) noexcept nogil:
    """Log entries that taking a task of a shape writes at most."""
    cdef uint32_t kinds = 2 if is_wide(R, q) else queue_at(R, q).count
    return GRANT_LOG + kinds + (GPU_LOG if resource_at(R, RL_GPU).total else 0)


cdef uint32_t release_log(rl_region* R, uint32_t slot) noexcept nogil:
    """Log entries that `release` writes at most."""
    cdef uint32_t q = holding(rl_slot_at(R, slot))
    if q == 0:
        return 0
    return 6 + (GPU_LOG if queue_at(R, q).gpus else 0) + min(queue_at(R, q).count, <uint32_t>DEMANDS_COUNTED)


cdef void grant_custom(rl_region* R, uint32_t slot, uint32_t q, bint take) noexcept nogil:
    """Lock held. Takes or releases the custom resources of a shape: counts them, or, for a wide shape, lists the slot."""
    cdef rl_queue* e = queue_at(R, q)
    cdef uint32_t* at = &R.h.wide_holders
    cdef uint32_t d
    if not is_wide(R, q):
        for d in range(e.first, e.first + e.count):
            resource_add(R, demand_at(R, d).resource, -demand_at(R, d).amount if take else demand_at(R, d).amount)
    elif take:
        rl_set32(R, &rl_slot_at(R, slot).next_wide, R.h.wide_holders)
        rl_set32(R, &R.h.wide_holders, slot)
    else:
        while at[0] != slot:
            at = &rl_slot_at(R, at[0]).next_wide
        rl_set32(R, at, rl_slot_at(R, slot).next_wide)


cdef void grant_all(rl_region* R, uint32_t slot, uint32_t q) noexcept nogil:
    """Lock held. Takes for a process that holds nothing all that a shape demands, which fits and suits."""
    cdef rl_slot* s = rl_slot_at(R, slot)
    cdef rl_queue* e = queue_at(R, q)
    resource_add(R, RL_CPU, -e.cpus)
    if resource_at(R, RL_GPU).total and not s.gpu_bound:
        rl_set32(R, &s.gpu_bound, 1)
        if e.gpus:
            gpus_choose(R, s, e.gpus)
    if e.gpus:
        grant_gpus(R, s, e.gpus, True)
    if e.count:
        grant_custom(R, slot, q, True)


cdef void grant(rl_region* R, uint32_t slot, uint32_t q) noexcept nogil:
    """Lock held. Grants a process what its first task, or a turn of calls, demands, which fits and suits."""
    rl_set32(R, &rl_slot_at(R, slot).shape, q)
    grant_all(R, slot, q)
    count_working(R, q, 1)


cdef void life_grant(rl_region* R, uint32_t slot, uint32_t q) noexcept nogil:
    """Lock held. Grants the process of an actor what that holds for life, which fits."""
    if queue_at(R, q).cpus == 0 and queue_at(R, q).gpus == 0 and queue_at(R, q).count == 0:
        return
    rl_set32(R, &rl_slot_at(R, slot).held, q)
    grant_all(R, slot, q)
    count_held(R, q, 1)


cdef void loan_end(rl_region* R, rl_slot* s) noexcept nogil:
    """Lock held. Ends the loan of the CPUs of a process, if they are lent."""
    if s.lent:
        rl_set32(R, &s.lent, 0)
        rl_set32(R, &s.blocked, s.blocked - 1)


cdef void release(rl_region* R, uint32_t slot, uint32_t* q) noexcept nogil:
    """Lock held. Releases what a process holds. If it is blocked, its CPUs are free already; a loan of them ends.

    `q`: its `shape` (what it holds for a task or a turn) or `held` (for life).
    """
    cdef rl_slot* s = rl_slot_at(R, slot)
    cdef rl_queue* e = queue_at(R, q[0])
    if q[0] == 0:
        return
    if s.blocked:
        count_blocked(R, s, -1)
        loan_end(R, s)
    else:
        resource_add(R, RL_CPU, e.cpus)
        if q == &s.held:
            count_held(R, q[0], -1)
        else:
            count_working(R, q[0], -1)
    if e.gpus:
        grant_gpus(R, s, e.gpus, False)
    if e.count:
        grant_custom(R, slot, q[0], False)
    rl_set32(R, q, 0)


cdef void grant_release(rl_region* R, uint32_t slot) noexcept nogil:
    """Lock held. Releases what a process holds for a task or a turn of calls."""
    release(R, slot, &rl_slot_at(R, slot).shape)
