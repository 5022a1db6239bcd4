"""GPUs, whole or shared: which ones a worker gets, and how they are granted and released.

Tasks that need a part of a GPU share the fullest one that has room.  A worker keeps its GPUs, or none, for life, because a
loaded CUDA does not read its environment variable again.
"""
cdef enum:
    GPU_LOG = 11  # log entries that granting or releasing GPUs writes at most


cdef int gpu_sharing(rl_region* R, int64_t amount) noexcept nogil:
    """Lock held. The fullest shared GPU that has room for `amount`, or -1."""
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


cdef uint32_t gpus_in(uint64_t* words) noexcept nogil:
    cdef uint32_t found = 0
    cdef uint32_t word
    for word in range(RL_GPU_WORDS):
        found += __builtin_popcountll(words[word])
    return found


cdef bint own_gpus_fit(rl_region* R, rl_slot* s, int64_t amount) noexcept nogil:
    """Lock held. Whether the GPUs that a worker is bound to are of the right number, and free."""
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


cdef void set_bits(rl_region* R, uint64_t* words, uint32_t word, uint64_t bits, bint on) noexcept nogil:
    cdef uint64_t wanted = words[word] | bits if on else words[word] & ~bits
    if wanted != words[word]:
        rl_set64(R, &words[word], wanted)


cdef void gpus_choose(rl_region* R, rl_slot* s, int64_t amount) noexcept nogil:
    """Lock held. Chooses a worker's GPUs for life: the first free ones, or the fullest shared one with room."""
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


cdef void grant_gpus(rl_region* R, rl_slot* s, int64_t amount, bint take) noexcept nogil:
    """Lock held. Grants (`take`) or releases the GPUs of a worker, whole or a part of one."""
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
        resource_add(R, RL_GPU, -whole if take else whole)
