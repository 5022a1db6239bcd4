"""Resources: how much of each there is and is free, and how much the tasks of a shape demand.  Amounts in ten-thousandths.

Resources are CPU, GPU (which have numbers: a worker gets certain ones) and custom ones.  A slot holds what the shape of its
outermost task demands.  While it is blocked its CPUs, and only these, count as free, so the free CPUs may fall below zero when
it wakes.  A shape with more custom resources than one section can count is wide: its holders are listed, and what they hold is
summed up when somebody asks.
"""
cdef enum:
    DEMANDS_COUNTED = 12  # custom resources of a shape that are counted one by one; with more the shape is wide


cdef inline rl_kind* kind_at(rl_region* R, uint32_t k) noexcept nogil:
    return <rl_kind*>(R.meta + R.h.kinds.offset) + k


cdef inline rl_demand* demand_at(rl_region* R, uint32_t d) noexcept nogil:
    return <rl_demand*>(R.meta + R.h.demands.offset) + d


cdef int64_t demanded(rl_region* R, uint32_t q, uint32_t k) noexcept nogil:
    """How much of a kind tasks of a shape need; of a shared GPU: its part."""
    cdef rl_queue* e = queue_at(R, q)
    cdef uint32_t low = e.first
    cdef uint32_t high = e.first + e.count
    cdef uint32_t middle
    if k == RL_CPU:
        return e.cpus
    if k == RL_GPU:
        return e.gpus
    while low < high:
        middle = (low + high) // 2
        if demand_at(R, middle).kind < k:
            low = middle + 1
        else:
            high = middle
    return demand_at(R, low).amount if low < e.first + e.count and demand_at(R, low).kind == k else 0


cdef uint32_t kinds_of(rl_region* R, uint32_t q) noexcept nogil:
    """How many kinds `kind_of` can name."""
    return queue_at(R, q).count + 2


cdef uint32_t kind_of(rl_region* R, uint32_t q, uint32_t n) noexcept nogil:
    """The n-th kind that a shape may demand: GPU, its custom ones, CPU. In this order they are looked for, and kept."""
    cdef rl_queue* e = queue_at(R, q)
    if n == 0:
        return RL_GPU
    return demand_at(R, e.first + n - 1).kind if n <= e.count else RL_CPU


cdef bint is_whale(rl_region* R, uint32_t q) noexcept nogil:
    return queue_at(R, q).count > DEMANDS_COUNTED


cdef int64_t free_of(rl_region* R, uint32_t k) noexcept nogil:
    """Lock held. What nobody holds of a kind."""
    cdef int64_t found = kind_at(R, k).free
    cdef uint32_t s = R.h.whales if k >= RL_CUSTOM else 0
    while s:
        found -= demanded(R, rl_slot_at(R, s).shape, k)
        s = rl_slot_at(R, s).whale
    return found


cdef bint within(rl_region* R, uint32_t q, uint32_t outer) noexcept nogil:
    """Lock held. Whether what tasks of `outer` hold is enough for one of `q`, run in its place."""
    cdef uint32_t n, k
    if outer == 0 or queue_at(R, outer).gpus or queue_at(R, q).gpus:
        return False
    for n in range(kinds_of(R, q)):
        k = kind_of(R, q, n)
        if demanded(R, q, k) > demanded(R, outer, k):
            return False
    return True


cdef void kind_move(rl_region* R, uint32_t k, int64_t amount) noexcept nogil:
    """Lock held. More (or, negative, less) of a kind is free."""
    if amount:
        rl_set64(R, <uint64_t*>&kind_at(R, k).free, <uint64_t>(kind_at(R, k).free + amount))


cdef void kind_begin(rl_region* R, uint32_t k, int64_t amount) noexcept nogil:
    """There is so much of a kind; before anybody shares the region."""
    rl_fresh32(&kind_at(R, k).state, 1)
    rl_fresh64(<uint64_t*>&kind_at(R, k).total, <uint64_t>amount)
    rl_fresh64(<uint64_t*>&kind_at(R, k).free, <uint64_t>amount)
    R.h.kinds.used += k >= R.h.kinds.used
    R.h.kinds.live = R.h.kinds.used - 1


cdef void kinds_begin(rl_region* R, int64_t cpus, uint32_t gpus) noexcept nogil:
    """CPUs and GPUs of a new region."""
    cdef uint32_t g
    kind_begin(R, RL_CPU, cpus)
    kind_begin(R, RL_GPU, <int64_t>gpus * RL_UNIT)
    for g in range(gpus):
        R.h.gpu_free[g // 64] |= <uint64_t>1 << (g % 64)
    R.h.keyed = gpus != 0
