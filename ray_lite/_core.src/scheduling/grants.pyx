"""Granting: a worker takes what its outermost task demands, and gives it back; and how many workers work or are blocked."""
cdef enum:
    TAKE_LOG = 26  # log entries that taking a task writes at most, its resources apart


cdef void work_move(rl_region* R, uint32_t shape, int by) noexcept nogil:
    """Lock held. A worker whose outermost task is of this queue begins to work, or works no more."""
    lenders_move(R, shape, by)
    rl_set32(R, &R.h.working, R.h.working + by)
    if queue_at(R, shape).depth:
        rl_set32(R, &R.h.nested, R.h.nested + by)


cdef void lent_move(rl_region* R, int by) noexcept nogil:
    """Lock held. A worker is blocked, or no more."""
    rl_set32(R, &R.h.lent, R.h.lent + by)


cdef uint32_t take_log(rl_region* R, uint32_t q) noexcept nogil:
    """What taking a task of a shape writes at most."""
    cdef uint32_t kinds = 2 if is_whale(R, q) else queue_at(R, q).count
    return TAKE_LOG + kinds + (GPU_LOG if kind_at(R, RL_GPU).total else 0)


cdef uint32_t give_log(rl_region* R, uint32_t slot) noexcept nogil:
    """What `resources_give` writes at most."""
    cdef uint32_t q = rl_slot_at(R, slot).shape
    if q == 0:
        return 0
    return 6 + (GPU_LOG if queue_at(R, q).gpus else 0) + min(queue_at(R, q).count, <uint32_t>DEMANDS_COUNTED)


cdef void customs_move(rl_region* R, uint32_t slot, uint32_t q, bint take) noexcept nogil:
    """Lock held. Custom kinds are counted, or a whale goes on or off the list."""
    cdef rl_queue* e = queue_at(R, q)
    cdef uint32_t* at = &R.h.whales
    cdef uint32_t d
    if not is_whale(R, q):
        for d in range(e.first, e.first + e.count):
            kind_move(R, demand_at(R, d).kind, -demand_at(R, d).amount if take else demand_at(R, d).amount)
    elif take:
        rl_set32(R, &rl_slot_at(R, slot).whale, R.h.whales)
        rl_set32(R, &R.h.whales, slot)
    else:
        while at[0] != slot:
            at = &rl_slot_at(R, at[0]).whale
        rl_set32(R, at, rl_slot_at(R, slot).whale)


cdef void resources_take(rl_region* R, uint32_t slot, uint32_t q) noexcept nogil:
    """Lock held. A worker that holds nothing takes what its first task demands; it fits, and suits."""
    cdef rl_slot* s = rl_slot_at(R, slot)
    cdef rl_queue* e = queue_at(R, q)
    rl_set32(R, &s.shape, q)
    kind_move(R, RL_CPU, -e.cpus)
    if kind_at(R, RL_GPU).total and not s.keyed:
        rl_set32(R, &s.keyed, 1)
        if e.gpus:
            choose_gpus(R, s, e.gpus)
    if e.gpus:
        gpus_move(R, s, e.gpus, True)
    customs_move(R, slot, q, True)
    work_move(R, q, 1)


cdef void resources_give(rl_region* R, uint32_t slot) noexcept nogil:
    """Lock held. A worker gives back what it holds; what it lent while it was blocked is free already."""
    cdef rl_slot* s = rl_slot_at(R, slot)
    cdef rl_queue* e = queue_at(R, s.shape)
    if s.shape == 0:
        return
    if not s.blocked:
        kind_move(R, RL_CPU, e.cpus)
        work_move(R, s.shape, -1)
    else:
        lent_move(R, -1)
    if e.gpus:
        gpus_move(R, s, e.gpus, False)
    customs_move(R, slot, s.shape, False)
    rl_set32(R, &s.shape, 0)
