"""Ready queues, one for each (job, demands, options, depth), each FIFO: found or made, filled and emptied.

Queues with the same job, demands and options but different depths are one shape, named by its first queue.  Neighbours:
rings.pyx (where a queue is listed), dispatch.pyx (which one is next).
"""
cdef enum:
    DEMANDS_SEARCHED = 1024  # demands among which those of a new shape are searched for

cdef struct rl_shape:
    # what the tasks of a shape demand; `resources`: the numbers of custom ones, in increasing order
    uint32_t job
    uint32_t options
    uint32_t members
    int64_t cpus
    int64_t gpus
    uint32_t n
    const uint32_t* resources
    const int64_t* amounts


cdef uint32_t shape_hash(rl_shape* s) noexcept nogil:
    cdef uint64_t owner = <uint64_t>s.members << 62 ^ <uint64_t>s.job << 32 ^ s.options
    cdef uint64_t h = rl_fold(<uint64_t>s.cpus ^ FOLD_A, <uint64_t>s.gpus ^ owner)
    cdef uint32_t d
    for d in range(s.n):
        h = rl_fold(h ^ s.resources[d], <uint64_t>s.amounts[d] ^ FOLD_B)
    return <uint32_t>(h % RL_SHAPES)


cdef bint shape_equal(rl_region* R, rl_queue* e, rl_shape* s) noexcept nogil:
    cdef uint32_t d
    if e.job != s.job or e.members != s.members or e.options != s.options:
        return False
    if e.cpus != s.cpus or e.gpus != s.gpus or e.count != s.n:
        return False
    for d in range(s.n):
        if demand_at(R, e.first + d).resource != s.resources[d] or demand_at(R, e.first + d).amount != s.amounts[d]:
            return False
    return True


cdef uint32_t demands_find(rl_region* R, rl_shape* s) noexcept nogil:
    """Lock held. Where the demands of a shape stand in a row, among the first ones; 0: nowhere."""
    cdef uint32_t at, d
    for at in range(1, min(R.h.demands.used, <uint32_t>DEMANDS_SEARCHED)):
        d = 0
        while d < s.n and at + d < R.h.demands.used and demand_at(R, at + d).resource == s.resources[d] and \
                demand_at(R, at + d).amount == s.amounts[d]:
            d += 1
        if d == s.n:
            return at
    return 0


cdef int demands_write(rl_region* R, rl_shape* s, uint32_t* first) noexcept nogil:
    """Lock held. Writes the demands of a new shape, in a row behind all others, unless there is such a row: demands are never
    freed, and a later job often has the shapes of an earlier one."""
    cdef rl_table* t = &R.h.demands
    cdef uint32_t d
    if s.n == 0:
        return DONE
    first[0] = demands_find(R, s)
    if first[0]:
        return DONE
    if t.limit - t.used < s.n:
        return GROW_DEMANDS
    first[0] = t.used
    for d in range(s.n):
        rl_fresh32(&demand_at(R, t.used + d).state, 1)
        rl_fresh32(&demand_at(R, t.used + d).resource, s.resources[d])
        rl_fresh64(<uint64_t*>&demand_at(R, t.used + d).amount, <uint64_t>s.amounts[d])
    rl_set32(R, &t.used, t.used + s.n)
    rl_set32(R, &t.live, t.live + s.n)
    return DONE


cdef void queue_begin(rl_region* R, uint32_t q, rl_shape* s, uint32_t first) noexcept nogil:
    """Lock held. Initializes a new queue for tasks of a shape; its demands begin at `first`."""
    cdef rl_queue* e = queue_at(R, q)
    memset(&e.prev, 0, sizeof(rl_queue) - <size_t>(<char*>&e.prev - <char*>e))
    rl_set32(R, &e.state, 1)
    rl_fresh32(&e.job, s.job)
    rl_fresh32(&e.options, s.options)
    rl_fresh32(&e.members, s.members)
    rl_fresh64(<uint64_t*>&e.cpus, <uint64_t>s.cpus)
    rl_fresh64(<uint64_t*>&e.gpus, <uint64_t>s.gpus)
    rl_fresh32(&e.first, first)
    rl_fresh32(&e.count, s.n)


