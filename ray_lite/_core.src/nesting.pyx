"""Nested tasks: each shape has a queue a depth, and CPUs that blocked tasks lend go to nested ones first, the deepest first.

Else each CPU that is lent would start another parent, which blocks and lends it again, and a program of parents would have a
process each before the first child has run.  As many nested tasks have precedence as tasks are blocked; beyond that all queues
take turns, and one that is not nested, once such were passed over for `aging` ns.  Neighbours: queues.pyx, turns.pyx (asks who
is foremost), resources.pyx and slots.pyx (who works, who is blocked), reservation.pyx.  Must not know resources.
"""


cdef int nested_queue(rl_region* R, uint32_t parent, uint32_t serial, uint32_t* q) noexcept nogil:
    """Lock held. The queue of a shape for what `parent` submits, made if it is new; without room for it the first one."""
    cdef uint32_t depth = 0
    cdef uint32_t found = q[0]
    cdef rl_queue* base = queue_at(R, q[0])
    cdef rl_shape shape
    if task_at(R, parent).serial == serial:
        depth = queue_at(R, task_at(R, parent).queue).depth
    depth = min(depth + 1, <uint32_t>RL_DEPTHS - 1)
    while found and queue_at(R, found).depth != depth:
        found = queue_at(R, found).sibling
    if found == 0 and (R.h.queues.free or R.h.queues.used < R.h.queues.capacity):
        found = table_take(R, &R.h.queues)
        if found == 0:
            return GROW_QUEUES
        shape.job, shape.options, shape.cpus, shape.gpus, shape.n = base.job, base.options, base.cpus, base.gpus, base.count
        queue_begin(R, found, &shape, base.first)
        rl_fresh32(&queue_at(R, found).depth, depth)
        rl_fresh32(&queue_at(R, found).base, q[0])
        rl_set32(R, &queue_at(R, found).sibling, base.sibling)
        rl_set32(R, &base.sibling, found)
    q[0] = found if found else q[0]
    return DONE


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


cdef uint32_t overdue(rl_region* R) noexcept nogil:
    """Lock held. A queue of the ring, of tasks that are not nested, when such were passed over for too long; else 0."""
    cdef uint32_t q = R.h.ready
    cdef uint32_t _
    if R.h.waited == 0 or rl_now() - R.h.waited < R.h.aging:
        return 0
    for _ in range(<uint32_t>LOOKED_AT):
        if queue_at(R, q).depth == 0:
            return q
        q = queue_at(R, q).next
    return 0


cdef uint32_t foremost(rl_region* R) noexcept nogil:
    """Lock held. The queue of the ring that is served next, if it fits."""
    cdef uint32_t q = overdue(R) if R.h.lent > R.h.nested else R.h.ready
    cdef uint32_t depth = RL_DEPTHS
    while q == 0 and depth > 1:
        depth -= 1
        q = R.h.deep[depth]
        if q and R.h.waited == 0:
            rl_set64(R, <uint64_t*>&R.h.waited, <uint64_t>rl_now())
    return q if q else R.h.ready


cdef void work_move(rl_region* R, uint32_t shape, int by) noexcept nogil:
    """Lock held. A worker whose outermost task is of this queue begins to work, or works no more."""
    lenders_move(R, shape, by)
    rl_set32(R, &R.h.working, R.h.working + by)
    if queue_at(R, shape).depth:
        rl_set32(R, &R.h.nested, R.h.nested + by)


cdef void lent_move(rl_region* R, int by) noexcept nogil:
    """Lock held. A worker is blocked, or no more."""
    rl_set32(R, &R.h.lent, R.h.lent + by)
