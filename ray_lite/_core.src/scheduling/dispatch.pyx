"""Dispatch: which task a worker takes next, and for which queue another worker would find work.

Neighbours: nesting.pyx (precedence), fits.pyx (what fits), grants.pyx (taking it).  Must not start workers.
"""


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


cdef uint32_t front(rl_region* R, int* rc) noexcept nogil:
    """Lock held. The next queue in turn that fits; those before it that don't are hung up. 0: none, or (MORE) a full log."""
    cdef uint32_t q, k
    while R.h.ready:
        if R.h.nhung and R.h.reserved == 0 and R.h.lent > R.h.nested:
            if rl_log_used(R) > RL_LOG_BUDGET - KEEP_LOG - UNHANG_LOG:
                rc[0] = MORE
                return 0
            reserve_nested(R)
        q = foremost(R)
        k = missing(R, q)
        if k == 0:
            return q
        if rl_log_used(R) > RL_LOG_BUDGET - HANG_LOG - KEEP_LOG:
            rc[0] = MORE
            return 0
        if q == R.h.reserved and queue_at(R, q).hung != k:
            keep_for(R, q, k)  # before the look: what was kept of another kind may be anybody's
        if not look_for(R, q) or rl_log_used(R) > RL_LOG_BUDGET - HANG_LOG - KEEP_LOG:
            rc[0] = MORE
            return 0
        hang(R, q, k)
    return 0


cdef uint32_t idle_suiting(rl_region* R, uint32_t q, bint keyed) noexcept nogil:
    """Lock held. An idle worker that may run tasks of a shape: one that is keyed to it, else (unless `keyed`) a fresh one."""
    cdef uint32_t s = R.h.idle
    cdef uint32_t fresh = 0
    cdef uint32_t _
    if not R.h.keyed and not keyed:
        return s
    for _ in range(<uint32_t>LOOKED_AT):
        if s == 0:
            break
        if suits(R, s, q):
            if rl_slot_at(R, s).keyed or kind_at(R, RL_GPU).total == 0:
                return s
            fresh = fresh if fresh else s
        s = rl_slot_at(R, s).next
    return 0 if keyed else fresh


cdef uint32_t turn_of(rl_region* R, uint32_t slot, int* rc) noexcept nogil:
    """Lock held. The next queue in turn that a worker can serve. 0: none, or (MORE) the log is full."""
    cdef uint32_t q = front(R, rc)
    cdef uint32_t first = q
    cdef bint fresh = kind_at(R, RL_GPU).total and not rl_slot_at(R, slot).keyed
    cdef uint32_t _
    if q == 0 or not R.h.keyed:
        return q
    for _ in range(<uint32_t>LOOKED_AT):
        if suits(R, slot, q) and missing(R, q) == 0 and not (fresh and idle_suiting(R, q, True)):
            return q
        q = queue_at(R, q).next
        if q == first:
            return 0
    return 0


cdef uint32_t wanting(rl_region* R, uint32_t others, bint any_worker, uint32_t* slot) noexcept nogil:
    """Lock held. A queue of which a worker more would find a task, after `others` that are on their way found theirs; and
    the idle worker for it, or none. `any_worker`: only one for which there is such a worker. 0: there is none, or (worker
    RL_MANY) there may be one further on in the ring."""
    cdef uint32_t q = R.h.ready
    cdef uint32_t tasks = 0
    cdef uint32_t _
    slot[0] = 0
    for _ in range(<uint32_t>LOOKED_AT):
        if q == 0:
            return 0
        if fits_beside(R, q, others):
            tasks += queue_at(R, q).length
            slot[0] = idle_suiting(R, q, False)
            if tasks > others and (slot[0] or not any_worker):
                return q
        q = queue_at(R, q).next
        if q == R.h.ready:
            slot[0] = 0
            return 0
    slot[0] = RL_MANY
    return 0


cdef uint32_t take(rl_region* R, uint32_t slot, uint32_t q, uint32_t* owed) noexcept nogil:
    """Lock held. The first task of a queue that fits and suits is RUNNING in a worker; `owed`: a shape to look for, or 0."""
    cdef rl_queue* e = queue_at(R, q)
    cdef uint32_t t = e.head
    if R.h.ready == q and e.next != q:
        rl_set32(R, &R.h.ready, e.next)
    deep_turn(R, q)
    if e.depth == 0 and R.h.waited:
        rl_set64(R, <uint64_t*>&R.h.waited, 0)
    if e.passed:
        rl_set64(R, <uint64_t*>&e.passed, 0)
    if R.h.reserved == q:
        rl_set32(R, &R.h.reserved, 0)
        owed[0] = q
    queue_remove(R, t)
    run_begin(R, t)
    resources_take(R, slot, q)
    if e.listed == RL_UNLISTED:
        owed[0] = q
    return t
