"""CPUs in ten-thousandths, and the ready queues, one a (job, shape): what fits is taken, and taking is one step.

A blocked worker gives its CPUs back and takes them again at once when it wakes, so `cpus_free` may fall below zero;
nothing is started until it suffices.  Neighbours: tasks.pyx pushes and takes, slots.pyx knows who is idle.  GPUs and
custom kinds are not here yet.
"""
cdef enum:
    QUEUES_LOOKED_AT = 64


cdef int queue_for(rl_region* R, uint32_t job, int64_t cpus, uint32_t* out) noexcept nogil:
    """Lock held. The queue of a shape, made if it is new."""
    cdef uint32_t q
    cdef rl_queue* e
    for q in range(1, R.h.queues.used):
        e = queue_at(R, q)
        if e.state and e.job == job and e.cpus == cpus:
            out[0] = q
            return DONE
    q = table_take(R, &R.h.queues)
    if q == 0:
        return GROW_QUEUES
    e = queue_at(R, q)
    rl_set32(R, &e.state, 1)
    rl_set32(R, &e.job, job)
    rl_set64(R, <uint64_t*>&e.cpus, <uint64_t>cpus)
    rl_set32(R, &e.head, 0)
    rl_set32(R, &e.tail, 0)
    rl_set32(R, &e.length, 0)
    rl_set32(R, &e.listed, 0)
    rl_set64(R, <uint64_t*>&e.passed, 0)
    out[0] = q
    return DONE


cdef int shape_queue(rl_region* R, uint32_t job, int64_t cpus, uint32_t* out) noexcept nogil:
    """The queue of a shape; asked once a shape, then remembered by the caller."""
    cdef int rc
    while True:
        if rl_lock(R):
            return EIO
        rc = queue_for(R, job, cpus, out)
        if rc == DONE:
            rl_commit(R)
            return DONE
        rl_abort(R)
        rc = grow(R, rc, 0)
        if rc:
            return rc


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
    rl_set32(R, &e.listed, 1)


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
    rl_set32(R, &e.listed, 0)


cdef void queue_insert(rl_region* R, uint32_t t, bint front) noexcept nogil:
    """Lock held. The task is READY, behind or before the others of its shape."""
    cdef rl_task* k = task_at(R, t)
    cdef rl_queue* e = queue_at(R, k.queue)
    cdef uint32_t before = 0 if front else e.tail
    cdef uint32_t after = e.head if front else 0
    rl_set32(R, &k.state, RL_READY)
    rl_set32(R, &k.owner, 0)
    rl_set32(R, &k.prev, before)
    rl_set32(R, &k.next, after)
    if before:
        rl_set32(R, &task_at(R, before).next, t)
    else:
        rl_set32(R, &e.head, t)
    if after:
        rl_set32(R, &task_at(R, after).prev, t)
    else:
        rl_set32(R, &e.tail, t)
    rl_set32(R, &e.length, e.length + 1)
    rl_set32(R, &R.h.nready, R.h.nready + 1)
    if not e.listed:
        ring_add(R, k.queue)


cdef void queue_push(rl_region* R, uint32_t t) noexcept nogil:
    queue_insert(R, t, False)


cdef void queue_remove(rl_region* R, uint32_t t) noexcept nogil:
    """Lock held. A READY task leaves its queue, wherever in it it is."""
    cdef rl_task* k = task_at(R, t)
    cdef rl_queue* e = queue_at(R, k.queue)
    if k.prev:
        rl_set32(R, &task_at(R, k.prev).next, k.next)
    else:
        rl_set32(R, &e.head, k.next)
    if k.next:
        rl_set32(R, &task_at(R, k.next).prev, k.prev)
    else:
        rl_set32(R, &e.tail, k.prev)
    rl_set32(R, &e.length, e.length - 1)
    rl_set32(R, &R.h.nready, R.h.nready - 1)
    if e.head == 0:
        ring_remove(R, k.queue)


cdef bint overtaken(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. A shape that doesn't fit: whether smaller ones overtook it for so long that they have to wait now."""
    cdef int64_t now = rl_now()
    if queue_at(R, q).passed == 0:
        if rl_log_used(R) >= RL_LOG_BUDGET - 16:
            return False  # no room to note it, the task that is taken needs the rest: the next look does
        rl_set64(R, <uint64_t*>&queue_at(R, q).passed, <uint64_t>now)
    return queue_at(R, q).passed < now - R.h.aging


cdef uint32_t queue_fitting(rl_region* R) noexcept nogil:
    """Lock held. The next task in turn whose shape the free CPUs satisfy, or 0; it stays in its queue."""
    cdef uint32_t q = R.h.ready
    cdef uint32_t _
    for _ in range(<uint32_t>QUEUES_LOOKED_AT):
        if q == 0:
            return 0
        if queue_at(R, q).cpus <= R.h.cpus_free or queue_at(R, q).cpus == 0:
            if queue_at(R, q).next != R.h.ready:
                rl_set32(R, &R.h.ready, queue_at(R, q).next)
            if queue_at(R, q).passed:
                rl_set64(R, <uint64_t*>&queue_at(R, q).passed, 0)
            return queue_at(R, q).head
        if overtaken(R, q):
            return 0
        q = queue_at(R, q).next
        if q == R.h.ready:
            return 0
    return 0


cdef bint something_fits(rl_region* R, uint32_t others) noexcept nogil:
    """Lock held. Whether a worker more would find a task, after `others` that are on their way found theirs."""
    cdef uint32_t q = R.h.ready
    cdef uint32_t _
    for _ in range(<uint32_t>QUEUES_LOOKED_AT):
        if q == 0:
            return False
        if queue_at(R, q).cpus * (others + 1) <= R.h.cpus_free or queue_at(R, q).cpus == 0:
            return R.h.nready > others
        q = queue_at(R, q).next
        if q == R.h.ready:
            return False
    return False


cdef void cpus_move(rl_region* R, rl_slot* s, int64_t amount) noexcept nogil:
    """Lock held. The slot takes `amount` from the free CPUs (negative: gives it back)."""
    if amount:
        rl_set64(R, <uint64_t*>&s.cpus_held, <uint64_t>(s.cpus_held + amount))
        if not s.blocked:
            rl_set64(R, <uint64_t*>&R.h.cpus_free, <uint64_t>(R.h.cpus_free - amount))
