"""Resources: what a shape demands, whether there is enough, taking it and giving it back. Amounts in ten-thousandths.

Kinds are CPU, GPU (which have numbers: who takes some gets certain ones) and custom ones.  A slot holds what the shape of its
outermost task demands; while it is blocked its CPUs, and only these, count as free, so the free CPUs may fall below zero when
it wakes.  A shape with more demands than one section can count is a whale: it is listed, and what it holds is found by
looking.  Neighbours: queues.pyx (shapes), reservation.pyx (what is kept), turns.pyx (whose turn it is).  Must not choose tasks.
"""
cdef enum:
    DEMANDS_COUNTED = 12  # custom kinds of a shape that are counted one by one; with more it is a whale
    TAKE_LOG = 26         # what taking a task writes at most, its resources apart
    GPU_LOG = 11          # what taking or giving GPUs writes at most


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


cdef int gpu_sharing(rl_region* R, int64_t amount) noexcept nogil:
    """Lock held. The fullest shared GPU that has so much room, or -1."""
    cdef int best = -1
    cdef uint32_t word, g
    cdef uint64_t bits
    for word in range(RL_GPU_WORDS):
        bits = R.h.gpu_shared[word]
        while bits:
            g = word * 64 + <uint32_t>__builtin_ctzll(bits)
            bits &= bits - 1
            if R.h.gpu_room[g] >= amount and (best < 0 or R.h.gpu_room[g] < R.h.gpu_room[best]):
                best = <int>g
    return best


cdef bint enough(rl_region* R, uint32_t q, uint32_t k, int64_t times) noexcept nogil:
    """Lock held. Whether there is enough of a kind for so many tasks of a shape, and for whom it is kept besides."""
    cdef int64_t need = demanded(R, q, k) * times
    cdef bint kept
    if need == 0:
        return True
    kept = R.h.reserved and R.h.reserved != q and is_kept(R, k)
    if k == RL_GPU and need < RL_UNIT:
        if (not kept or may_share(R)) and gpu_sharing(R, need) >= 0:
            return True
        need = RL_UNIT
    return need + (kept_of(R, k) if kept else 0) <= free_of(R, k)


