"""Where a queue with tasks stands: in the ready ring (and the ring of its depth), or stalled on a resource.

A queue that is found not to fit leaves the ring and stands on the list of the first resource that it lacks, the smallest demand
first.  So a release looks at the head of one list.  Neighbours: queues.pyx fills and empties queues; rechecks.pyx brings stalled
ones back.
"""
cdef enum:
    HANG_LOG = 15    # log entries that `hang` writes at most
    UNHANG_LOG = 14  # and going back to the ring


cdef void deep_add(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. A queue of nested tasks is in the ring: in that of its depth, too."""
    cdef rl_queue* e = queue_at(R, q)
    cdef uint32_t* head = &R.h.deep[e.depth]
    if e.depth == 0:
        return
    if head[0] == 0:
        rl_set32(R, &e.deep_next, q)
        rl_set32(R, &e.deep_prev, q)
        rl_set32(R, head, q)
        return
    rl_set32(R, &e.deep_next, head[0])
    rl_set32(R, &e.deep_prev, queue_at(R, head[0]).deep_prev)
    rl_set32(R, &queue_at(R, e.deep_prev).deep_next, q)
    rl_set32(R, &queue_at(R, head[0]).deep_prev, q)


cdef void deep_remove(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held."""
    cdef rl_queue* e = queue_at(R, q)
    cdef uint32_t* head = &R.h.deep[e.depth]
    if e.depth == 0:
        return
    if e.deep_next == q:
        rl_set32(R, head, 0)
        return
    rl_set32(R, &queue_at(R, e.deep_prev).deep_next, e.deep_next)
    rl_set32(R, &queue_at(R, e.deep_next).deep_prev, e.deep_prev)
    if head[0] == q:
        rl_set32(R, head, e.deep_next)


cdef void deep_turn(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. A task of the queue is taken: others of its depth are next."""
    cdef rl_queue* e = queue_at(R, q)
    if e.depth and R.h.deep[e.depth] == q and e.deep_next != q:
        rl_set32(R, &R.h.deep[e.depth], e.deep_next)


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
