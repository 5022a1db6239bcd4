"""Dispatch: which task a worker takes next, and for which queue another worker would find work.

Neighbours: nesting.pyx (precedence), fits.pyx (what fits), grants.pyx (taking it).  Must not start workers.
"""


cdef void reserve_nested(rl_region* R) noexcept nogil:
    """Lock held. Gives the reservation at once to a nested queue that is stalled on CPUs, if more workers are blocked than
    there are CPUs. Otherwise the free CPUs would start parents, one after the other, which block and free them again."""
    cdef uint32_t q = resource_at(R, RL_CPU).head
    cdef uint32_t _
    if R.j.nblocked * <int64_t>RL_UNIT <= resource_at(R, RL_CPU).total or overdue_toplevel(R):
        return
    for _ in range(<uint32_t>SCAN_LIMIT):
        if q == 0:
            return
        if queue_at(R, q).depth:
            reserve_for(R, q, RL_CPU)
            recheck_resource(R, RL_CPU)
            return
        q = queue_at(R, q).next


cdef bint stall_lacking(rl_region* R, uint32_t q, uint32_t k) noexcept nogil:
    """Lock held. Takes a queue that lacks resource `k` out of its ring. False: the log is full, and it is still there."""
    if rl_log_used(R) > RL_LOG_BUDGET - STALL_LOG - RESERVE_LOG:
        return False
    if q == R.h.reserved_for and queue_at(R, q).stalled_on != k:
        reserve_for(R, q, k)  # before the recheck: what was kept of another resource may be free for all now
    if not recheck_shape(R, q) or rl_log_used(R) > RL_LOG_BUDGET - STALL_LOG - RESERVE_LOG:
        return False
    stall(R, q, k)
    return True


cdef uint32_t pick_fitting(rl_region* R, int* rc) noexcept nogil:
    """Lock held. The next queue in turn that fits; stalls those before it, which don't. 0: none fits, or (MORE) the log is
    full."""
    cdef uint32_t q, k
    while R.j.ready_ring:
        if R.h.nstalled and R.h.reserved_for == 0 and R.j.nblocked > R.j.nworking_nested:
            if rl_log_used(R) > RL_LOG_BUDGET - RESERVE_LOG - UNSTALL_LOG:
                rc[0] = MORE
                return 0
            reserve_nested(R)
        q = pick_next(R)
        k = lacking_resource(R, q)
        if k == 0:
            return q
        if not stall_lacking(R, q, k):
            rc[0] = MORE
            return 0
    return 0


cdef uint32_t idle_suitable(rl_region* R, uint32_t q, bint keyed) noexcept nogil:
    """Lock held. An idle worker that may run tasks of a shape: one bound to the right GPUs, else (unless `keyed`) a fresh
    one."""
    cdef uint32_t s = R.j.idle_first
    cdef uint32_t fresh = 0
    cdef uint32_t _
    if not R.j.workers_differ and not keyed:
        return s
    for _ in range(<uint32_t>SCAN_LIMIT):
        if s == 0:
            break
        if suits_worker(R, s, q):
            if rl_slot_at(R, s).gpu_bound or resource_at(R, RL_GPU).total == 0:
                return s
            fresh = fresh if fresh else s
        s = rl_slot_at(R, s).next
    return 0 if keyed else fresh


cdef uint32_t pick_for_worker(rl_region* R, uint32_t slot, int* rc) noexcept nogil:
    """Lock held. The next queue in turn that a worker can serve. 0: there is none, or (MORE) the log is full."""
    cdef uint32_t q = pick_fitting(R, rc)
    cdef uint32_t first = q
    cdef bint fresh = resource_at(R, RL_GPU).total and not rl_slot_at(R, slot).gpu_bound
    cdef uint32_t _
    if q == 0 or not R.j.workers_differ:
        return q
    for _ in range(<uint32_t>SCAN_LIMIT):
        if suits_worker(R, slot, q) and lacking_resource(R, q) == 0 and not (fresh and idle_suitable(R, q, True)):
            return q
        q = queue_at(R, q).next
        if q == first:
            return 0
    return 0


cdef uint32_t pick_unserved(rl_region* R, uint32_t others, bint any_worker, uint32_t* slot) noexcept nogil:
    """Lock held. A queue in which one more worker would find a task, after `others` workers on their way have taken theirs;
    `slot`: the idle worker for it, or 0. `any_worker`: only a queue for which there is an idle worker. 0: there is none, or
    (`slot` is RL_MANY) there may be one further on in the ring."""
    cdef uint32_t q = R.j.ready_ring
    cdef uint32_t tasks = 0
    cdef uint32_t _
    slot[0] = 0
    for _ in range(<uint32_t>SCAN_LIMIT):
        if q == 0:
            return 0
        if fits_after(R, q, others):
            tasks += queue_at(R, q).length
            slot[0] = idle_suitable(R, q, False)
            if tasks > others and (slot[0] or not any_worker):
                return q
        q = queue_at(R, q).next
        if q == R.j.ready_ring:
            slot[0] = 0
            return 0
    slot[0] = RL_MANY
    return 0


cdef uint32_t take_task(rl_region* R, uint32_t slot, uint32_t q, uint32_t* owed) noexcept nogil:
    """Lock held. Makes a queue's first task, which fits and suits, RUNNING in a worker; `owed`: a shape to recheck, or 0."""
    cdef rl_queue* e = queue_at(R, q)
    cdef uint32_t t = e.head
    if R.j.ready_ring == q and e.next != q:
        rl_set32(R, &R.j.ready_ring, e.next)
    nested_ring_turn(R, q)
    if e.depth == 0 and R.j.toplevel_waiting_since:
        rl_set64(R, <uint64_t*>&R.j.toplevel_waiting_since, 0)
    if e.stalled_since:
        rl_set64(R, <uint64_t*>&e.stalled_since, 0)
    if R.j.turn_given != RL_TURN_NONE:
        rl_set32(R, &R.j.turn_given, RL_TURN_NONE)
    if R.h.reserved_for == q:
        rl_set32(R, &R.h.reserved_for, 0)
        owed[0] = q
    queue_remove(R, t)
    run_begin(R, t)
    grant(R, slot, q)
    if e.listed == RL_UNLISTED:
        owed[0] = q
    return t