cdef uint32_t missing(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. The first kind of which there is too little for a task of a shape; 0: it fits."""
    cdef uint32_t n, k
    for n in range(kinds_of(R, q)):
        k = kind_of(R, q, n)
        if not enough(R, q, k, 1):
            return k
    return 0


cdef bint fits_beside(rl_region* R, uint32_t q, uint32_t others) noexcept nogil:
    """Lock held. Whether a task of a shape fits after `others` like it."""
    cdef uint32_t n
    for n in range(kinds_of(R, q)):
        if not enough(R, q, kind_of(R, q, n), <int64_t>others + 1):
            return False
    return True


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


# --- who may serve what ---


cdef uint32_t gpus_in(uint64_t* words) noexcept nogil:
    cdef uint32_t found = 0
    cdef uint32_t word
    for word in range(RL_GPU_WORDS):
        found += __builtin_popcountll(words[word])
    return found


cdef bint own_gpus_fit(rl_region* R, rl_slot* s, int64_t amount) noexcept nogil:
    """Lock held. Whether the GPUs that a worker is keyed to are the right number, and free."""
    cdef uint32_t word
    cdef uint32_t g = 0
    if amount % RL_UNIT == 0 and gpus_in(s.gpus) != amount // RL_UNIT or amount < RL_UNIT and gpus_in(s.gpus) != 1:
        return False
    for word in range(RL_GPU_WORDS):
        if s.gpus[word]:
            g = word * 64 + <uint32_t>__builtin_ctzll(s.gpus[word])
        if amount >= RL_UNIT and s.gpus[word] & ~R.h.gpu_free[word]:
            return False
    if amount >= RL_UNIT or R.h.gpu_free[g // 64] >> (g % 64) & 1:
        return True
    return R.h.gpu_shared[g // 64] >> (g % 64) & 1 and R.h.gpu_room[g] >= amount


cdef bint suits(rl_region* R, uint32_t slot, uint32_t q) noexcept nogil:
    """Lock held. Whether a worker may run tasks of a shape: its GPUs, and some thread pools, are chosen once.

    A loaded CUDA does not look at its variable again: who has run with some GPUs, or with none, goes on so.
    """
    cdef rl_slot* s = rl_slot_at(R, slot)
    cdef rl_queue* e = queue_at(R, q)
    if s.threads and s.threads != max(1, (e.cpus + RL_UNIT - 1) // RL_UNIT):
        return False
    if not s.keyed:
        return True
    return own_gpus_fit(R, s, e.gpus) if e.gpus else gpus_in(s.gpus) == 0


# --- taking and giving back ---


cdef uint32_t take_log(rl_region* R, uint32_t q) noexcept nogil:
    """What taking a task of a shape writes at most."""
    cdef uint32_t kinds = 2 if is_whale(R, q) else queue_at(R, q).count
    return TAKE_LOG + kinds + (GPU_LOG if kind_at(R, RL_GPU).total else 0)


cdef void set_bits(rl_region* R, uint64_t* words, uint32_t word, uint64_t bits, bint on) noexcept nogil:
    cdef uint64_t wanted = words[word] | bits if on else words[word] & ~bits
    if wanted != words[word]:
        rl_set64(R, &words[word], wanted)


cdef void choose_gpus(rl_region* R, rl_slot* s, int64_t amount) noexcept nogil:
    """Lock held. The worker gets its GPUs, for good: the first free ones, or the fullest that has room."""
    cdef int64_t left = max(1, amount // RL_UNIT)
    cdef int shared = gpu_sharing(R, amount) if amount < RL_UNIT else -1
    cdef uint32_t word
    cdef uint64_t free, chosen
    if shared >= 0:
        set_bits(R, s.gpus, <uint32_t>shared // 64, <uint64_t>1 << (shared % 64), True)
        return
    for word in range(RL_GPU_WORDS):
        free = R.h.gpu_free[word]
        chosen = 0
        while free and left:
            chosen |= free & (~free + 1)
            free &= free - 1
            left -= 1
        set_bits(R, s.gpus, word, chosen, True)


cdef void gpus_move(rl_region* R, rl_slot* s, int64_t amount, bint take) noexcept nogil:
    """Lock held. The GPUs of a worker are taken or given back, whole or the part of one."""
    cdef uint32_t word, g
    cdef uint64_t bit
    cdef int64_t room
    cdef int64_t whole = 0
    for word in range(RL_GPU_WORDS):
        if s.gpus[word] == 0:
            continue
        if amount >= RL_UNIT:
            set_bits(R, R.h.gpu_free, word, s.gpus[word], not take)
            whole = amount
            continue
        g = word * 64 + <uint32_t>__builtin_ctzll(s.gpus[word])
        bit = s.gpus[word]
        room = R.h.gpu_room[g] if R.h.gpu_shared[word] & bit else RL_UNIT
        whole = RL_UNIT if room == RL_UNIT else 0
        room += -amount if take else amount
        rl_set64(R, <uint64_t*>&R.h.gpu_room[g], <uint64_t>room)
        if room == RL_UNIT:
            whole = RL_UNIT
        set_bits(R, R.h.gpu_shared, word, bit, room < RL_UNIT)
        set_bits(R, R.h.gpu_free, word, bit, room == RL_UNIT)
    if whole:
        kind_move(R, RL_GPU, -whole if take else whole)


cdef void kind_move(rl_region* R, uint32_t k, int64_t amount) noexcept nogil:
    """Lock held. More (or, negative, less) of a kind is free."""
    if amount:
        rl_set64(R, <uint64_t*>&kind_at(R, k).free, <uint64_t>(kind_at(R, k).free + amount))


cdef void customs_move(rl_region* R, uint32_t slot, uint32_t q, bint take) noexcept nogil:
    """Lock held. Custom kinds are counted, or a whale goes on or off the list."""
    cdef rl_queue* e = queue_at(R, q)
    cdef uint32_t* at = &R.h.whales
    cdef uint32_t d
    if not is_whale(R, q):
        for d in range(e.first, e.first + e.count):
            kind_move(R, demand_at(R, d).kind, -demand_at(R, d).amount if take else demand_at(R, d).amount)
    elif take:
        rl_set32(R, &rl_slot_at(R, slot).whale, R.h.whales)
        rl_set32(R, &R.h.whales, slot)
    else:
        while at[0] != slot:
            at = &rl_slot_at(R, at[0]).whale
        rl_set32(R, at, rl_slot_at(R, slot).whale)


cdef void resources_take(rl_region* R, uint32_t slot, uint32_t q) noexcept nogil:
    """Lock held. A worker that holds nothing takes what its first task demands; it fits, and suits."""
    cdef rl_slot* s = rl_slot_at(R, slot)
    cdef rl_queue* e = queue_at(R, q)
    rl_set32(R, &s.shape, q)
    kind_move(R, RL_CPU, -e.cpus)
    if kind_at(R, RL_GPU).total and not s.keyed:
        rl_set32(R, &s.keyed, 1)
        if e.gpus:
            choose_gpus(R, s, e.gpus)
    if e.gpus:
        gpus_move(R, s, e.gpus, True)
    customs_move(R, slot, q, True)
    work_move(R, q, 1)


cdef void resources_give(rl_region* R, uint32_t slot) noexcept nogil:
    """Lock held. A worker gives back what it holds; what it lent while it was blocked is free already."""
    cdef rl_slot* s = rl_slot_at(R, slot)
    cdef rl_queue* e = queue_at(R, s.shape)
    if s.shape == 0:
        return
    if not s.blocked:
        kind_move(R, RL_CPU, e.cpus)
        work_move(R, s.shape, -1)
    else:
        lent_move(R, -1)
    if e.gpus:
        gpus_move(R, s, e.gpus, False)
    customs_move(R, slot, s.shape, False)
    rl_set32(R, &s.shape, 0)


cdef uint32_t give_log(rl_region* R, uint32_t slot) noexcept nogil:
    """What `resources_give` writes at most."""
    cdef uint32_t q = rl_slot_at(R, slot).shape
    if q == 0:
        return 0
    return 6 + (GPU_LOG if queue_at(R, q).gpus else 0) + min(queue_at(R, q).count, <uint32_t>DEMANDS_COUNTED)
