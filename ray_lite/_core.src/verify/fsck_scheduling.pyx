"""fsck of queues and resources: where queues stand, precedence of nested tasks, the reservation, what is free and held."""


cdef int fsck_actor_queue(rl_region* R, uint32_t q, rl_finding* f) noexcept nogil:
    """Checks a queue whose members are actors."""
    cdef rl_queue* e = queue_at(R, q)
    cdef uint32_t a = e.head
    cdef uint32_t prev = 0
    cdef uint32_t n = 0
    while a:
        n += 1
        if n > e.length or actor_at(R, a).state == RL_FREE or actor_at(R, a).want_prev != prev or actor_at(R, a).wants != q:
            return wrong(f, b"queue: list of actors", q, e.length, a)
        prev = a
        a = actor_at(R, a).want_next
    if n != e.length or e.tail != prev or (e.listed != 0) != (n != 0) or e.depth:
        return wrong(f, b"queue: length, tail or listing", q, e.length, n)
    return 0


cdef int fsck_ring(rl_region* R, uint32_t members, rl_finding* f) noexcept nogil:
    """Checks that a ring of the job has its queues that are listed in it."""
    cdef uint32_t listed = 0
    cdef uint32_t n = 0
    cdef uint32_t q, first
    cdef rl_queue* e
    for q in range(1, R.h.queues.used):
        e = queue_at(R, q)
        listed += e.state != 0 and e.job == R.job and e.members == members and e.listed == RL_IN_RING
    first = R.j.ready_ring if members == RL_TASKS else R.j.turn_ring if members == RL_TURNS else R.j.life_ring
    q = first
    while q:
        n += 1
        e = queue_at(R, q)
        if n > listed or e.job != R.job or e.members != members or e.listed != RL_IN_RING or queue_at(R, e.next).prev != q:
            return wrong(f, b"queues: ring", q, listed, n)
        q = e.next if e.next != first else 0
    return wrong(f, b"queues: ring length", members, listed, n) if n != listed else 0


cdef int fsck_queue(rl_region* R, uint32_t q, rl_finding* f) noexcept nogil:
    cdef rl_queue* e = queue_at(R, q)
    cdef uint32_t t = e.head
    cdef uint32_t prev = 0
    cdef uint32_t n = 0
    if e.members != RL_TASKS:
        return fsck_actor_queue(R, q, f)
    while t:
        n += 1
        if n > e.length or task_at(R, t).state != RL_READY or task_at(R, t).prev != prev or task_at(R, t).queue != q:
            return wrong(f, b"queue: list", q, e.length, t)
        prev = t
        t = task_at(R, t).next
    if n != e.length or e.tail != prev or (e.listed != 0) != (n != 0):
        return wrong(f, b"queue: length, tail or listing", q, e.length, n)
    return 0


cdef int fsck_nesting(rl_region* R, rl_finding* f) noexcept nogil:
    """Checks that nested queues of the job's ready ring are in the ring of their depth, and counts of working and blocked
    workers."""
    cdef uint32_t nblocked = 0
    cdef uint32_t nworking_nested = 0
    cdef uint32_t nworking = 0
    cdef uint32_t nested = 0
    cdef uint32_t q, i, depth
    cdef rl_slot* s
    for q in range(1, R.h.queues.used):
        if queue_at(R, q).state and queue_at(R, q).job == R.job:
            nested += queue_at(R, q).listed == RL_IN_RING and queue_at(R, q).depth != 0
    for depth in range(1, RL_DEPTHS):
        q = R.j.nested_rings[depth]
        while q:
            if nested == 0 or queue_at(R, q).listed != RL_IN_RING or queue_at(R, q).depth != depth:
                return wrong(f, b"nesting: ring of a depth", q, depth, queue_at(R, q).depth)
            if queue_at(R, queue_at(R, q).nested_next).nested_prev != q:
                return wrong(f, b"nesting: ring of a depth", q, q, queue_at(R, queue_at(R, q).nested_next).nested_prev)
            nested -= 1
            q = queue_at(R, q).nested_next if queue_at(R, q).nested_next != R.j.nested_rings[depth] else 0
    for i in range(1, R.h.slots.used):
        s = rl_slot_at(R, i)
        if s.state and s.job == R.job:
            nblocked += holding(s) != 0 and s.blocked != 0
            nworking += s.shape != 0 and s.blocked == 0
            nworking_nested += s.shape != 0 and s.blocked == 0 and queue_at(R, s.shape).depth != 0
    if nested or nworking_nested != R.j.nworking_nested:
        return wrong(f, b"nesting: queues left out, or nested workers", nested, nworking_nested, R.j.nworking_nested)
    if nworking != R.j.nworking:
        return wrong(f, b"nesting: working", 0, nworking, R.j.nworking)
    return wrong(f, b"nesting: blocked", 0, nblocked, R.j.nblocked) if nblocked != R.j.nblocked else 0


cdef int fsck_reservation(rl_region* R, rl_finding* f) noexcept nogil:
    """Checks that the reservation is for a shape with tasks, and the count of working holders of the resource that it lacks."""
    cdef uint32_t working_holders = 0
    cdef uint32_t s
    if queue_at(R, R.h.reserved_for).length == 0:
        return wrong(f, b"reservation: for an empty queue", R.h.reserved_for, 1, 0)
    for s in range(1, R.h.slots.used):
        working_holders += is_working_holder(R, s)
    if working_holders != R.h.working_holders:
        return wrong(f, b"reservation: working holders", R.h.reserved_for, working_holders, R.h.working_holders)
    return 0


