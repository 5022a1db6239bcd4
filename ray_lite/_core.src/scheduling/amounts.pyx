"""Resources: how much of each exists and is free, and how much the tasks of a shape demand.  Amounts are in ten-thousandths.

Resources are CPU, GPU (a worker gets GPUs with certain numbers) and custom ones.  A slot holds what the shape of its outermost
task demands, or, as the process of an actor, what that holds for life.  While it is blocked its CPUs, and only these, count as
free, so the free CPUs may fall below zero when it wakes.  A shape with more custom resources than one section can count one by
one is wide: slots that hold its demand are listed, and what they hold is summed up on request.
"""
cdef enum:
    DEMANDS_COUNTED = 12  # most custom resources of a shape that are counted one by one; with more the shape is wide


cdef inline rl_resource* resource_at(rl_region* R, uint32_t k) noexcept nogil:
    return <rl_resource*>(R.meta + R.h.resources.offset) + k


cdef inline rl_demand* demand_at(rl_region* R, uint32_t d) noexcept nogil:
    return <rl_demand*>(R.meta + R.h.demands.offset) + d


cdef int64_t demanded_custom(rl_region* R, uint32_t q, uint32_t k) noexcept nogil:
    """Amount of a custom resource that a task of a shape demands."""
    cdef rl_queue* e = queue_at(R, q)
    cdef uint32_t low = e.first
    cdef uint32_t high = e.first + e.count
    cdef uint32_t middle
    while low < high:
        middle = (low + high) // 2
        if demand_at(R, middle).resource < k:
            low = middle + 1
        else:
            high = middle
    return demand_at(R, low).amount if low < e.first + e.count and demand_at(R, low).resource == k else 0


cdef inline int64_t demanded(rl_region* R, uint32_t q, uint32_t k) noexcept nogil:
    """Amount of a resource that a task of a shape demands; of a shared GPU, its part."""
    if k == RL_CPU:
        return queue_at(R, q).cpus
    return queue_at(R, q).gpus if k == RL_GPU else demanded_custom(R, q, k)


cdef inline uint32_t resource_count(rl_region* R, uint32_t q) noexcept nogil:
    """Number of resources that `nth_resource` can name for a shape."""
    return queue_at(R, q).count + 2


cdef inline uint32_t nth_resource(rl_region* R, uint32_t q, uint32_t n) noexcept nogil:
    """The n-th resource that a shape may demand: GPU, its custom ones, CPU. They are checked and reserved in this order."""
    cdef rl_queue* e = queue_at(R, q)
    if n == 0:
        return RL_GPU
    return demand_at(R, e.first + n - 1).resource if n <= e.count else RL_CPU


cdef inline bint is_wide(rl_region* R, uint32_t q) noexcept nogil:
    return queue_at(R, q).count > DEMANDS_COUNTED


cdef inline uint32_t holding(rl_slot* s) noexcept nogil:
    """Lock held. The queue whose demand a slot holds: that of its outermost task, or what its process holds for life; or 0."""
    return s.shape if s.shape else s.held


cdef int64_t held_wide(rl_region* R, uint32_t k) noexcept nogil:
    """Lock held. Amount of a custom resource that slots with a wide shape hold."""
    cdef int64_t found = 0
    cdef uint32_t s = R.h.wide_holders
    while s:
        found += demanded(R, holding(rl_slot_at(R, s)), k)
        s = rl_slot_at(R, s).next_wide
    return found


cdef inline int64_t free_of(rl_region* R, uint32_t k) noexcept nogil:
    """Lock held. Amount of a resource that no slot holds."""
    return resource_at(R, k).free - (held_wide(R, k) if k >= RL_CUSTOM and R.h.wide_holders else 0)


cdef bint fits_within(rl_region* R, uint32_t q, uint32_t outer) noexcept nogil:
    """Lock held. Whether a task of `q` could run inline in a task of `outer`, within what that one holds."""
    cdef uint32_t n, k
    if outer == 0 or queue_at(R, outer).gpus or queue_at(R, q).gpus:
        return False
    for n in range(resource_count(R, q)):
        k = nth_resource(R, q, n)
        if demanded(R, q, k) > demanded(R, outer, k):
            return False
    return True


cdef void owe_waiting_jobs(rl_region* R) noexcept nogil:
    """Lock held. Notes that other jobs, of which tasks or actors wait in a ring, may make use of what was released, unless this
    job has taken it again."""
    cdef uint32_t i
    cdef rl_job* j
    if R.released == RL_CPU and resource_at(R, RL_CPU).free <= 0:
        R.released = 0
        return
    R.released = 0
    for i in range(1, R.h.jobs.used):
        j = rl_job_at(R, i)
        if i != R.job and (j.ready_ring or j.turn_ring or j.life_ring):
            rl_owe_job(R, i)


cdef void resource_add(rl_region* R, uint32_t k, int64_t amount) noexcept nogil:
    """Lock held. Adds to the free amount of a resource; `amount` may be negative."""
    if amount > 0 and R.h.jobs.live > 1:
        R.released = k
    if amount:
        rl_set64(R, <uint64_t*>&resource_at(R, k).free, <uint64_t>(resource_at(R, k).free + amount))


cdef void resource_begin(rl_region* R, uint32_t k, int64_t amount) noexcept nogil:
    """Sets the total of a resource, all of it free, before another process shares the region."""
    rl_fresh32(&resource_at(R, k).state, 1)
    rl_fresh64(<uint64_t*>&resource_at(R, k).total, <uint64_t>amount)
    rl_fresh64(<uint64_t*>&resource_at(R, k).free, <uint64_t>amount)
    R.h.resources.used += k >= R.h.resources.used
    R.h.resources.live = R.h.resources.used - 1


cdef void resources_begin(rl_region* R, int64_t cpus, uint32_t gpus) noexcept nogil:
    """Sets the CPUs and GPUs of a new region."""
    cdef uint32_t g
    resource_begin(R, RL_CPU, cpus)
    resource_begin(R, RL_GPU, <int64_t>gpus * RL_UNIT)
    for g in range(gpus):
        R.h.gpu_free[g // 64] |= <uint64_t>1 << (g % 64)
