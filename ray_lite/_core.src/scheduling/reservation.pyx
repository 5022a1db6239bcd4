"""The reservation: what is kept for a shape that others passed over for too long, so that it does not starve.

One shape at a time has it.  It asks for its resources in a fixed order, CPU last, and keeps what it found so far and what is
released of the resource that it lacks.  So it gets all of them after a finite time, and no CPU rests while it waits for something
else.  A holder of that resource may itself wait for a task that needs what is kept: so the reservation is reservation_lifted while no holder
works that could release some.  Neighbours: fits.pyx asks what is reserved; dispatch.pyx and wakeups.pyx decide who gets it.
"""
cdef enum:
    RESERVE_LOG = 3  # log entries that `reserve_for` writes


cdef bint is_working_holder(rl_region* R, uint32_t slot) noexcept nogil:
    """Lock held. Whether a process holds of the kind that the reserved shape lacks, and works."""
    cdef rl_slot* s = rl_slot_at(R, slot)
    return s.state and s.shape and not s.blocked and demanded(R, s.shape, queue_at(R, R.h.reserved_for).stalled_on) != 0


cdef void reserve_for(rl_region* R, uint32_t q, uint32_t k) noexcept nogil:
    """Lock held. The reservation is a shape's, which lacks a kind. Whoever works and holds of it is counted from now on."""
    cdef uint32_t found = 0
    cdef uint32_t s
    rl_set32(R, &R.h.reserved_for, q)
    rl_set32(R, &queue_at(R, q).stalled_on, k)
    for s in range(1, R.h.slots.used):
        found += is_working_holder(R, s)
    rl_set32(R, &R.h.working_holders, found)


cdef void count_working_holders(rl_region* R, uint32_t shape, int by) noexcept nogil:
    """Lock held. One that holds what a shape demands begins to work, or works no more."""
    if R.h.reserved_for and demanded(R, shape, queue_at(R, R.h.reserved_for).stalled_on):
        rl_set32(R, &R.h.working_holders, R.h.working_holders + by)


cdef bint has_free(rl_region* R, uint32_t q, uint32_t k, int64_t times) noexcept nogil:
    """Lock held. Whether enough of a resource is free for so many tasks of a shape, the reservation not considered."""
    cdef int64_t need = demanded(R, q, k) * times
    if k == RL_GPU and 0 < need < RL_UNIT:
        if gpu_sharing(R, need) >= 0:
            return True
        need = RL_UNIT
    return need == 0 or need <= free_of(R, k)


cdef bint reservation_lifted(rl_region* R) noexcept nogil:
    """Lock held. Whether there is a reservation and it doesn't bind. Of CPUs it always does: who is blocked holds none."""
    cdef uint32_t q = R.h.reserved_for
    if q == 0 or R.h.working_holders:
        return False
    return queue_at(R, q).stalled_on != RL_CPU and not has_free(R, q, queue_at(R, q).stalled_on, 1)


cdef bint is_reserved(rl_region* R, uint32_t k) noexcept nogil:
    """Lock held. Whether what the reserved shape demands of a kind is kept for it."""
    cdef uint32_t lacks = queue_at(R, R.h.reserved_for).stalled_on
    return (k == lacks or lacks == RL_CPU or k != RL_CPU and k < lacks) and not reservation_lifted(R)


cdef int64_t reserved_amount(rl_region* R, uint32_t k) noexcept nogil:
    """Lock held. How much of a kept kind; whole GPUs, unless there is room in a shared one."""
    cdef int64_t amount = demanded(R, R.h.reserved_for, k)
    if k != RL_GPU or amount == 0 or amount >= RL_UNIT:
        return amount
    return 0 if gpu_sharing(R, amount) >= 0 else RL_UNIT


cdef bint may_share_gpu(rl_region* R) noexcept nogil:
    """Lock held. Whether who needs a part of a GPU may have it of a shared one, though GPUs are kept: the reserved shape needs
    whole ones and has them, or a part for which no shared one has room."""
    cdef int64_t amount = demanded(R, R.h.reserved_for, RL_GPU)
    return amount == 0 or queue_at(R, R.h.reserved_for).stalled_on != RL_GPU and gpu_sharing(R, amount) < 0
