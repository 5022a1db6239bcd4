"""Whose turn it is: the ring of queues that may fit, and the lists on which those hang that don't.

A queue that is found not to fit leaves the ring and hangs on the list of the first kind that it lacks, least demand first.
So whenever the head of a kind's list would fit as far as that kind goes, some queue of the ring demands that kind, too:
when one leaves the ring, or something is given back or kept no more, a look at the heads of the kinds concerned is owed.
What one who died owed is made good by the sweep.  Neighbours: queues.pyx, nesting.pyx (who is foremost), resources.pyx,
reservation.pyx (for whom something is kept), slots.pyx (who is idle).  Must not start workers.
"""
cdef enum:
    LOOKED_AT = 64     # queues and idle workers, where some workers can't serve all shapes
    HANG_LOG = 15      # what each of these writes at most
    UNHANG_LOG = 14


cdef void ring_add(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. The queue has tasks: it is served last in turn."""
    cdef rl_queue* e = queue_at(R, q)
    cdef uint32_t first = R.h.ready
    if first == 0:
        rl_set32(R, &e.next, q)
        rl_set32(R, &e.prev, q)
        rl_set32(R, &R.h.ready, q)
    else:
        rl_set32(R, &e.next, first)
        rl_set32(R, &e.prev, queue_at(R, first).prev)
        rl_set32(R, &queue_at(R, e.prev).next, q)
        rl_set32(R, &queue_at(R, first).prev, q)
    rl_set32(R, &e.listed, RL_IN_RING)
    deep_add(R, q)


cdef void ring_remove(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held."""
    cdef rl_queue* e = queue_at(R, q)
    if e.next == q:
        rl_set32(R, &R.h.ready, 0)
    else:
        rl_set32(R, &queue_at(R, e.prev).next, e.next)
        rl_set32(R, &queue_at(R, e.next).prev, e.prev)
        if R.h.ready == q:
            rl_set32(R, &R.h.ready, e.next)
    rl_set32(R, &e.listed, RL_UNLISTED)
    deep_remove(R, q)


cdef void hang(rl_region* R, uint32_t q, uint32_t k) noexcept nogil:
    """Lock held. A queue of the ring lacks a kind: behind those that demand as much of it."""
    cdef rl_queue* e = queue_at(R, q)
    cdef rl_kind* kind = kind_at(R, k)
    cdef uint32_t before = kind.tail
    cdef uint32_t after
    ring_remove(R, q)
    while before and demanded(R, before, k) > demanded(R, q, k):
        before = queue_at(R, before).prev
    after = queue_at(R, before).next if before else kind.head
    rl_set32(R, &e.prev, before)
    rl_set32(R, &e.next, after)
    rl_set32(R, &queue_at(R, before).next if before else &kind.head, q)
    rl_set32(R, &queue_at(R, after).prev if after else &kind.tail, q)
    rl_set32(R, &e.listed, RL_HUNG)
    rl_set32(R, &e.hung, k)
    rl_set32(R, &R.h.nhung, R.h.nhung + 1)
    if e.passed == 0:
        rl_set64(R, <uint64_t*>&e.passed, <uint64_t>rl_now())


cdef void take_down(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. A hanging queue hangs no more."""
    cdef rl_queue* e = queue_at(R, q)
    cdef rl_kind* kind = kind_at(R, e.hung)
    rl_set32(R, &queue_at(R, e.prev).next if e.prev else &kind.head, e.next)
    rl_set32(R, &queue_at(R, e.next).prev if e.next else &kind.tail, e.prev)
    rl_set32(R, &e.listed, RL_UNLISTED)
    rl_set32(R, &R.h.nhung, R.h.nhung - 1)


cdef void unlist(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. A queue is empty now."""
    if queue_at(R, q).listed == RL_HUNG:
        take_down(R, q)
    else:
        ring_remove(R, q)
    if R.h.reserved == q:
        rl_set32(R, &R.h.reserved, 0)
    if queue_at(R, q).passed:
        rl_set64(R, <uint64_t*>&queue_at(R, q).passed, 0)


# --- looks ---


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


cdef int look_owed(rl_region* R, uint32_t q) noexcept nogil:
    """Lock not held. The look owed for a shape (0: none) of which something was given back, or that left the ring. Also when
    nothing hangs: in the ring there may be what did not fit before, and nobody came to see it."""
    cdef uint32_t left = 0
    cdef bint done = q == 0
    while not done and rl_load(&R.h.nready):
        if rl_lock(R):
            return EIO
        done = look_back(R, q)
        left += rouse(R, R.h.nready)
        rl_commit(R)
    return rouse_rest(R, left)


cdef int look_everywhere(rl_region* R) noexcept nogil:
    """Lock not held. After a death: at all kinds, since the dead may have owed a look at any."""
    cdef uint32_t k = RL_CPU
    cdef bint done
    while k < R.h.kinds.used and rl_load(&R.h.nhung):
        if rl_lock(R):
            return EIO
        done = True
        while done and k < R.h.kinds.used:
            done = look_at(R, k)
            k += done
        rl_commit(R)
        rl_failpoint(R, b"look.chunk")
    return rouse_rest(R, rl_load(&R.h.nready))


# --- turns ---


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
