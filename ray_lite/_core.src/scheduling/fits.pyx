"""Whether tasks of a shape fit: into what is free and not reserved, and into a worker.

Neighbours: amounts.pyx, gpus.pyx (what is free), reservation.pyx (what is reserved for another shape).
"""


cdef bint has_enough(rl_region* R, uint32_t q, uint32_t k, int64_t times) noexcept nogil:
    """Lock held. Whether enough of a resource is free for so many tasks of a shape, beside what is reserved for another shape."""
    cdef int64_t need = demanded(R, q, k) * times
    if need == 0:
        return True
    if R.h.reserved_for == 0 or R.h.reserved_for == q or not is_reserved(R, k):
        return has_free(R, q, k, times)
    if k == RL_GPU and need < RL_UNIT:
        if may_share_gpu(R) and gpu_sharing(R, need) >= 0:
            return True
        need = RL_UNIT
    return need + reserved_amount(R, k) <= free_of(R, k)


cdef uint32_t lacking_resource(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. The first kind of which there is too little for a task of a shape; 0: it fits."""
    cdef uint32_t n, k
    for n in range(resource_count(R, q)):
        k = nth_resource(R, q, n)
        if not has_enough(R, q, k, 1):
            return k
    return 0


cdef bint fits_after(rl_region* R, uint32_t q, uint32_t others) noexcept nogil:
    """Lock held. Whether a task of a shape fits after `others` like it."""
    cdef uint32_t n
    for n in range(resource_count(R, q)):
        if not has_enough(R, q, nth_resource(R, q, n), <int64_t>others + 1):
            return False
    return True


cdef bint suits_worker(rl_region* R, uint32_t slot, uint32_t q) noexcept nogil:
    """Lock held. Whether a worker may run tasks of a shape: its GPUs, and some thread pools, are chosen once.

    A loaded CUDA does not look at its variable again: who has run with some GPUs, or with none, goes on so.
    """
    cdef rl_slot* s = rl_slot_at(R, slot)
    cdef rl_queue* e = queue_at(R, q)
    if s.threads and s.threads != max(1, (e.cpus + RL_UNIT - 1) // RL_UNIT):
        return False
    if not s.gpu_bound:
        return True
    return own_gpus_fit(R, s, e.gpus) if e.gpus else gpus_in(s.gpus) == 0