cdef void queue_free(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. Frees an empty queue of a job that ends, whose other queues are freed, too."""
    cdef uint32_t chain
    cdef uint32_t* at
    if queue_at(R, q).base == q:
        for chain in range(<uint32_t>RL_SHAPES):
            at = &R.h.shapes[chain]
            while at[0] and at[0] != q:
                at = &queue_at(R, at[0]).chain
            if at[0]:
                rl_set32(R, at, queue_at(R, q).chain)
                break
    table_give(R, &R.h.queues, q)


cdef int queue_for(rl_region* R, rl_shape* s, uint32_t* out) noexcept nogil:
    """Lock held. The first queue of a shape; makes it if it is new."""
    cdef uint32_t* head = &R.h.shapes[shape_hash(s)]
    cdef uint32_t q = head[0]
    cdef uint32_t first = 0
    cdef int rc
    while q:
        if shape_equal(R, queue_at(R, q), s):
            out[0] = q
            return DONE
        q = queue_at(R, q).chain
    rc = demands_write(R, s, &first)
    q = 0 if rc else table_take(R, &R.h.queues)
    if q == 0:
        return rc if rc else GROW_QUEUES
    queue_begin(R, q, s, first)
    rl_fresh32(&queue_at(R, q).depth, 0)
    rl_fresh32(&queue_at(R, q).base, q)
    rl_set32(R, &queue_at(R, q).chain, head[0])
    rl_set32(R, head, q)
    out[0] = q
    return DONE


cdef int shape_queue(rl_region* R, rl_shape* s, uint32_t* out) noexcept nogil:
    """The first queue of a shape. The caller asks once for each shape, then remembers the answer."""
    cdef int rc = DONE
    while True:
        if rl_lock(R):
            return EIO
        rc = queue_for(R, s, out)
        if not section_repeats(R, &rc, 0):
            return rc


cdef int nested_queue(rl_region* R, uint32_t parent, uint32_t serial, uint32_t* q) noexcept nogil:
    """Lock held. The queue of a shape for tasks that `parent` submits; makes it if it is new. If there is no room for it, the
    first queue of the shape."""
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
        shape.members = RL_TASKS
        queue_begin(R, found, &shape, base.first)
        rl_fresh32(&queue_at(R, found).depth, depth)
        rl_fresh32(&queue_at(R, found).base, q[0])
        rl_set32(R, &queue_at(R, found).sibling, base.sibling)
        rl_set32(R, &base.sibling, found)
    q[0] = found if found else q[0]
    return DONE


cdef void queue_insert(rl_region* R, uint32_t t, bint front) noexcept nogil:
    """Lock held. Makes a task READY, behind or (`front`) before the others of its queue."""
    cdef rl_task* k = task_at(R, t)
    cdef rl_queue* e = queue_at(R, k.queue)
    cdef rl_job* j = rl_job_at(R, e.job)
    cdef uint32_t before = 0 if front else e.tail
    cdef uint32_t after = e.head if front else 0
    rl_task_become(R, k, RL_READY)
    rl_set32(R, &k.owner, 0)
    rl_set32(R, &k.prev, before)
    rl_set32(R, &k.next, after)
    rl_set32(R, &task_at(R, before).next if before else &e.head, t)
    rl_set32(R, &task_at(R, after).prev if after else &e.tail, t)
    rl_set32(R, &e.length, e.length + 1)
    rl_set32(R, &j.nready, j.nready + 1)
    if e.listed == RL_UNLISTED:
        ring_add(R, k.queue)
    if e.job != R.job:
        rl_owe_job(R, e.job)
    if rl_traces_detail(R):
        rl_trace_span(R, RL_TRACE_QUEUED, k.id, rl_now())


cdef void queue_push(rl_region* R, uint32_t t) noexcept nogil:
    queue_insert(R, t, False)


cdef void queue_remove(rl_region* R, uint32_t t) noexcept nogil:
    """Lock held. Takes a READY task out of its queue, at any place in it."""
    cdef rl_task* k = task_at(R, t)
    cdef rl_queue* e = queue_at(R, k.queue)
    cdef rl_job* j = rl_job_at(R, e.job)
    list_remove(R, &task_at(R, k.prev).next if k.prev else &e.head, &task_at(R, k.next).prev if k.next else &e.tail,
                k.next, k.prev)
    rl_set32(R, &e.length, e.length - 1)
    rl_set32(R, &j.nready, j.nready - 1)
    if e.head == 0:
        unlist(R, k.queue)
