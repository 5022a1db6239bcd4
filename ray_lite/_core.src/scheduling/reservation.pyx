"""The reservation: what is kept for a shape that others passed over for too long, so that it does not starve.

One shape at a time has it.  It asks for its resources in a fixed order, CPU last.  It keeps what it found so far, and what is
released of the resource that it lacks.  So it gets all of them after a finite time, and no CPU is idle while it waits for
another resource.  A worker that holds that resource may itself wait for a task that needs what is kept.  So the reservation is
lifted while no worker that could release some is working.  Neighbours: fits.pyx asks what is reserved; dispatch.pyx and
wakeups.pyx decide which shape has it.
"""
cdef enum:
    RESERVE_LOG = 3  # log entries that `reserve_for` writes


cdef bint is_working_holder(rl_region* R, uint32_t slot) noexcept nogil:
    """Lock held. Whether a process holds some of the resource that the reserved shape lacks, and works."""
    cdef rl_slot* s = rl_slot_at(R, slot)
    return s.state and s.shape and not s.blocked and demanded(R, s.shape, queue_at(R, R.h.reserved_for).stalled_on) != 0


cdef void reserve_for(rl_region* R, uint32_t q, uint32_t k) noexcept nogil:
    """Lock held. Gives the reservation to a shape, which lacks resource `k`. Processes that work and hold some of it are
    counted from now on."""
    cdef uint32_t found = 0
    cdef uint32_t s
    rl_set32(R, &R.h.reserved_for, q)
    rl_set32(R, &queue_at(R, q).stalled_on, k)
    for s in range(1, R.h.slots.used):
        found += is_working_holder(R, s)
    rl_set32(R, &R.h.working_holders, found)


cdef void count_working_holders(rl_region* R, uint32_t shape, int by) noexcept nogil:
    """Lock held. Counts a process with this shape that begins (`by` 1) or stops (-1) working, if it holds the resource that the
    reserved shape lacks."""
    if R.h.reserved_for and demanded(R, shape, queue_at(R, R.h.reserved_for).stalled_on):
        rl_set32(R, &R.h.working_holders, R.h.working_holders + by)


cdef bint has_free(rl_region* R, uint32_t q, uint32_t k, int64_t times) noexcept nogil:
    """Lock held. Whether enough of a resource is free for `times` tasks of a shape, without regard to the reservation."""
    cdef int64_t need = demanded(R, q, k) * times
    if k == RL_GPU and 0 < need < RL_UNIT:
        if gpu_sharing(R, need) >= 0:
            return True
        need = RL_UNIT
    return need == 0 or need <= free_of(R, k)


cdef bint lacks_held_cpus(rl_region* R, uint32_t q) noexcept nogil:
    """Whether a shape demands CPUs that actors hold for life: nobody knows for how long. Without the lock: a hint."""
    cdef int64_t held = <int64_t>rl_load64(<uint64_t*>&R.h.cpus_held)
    return held != 0 and queue_at(R, q).cpus > resource_at(R, RL_CPU).total - held


cdef int64_t held_for_life(rl_region* R, uint32_t k) noexcept nogil:
    """How much of a resource actors hold for life. Without the lock: a hint."""
    cdef int64_t amount = 0
    cdef uint32_t i, q
    for i in range(1, rl_load(&R.h.slots.used)):
        q = rl_load(&rl_slot_at(R, i).held)
        amount += demanded(R, q, k) if q else 0
    return amount


cdef bint lacks_held(rl_region* R, uint32_t q) noexcept nogil:
    """Whether a shape demands anything of which actors hold too much for life. Without the lock: a hint."""
    cdef rl_queue* e = queue_at(R, q)
    cdef uint32_t d
    if rl_load(&R.h.actors.live) == 0:
        return False
    if lacks_held_cpus(R, q) or e.gpus and e.gpus > resource_at(R, RL_GPU).total - held_for_life(R, RL_GPU):
        return True
    for d in range(e.first, e.first + e.count):
        if demand_at(R, d).amount > resource_at(R, demand_at(R, d).resource).total - held_for_life(R, demand_at(R, d).resource):
            return True
    return False


cdef bint reservation_lifted(rl_region* R) noexcept nogil:
    """Lock held. Whether a reservation exists but does not bind now. One of CPUs binds unless actors hold them for life, since
    a blocked worker holds none."""
    cdef uint32_t q = R.h.reserved_for
    if q == 0:
        return False
    if queue_at(R, q).stalled_on == RL_CPU:
        return lacks_held_cpus(R, q)
    return R.h.working_holders == 0 and not has_free(R, q, queue_at(R, q).stalled_on, 1)


cdef bint is_reserved(rl_region* R, uint32_t k) noexcept nogil:
    """Lock held. Whether what the reserved shape demands of a resource is kept for it: all that it asks for up to the one it
    lacks."""
    cdef uint32_t lacks = queue_at(R, R.h.reserved_for).stalled_on
    return (k == lacks or lacks == RL_CPU or k != RL_CPU and k < lacks) and not reservation_lifted(R)


cdef int64_t reserved_amount(rl_region* R, uint32_t k) noexcept nogil:
    """Lock held. Amount of a reserved resource that is kept; of GPUs a whole one, unless a shared one has room."""
    cdef int64_t amount = demanded(R, R.h.reserved_for, k)
    if k != RL_GPU or amount == 0 or amount >= RL_UNIT:
        return amount
    return 0 if gpu_sharing(R, amount) >= 0 else RL_UNIT


cdef bint may_share_gpu(rl_region* R) noexcept nogil:
    """Lock held. Whether a task that needs a part of a GPU may take it from a shared one although GPUs are kept. It may if the
    reserved shape demands no GPU, or if it lacks another resource and takes nothing of a shared GPU: it needs whole ones, or a
    part for which no shared one has room."""
    cdef int64_t amount = demanded(R, R.h.reserved_for, RL_GPU)
    return amount == 0 or queue_at(R, R.h.reserved_for).stalled_on != RL_GPU and gpu_sharing(R, amount) < 0