cdef int fsck_stalled(rl_region* R, uint32_t stalled, rl_finding* f) noexcept nogil:
    """Checks that each stalled queue is on the list of a resource that it demands, the smallest demand first."""
    cdef uint32_t n = 0
    cdef uint32_t k, q, prev
    cdef int64_t least
    cdef rl_queue* e
    for k in range(1, R.h.resources.used):
        q = resource_at(R, k).head
        prev = 0
        least = 1
        while q:
            n += 1
            e = queue_at(R, q)
            if n > stalled or e.listed != RL_STALLED or e.stalled_on != k or e.prev != prev:
                return wrong(f, b"queues: stalled list", k, stalled, q)
            if demanded(R, q, k) < least:
                return wrong(f, b"queues: stalled order", q, <uint64_t>least, <uint64_t>demanded(R, q, k))
            least = demanded(R, q, k)
            prev = q
            q = queue_at(R, q).next
        if resource_at(R, k).tail != prev:
            return wrong(f, b"queues: stalled tail", k, prev, resource_at(R, k).tail)
    return wrong(f, b"queues: stalled nowhere", 0, stalled, n) if n != stalled else 0


cdef int fsck_queues(rl_region* R, rl_finding* f) noexcept nogil:
    """Checks all queues, and those that are stalled."""
    cdef uint32_t stalled = 0
    cdef uint32_t q
    for q in range(1, R.h.queues.used):
        if queue_at(R, q).state:
            stalled += queue_at(R, q).listed == RL_STALLED
            if queue_at(R, q).listed > RL_STALLED:
                return wrong(f, b"queue: listed", q, RL_STALLED, queue_at(R, q).listed)
            if fsck_queue(R, q, f):
                return 1
    if stalled != R.h.nstalled:
        return wrong(f, b"queues: stalled", 0, stalled, R.h.nstalled)
    if R.h.reserved_for and fsck_reservation(R, f):
        return 1
    return fsck_stalled(R, stalled, f)


cdef int fsck_gpus(rl_region* R, rl_finding* f) noexcept nogil:
    """Checks that each GPU is free, or held by one slot, or shared by slots that hold all of it that is not free."""
    cdef uint32_t free = 0
    cdef uint32_t g, s
    cdef uint64_t bit
    cdef int64_t left
    for g in range(<uint32_t>(resource_at(R, RL_GPU).total // RL_UNIT)):
        bit = <uint64_t>1 << (g % 64)
        left = R.h.gpu_room[g] if R.h.gpu_shared[g // 64] & bit else RL_UNIT if R.h.gpu_free[g // 64] & bit else 0
        free += (R.h.gpu_free[g // 64] & bit) != 0
        for s in range(1, R.h.slots.used):
            if rl_slot_at(R, s).state and holding(rl_slot_at(R, s)) and rl_slot_at(R, s).gpus[g // 64] & bit:
                left += min(queue_at(R, holding(rl_slot_at(R, s))).gpus, <int64_t>RL_UNIT)
        if left != RL_UNIT or R.h.gpu_free[g // 64] & R.h.gpu_shared[g // 64] & bit:
            return wrong(f, b"resources: GPU", g, RL_UNIT, <uint64_t>left)
    if free * RL_UNIT != resource_at(R, RL_GPU).free:
        return wrong(f, b"resources: free GPUs", 0, free, <uint64_t>resource_at(R, RL_GPU).free // RL_UNIT)
    return 0


cdef int fsck_resources(rl_region* R, rl_finding* f) noexcept nogil:
    """Checks that of each resource the free and the held amounts are the total, and that holders of wide shapes are listed."""
    cdef uint32_t wide_holders = 0
    cdef uint32_t n = 0
    cdef uint32_t k, s
    cdef int64_t found
    cdef int64_t cpus_held = 0
    for k in range(1, R.h.resources.used):
        found = resource_at(R, k).free
        for s in range(1, R.h.slots.used):
            if rl_slot_at(R, s).state == RL_FREE or holding(rl_slot_at(R, s)) == 0 or k == RL_GPU:
                continue
            if k >= RL_CUSTOM and is_wide(R, holding(rl_slot_at(R, s))) or k == RL_CPU and rl_slot_at(R, s).blocked:
                continue
            found += demanded(R, holding(rl_slot_at(R, s)), k)
        if found != resource_at(R, k).total and k != RL_GPU:
            return wrong(f, b"resources: CPUs or others", k, <uint64_t>resource_at(R, k).total, <uint64_t>found)
    for s in range(1, R.h.slots.used):
        if rl_slot_at(R, s).state and rl_slot_at(R, s).held and not rl_slot_at(R, s).blocked:
            cpus_held += queue_at(R, rl_slot_at(R, s).held).cpus
        if rl_slot_at(R, s).state and rl_slot_at(R, s).held and rl_slot_at(R, s).shape:
            return wrong(f, b"resources: for life and for a task", s, 0, rl_slot_at(R, s).shape)
        if rl_slot_at(R, s).state and holding(rl_slot_at(R, s)):
            wide_holders += is_wide(R, holding(rl_slot_at(R, s)))
    if cpus_held != R.h.cpus_held:
        return wrong(f, b"resources: CPUs held for life", 0, <uint64_t>cpus_held, <uint64_t>R.h.cpus_held)
    s = R.h.wide_holders
    while s:
        n += 1
        if n > wide_holders or holding(rl_slot_at(R, s)) == 0 or not is_wide(R, holding(rl_slot_at(R, s))):
            return wrong(f, b"resources: wide holders", s, wide_holders, n)
        s = rl_slot_at(R, s).next_wide
    return wrong(f, b"resources: wide holders unlisted", 0, wide_holders, n) if n != wide_holders else fsck_gpus(R, f)
