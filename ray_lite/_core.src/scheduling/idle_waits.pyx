"""Idle waits: an idle worker spins for its bell while a CPU is free for that, then parks: it sleeps in the kernel.

Neighbours: records/idle_workers.pyx (the list of them), wakeups.pyx (who rings).  Must not decide how long it waits.
"""
cdef extern from "sched.h" nogil:
    int sched_yield()

cdef enum:
    YIELDED = 10000  # ns from which on a yield has let another process run: ten times what it takes else


cdef bint yielded() noexcept nogil:
    """Yields the CPU. Whether another process took it: then no CPU is free to spin on."""
    cdef int64_t before = rl_now()
    sched_yield()
    return rl_now() - before > YIELDED


cdef bint cpus_are_wanted(rl_region* R) noexcept nogil:
    """Lock not needed: a hint. Whether other jobs have tasks while half of the CPUs are taken: their processes, drivers
    included, can use a CPU better than one that spins."""
    cdef rl_resource* cpu = resource_at(R, RL_CPU)
    cdef uint32_t i
    if rl_load(&R.h.jobs.live) > 1 and 2 * <int64_t>rl_load64(<uint64_t*>&cpu.free) <= cpu.total:
        for i in range(1, rl_load(&R.h.jobs.used)):
            if i != R.job and (rl_load(&rl_job_at(R, i).nready) or rl_load(&rl_job_at(R, i).nworking)):
                return True
    return False


cdef int bell_wait(rl_region* R, uint32_t bell, int64_t spin, int64_t park) noexcept nogil:
    """Waits until this process's bell is no longer `bell`: spins for `spin` ns, then sleeps for at most `park` ns. DONE (rung),
    ETIMEDOUT or EINTR."""
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    cdef uint32_t k = 0
    cdef int64_t until = rl_now() + spin
    cdef int rc
    while spin > 0 and rl_load(&me.bell) == bell:
        rl_pause()
        k += 1
        if k & 31 == 0 and rl_now() >= until:
            break
        if k & 127 == 0 and (cpus_are_wanted(R) or yielded()):
            break
    if rl_load(&me.bell) != bell:
        return DONE
    rl_store(&me.parked, 1)  # announced before the kernel compares the bell: pairs with rl_publish_one
    rl_failpoint(R, b"park.sleep")
    rc = rl_futex_wait(&me.bell, bell, park)
    rl_store(&me.parked, 0)
    if rl_load(&me.bell) != bell:
        return DONE
    return rc if rc else DONE


cdef int idle_wait(rl_region* R, int64_t spin, int64_t park) noexcept nogil:
    """Waits for this idle worker's bell: spins for `spin` ns, then sleeps for at most `park` ns. DONE (rung), ETIMEDOUT or
    EINTR."""
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    cdef uint32_t bell = rl_load(&me.bell)
    if rl_load(&me.availability) != RL_IDLE or rl_load(&me.leaving) or rl_load(&R.j.closing):
        return DONE  # the bell may have rung before it was loaded
    return bell_wait(R, bell, spin, park)
