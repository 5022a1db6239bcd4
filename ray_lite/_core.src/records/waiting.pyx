"""Waiting for objects: a process marks what it lacks, sleeps on its slot's `arrived`, and is woken by the process that seals.

`wake_at` says how many arrivals the process needs.  A mark is never removed: one left by a waiter that died, timed out or is
satisfied costs one increment and does no harm.  Neighbour: region/sync.h (publish, bump).  Must not choose timeouts.
"""


cdef bint is_sealed(rl_region* R, uint32_t i) noexcept nogil:
    return rl_load(&object_at(R, i).state) == RL_SEALED  # acquire: the payload behind it is complete


cdef uint64_t still_lacking(rl_region* R, uint32_t* lack, uint64_t n) noexcept nogil:
    """Keeps in `lack` the objects that are not sealed; returns their number."""
    cdef uint64_t kept = 0
    cdef uint64_t k
    for k in range(n):
        if not is_sealed(R, lack[k]):
            lack[kept] = lack[k]
            kept += 1
    return kept


cdef void announce_all(rl_region* R, uint32_t* lack, uint64_t n) noexcept nogil:
    cdef uint64_t k
    for k in range(n):
        rl_announce(&object_at(R, lack[k]).waiter, R.slot, &object_at(R, lack[k]).state)


cdef int park_arrived(rl_region* R, uint32_t seen, uint32_t missing, int64_t ns) noexcept nogil:
    """Sleeps until `missing` seals have arrived after `seen`, for at most `ns`. 0, EINTR, EAGAIN or ETIMEDOUT."""
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    cdef uint32_t now
    cdef int rc = 0
    # if several threads sleep here, every arrival wakes all, and each checks for itself. The stores pair with rl_bump
    if rl_add(&me.waiting, 1) == 0:
        rl_store(&me.wake_at, seen + missing)
        if rl_load(&me.waiting) != 1:  # another thread came in between, and its smaller value was overwritten
            rl_store(&me.wake_at, rl_load(&me.arrived) + 1)
            rl_futex_wake(&me.arrived)
    else:  # not later than now: a sealer between its bump and its load of wake_at may owe the other thread a wake-up
        rl_store(&me.wake_at, rl_load(&me.arrived))
    now = rl_load(&me.arrived)
    if now - seen < missing:
        rl_failpoint(R, b"check.sleep")
        rc = rl_futex_wait(&me.arrived, now, ns)
    rl_add(&me.waiting, <uint32_t>-1)
    return rc


cdef int spin_arrived(rl_region* R, uint32_t seen, uint32_t missing, int64_t until) noexcept nogil:
    """Spins until `missing` seals have arrived after `seen` (1), or until the time `until` (0)."""
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    cdef uint32_t k = 0
    while rl_load(&me.arrived) - seen < missing:
        rl_pause()
        k += 1
        if k & 31 == 0 and rl_now() >= until:
            return 0
    return 1


cdef struct rl_wait:
    # what a call waits for, and how; times in nanoseconds of CLOCK_MONOTONIC
    uint32_t* lack     # objects that are not sealed; the call compacts it
    uint64_t n         # in: their number; out: the number still lacking
    uint64_t allowed   # the call ends when no more than so many are lacking
    int64_t deadline   # -1: none
    int64_t spin       # spins for so long first
    int64_t park       # longest sleep
    bint marked


cdef int wait_step(rl_region* R, rl_wait* w) noexcept nogil:
    """One step of a wait: a check, then a spin or a sleep. DONE: satisfied; ETIMEDOUT: deadline; EINTR: a signal; else MORE."""
    cdef uint32_t seen = rl_load(&rl_slot_at(R, R.slot).arrived)
    cdef int64_t ns = w.park
    cdef int64_t now
    w.n = still_lacking(R, w.lack, w.n)
    if w.n <= w.allowed:
        return DONE
    if not w.marked:
        announce_all(R, w.lack, w.n)
        w.marked = True
        rl_failpoint(R, b"announce.check")
        return MORE  # announced: checks once more before it sleeps
    now = rl_now()
    if w.deadline >= 0:
        if now >= w.deadline:
            return ETIMEDOUT
        ns = min(ns, w.deadline - now)
    if w.spin > 0:
        if spin_arrived(R, seen, 1, now + min(w.spin, ns)):
            return MORE
        w.spin = 0
        return MORE
    return EINTR if park_arrived(R, seen, <uint32_t>(w.n - w.allowed), ns) == EINTR else MORE


cdef int wait_for(rl_region* R, rl_wait* w, uint32_t looks) noexcept nogil:
    """Waits for at most `looks` steps; the caller then checks signals and whether the node lives."""
    cdef int rc = MORE
    cdef uint32_t k = 0
    while rc == MORE and k < looks:
        rc = wait_step(R, w)
        k += 1
    return rc
