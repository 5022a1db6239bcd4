"""Where a queue with members is listed: in the ready ring (and the ring of its depth) or, if its members are actors, in one of
their two rings; or stalled on a resource.

A queue that does not fit leaves the ring and joins the list of the first resource that it lacks, the smallest demand first.  So
after a release only the head of one list is checked.  Neighbours: queues.pyx fills and empties queues; rechecks.pyx brings
stalled ones back.
"""
cdef enum:
    STALL_LOG = 15    # log entries that `stall` writes at most
    UNSTALL_LOG = 14  # log entries that `unstall` and `ring_add` write at most


cdef void nested_ring_add(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. Adds a queue of nested tasks, which is in the ready ring, to the ring of its depth."""
    cdef rl_queue* e = queue_at(R, q)
    cdef uint32_t* head = &rl_job_at(R, e.job).nested_rings[e.depth]
    if e.depth == 0:
        return
    if head[0] == 0:
        rl_set32(R, &e.nested_next, q)
        rl_set32(R, &e.nested_prev, q)
        rl_set32(R, head, q)
        return
    rl_set32(R, &e.nested_next, head[0])
    rl_set32(R, &e.nested_prev, queue_at(R, head[0]).nested_prev)
    rl_set32(R, &queue_at(R, e.nested_prev).nested_next, q)
    rl_set32(R, &queue_at(R, head[0]).nested_prev, q)


cdef void nested_ring_remove(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. Takes a queue of nested tasks out of the ring of its depth."""
    cdef rl_queue* e = queue_at(R, q)
    cdef uint32_t* head = &rl_job_at(R, e.job).nested_rings[e.depth]
    if e.depth == 0:
        return
    if e.nested_next == q:
        rl_set32(R, head, 0)
        return
    rl_set32(R, &queue_at(R, e.nested_prev).nested_next, e.nested_next)
    rl_set32(R, &queue_at(R, e.nested_next).nested_prev, e.nested_prev)
    if head[0] == q:
        rl_set32(R, head, e.nested_next)


cdef void nested_ring_turn(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. Turns the ring of a queue's depth after a task of the queue was taken: another queue is next."""
    cdef rl_queue* e = queue_at(R, q)
    cdef uint32_t* head = &rl_job_at(R, e.job).nested_rings[e.depth]
    if e.depth and head[0] == q and e.nested_next != q:
        rl_set32(R, head, e.nested_next)


cdef inline void let_node_look(rl_region* R, uint32_t job) noexcept nogil:
    """Lock held. Rings the job's node if it does not look already: somebody waits, perhaps for what an actor holds for life."""
    cdef rl_job* j = rl_job_at(R, job)
    if j.node_looks == 0 and rl_log_used(R) < RL_LOG_BUDGET:
        rl_set32(R, &j.node_looks, 1)
        rl_owe_node_of(job)


cdef inline uint32_t* ring_of(rl_region* R, rl_queue* e) noexcept nogil:
    """The ring to which a queue belongs: the ready ring of its job, or one of the two for queues of actors."""
    cdef rl_job* j = rl_job_at(R, e.job)
    if e.members == RL_TASKS:
        return &j.ready_ring
    return &j.turn_ring if e.members == RL_TURNS else &j.life_ring


cdef void ring_add(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. Adds a queue that has members to its ring, as the last to be served."""
    cdef rl_queue* e = queue_at(R, q)
    cdef uint32_t* ring = ring_of(R, e)
    cdef uint32_t first = ring[0]
    if first == 0:
        rl_set32(R, &e.next, q)
        rl_set32(R, &e.prev, q)
        rl_set32(R, ring, q)
    else:
        rl_set32(R, &e.next, first)
        rl_set32(R, &e.prev, queue_at(R, first).prev)
        rl_set32(R, &queue_at(R, e.prev).next, q)
        rl_set32(R, &queue_at(R, first).prev, q)
    rl_set32(R, &e.listed, RL_IN_RING)
    nested_ring_add(R, q)


cdef void ring_remove(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. Takes a queue out of its ring."""
    cdef rl_queue* e = queue_at(R, q)
    cdef uint32_t* ring = ring_of(R, e)
    if e.next == q:
        rl_set32(R, ring, 0)
    else:
        list_remove(R, &queue_at(R, e.prev).next, &queue_at(R, e.next).prev, e.next, e.prev)
        if ring[0] == q:
            rl_set32(R, ring, e.next)
    rl_set32(R, &e.listed, RL_UNLISTED)
    nested_ring_remove(R, q)


cdef void stall(rl_region* R, uint32_t q, uint32_t k) noexcept nogil:
    """Lock held. Moves a queue from the ring to the list of a resource that it lacks, behind the queues that demand as much."""
    cdef rl_queue* e = queue_at(R, q)
    cdef rl_resource* kind = resource_at(R, k)
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
    rl_set32(R, &e.listed, RL_STALLED)
    rl_set32(R, &e.stalled_on, k)
    rl_set32(R, &R.h.nstalled, R.h.nstalled + 1)
    if e.stalled_since == 0:
        rl_set64(R, <uint64_t*>&e.stalled_since, <uint64_t>rl_now())


cdef void unstall(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. Takes a stalled queue off its resource's list."""
    cdef rl_queue* e = queue_at(R, q)
    cdef rl_resource* kind = resource_at(R, e.stalled_on)
    list_remove(R, &queue_at(R, e.prev).next if e.prev else &kind.head, &queue_at(R, e.next).prev if e.next else &kind.tail,
                e.next, e.prev)
    rl_set32(R, &e.listed, RL_UNLISTED)
    rl_set32(R, &R.h.nstalled, R.h.nstalled - 1)


cdef void unlist(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. Takes a queue that is empty now off its list, and ends the reservation if the queue has it."""
    if queue_at(R, q).listed == RL_STALLED:
        unstall(R, q)
    else:
        ring_remove(R, q)
    if R.h.reserved_for == q:
        rl_set32(R, &R.h.reserved_for, 0)
    if queue_at(R, q).stalled_since:
        rl_set64(R, <uint64_t*>&queue_at(R, q).stalled_since, 0)
