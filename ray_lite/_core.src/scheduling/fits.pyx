"""Whether tasks of a shape fit: into what is free and not reserved, and into a worker.

Neighbours: amounts.pyx, gpus.pyx (what is free), reservation.pyx (what is reserved for another shape).
"""


cdef bint has_enough(rl_region* R, uint32_t q, uint32_t k, int64_t times) noexcept nogil:
    """Lock held. Whether enough of a resource is free for `times` tasks of a shape, without what is reserved for another
    one."""
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
    """Lock held. The first resource that a task of a shape lacks; 0: the task fits."""
    cdef uint32_t n, k
    for n in range(resource_count(R, q)):
        k = nth_resource(R, q, n)
        if not has_enough(R, q, k, 1):
            return k
    return 0


cdef bint fits_after(rl_region* R, uint32_t q, uint32_t others) noexcept nogil:
    """Lock held. Whether one more task of a shape fits after `others` tasks like it."""
    cdef uint32_t n
    for n in range(resource_count(R, q)):
        if not has_enough(R, q, nth_resource(R, q, n), <int64_t>others + 1):
            return False
    return True


cdef bint suits_worker(rl_region* R, uint32_t slot, uint32_t q) noexcept nogil:
    """Lock held. Whether a worker may run tasks of a shape: its GPUs, and the size of some thread pools, are chosen once.

    A loaded CUDA does not read its environment variable again, so a worker keeps the GPUs, or none, with which it first ran.
    """
    cdef rl_slot* s = rl_slot_at(R, slot)
    cdef rl_queue* e = queue_at(R, q)
    if s.threads and s.threads != max(1, (e.cpus + RL_UNIT - 1) // RL_UNIT):
        return False
    if not s.gpu_bound:
        return True
    return own_gpus_fit(R, s, e.gpus) if e.gpus else gpus_in(s.gpus) == 0
