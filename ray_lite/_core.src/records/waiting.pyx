"""Waiting for objects: a process marks what it lacks, sleeps on its slot's `arrived`, and is woken by whoever seals.

`wake_at` says how many arrivals the process needs.  A mark is never taken back: one left by a dead, timed-out or satisfied waiter
costs one increment and harms nobody.  Neighbours: region/sync.h (publish, bump).  Must not choose timeouts.
"""


cdef bint is_sealed(rl_region* R, uint32_t i) noexcept nogil:
    return rl_load(&object_at(R, i).state) == RL_SEALED  # acquire: the payload behind it is complete


cdef uint64_t still_lacking(rl_region* R, uint32_t* lack, uint64_t n) noexcept nogil:
    """Keeps in `lack` what is not ready; how many that is."""
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
    """Sleeps until `missing` seals arrived after `seen`, at most `ns`. 0, EINTR, EAGAIN or ETIMEDOUT."""
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    cdef uint32_t now
    cdef int rc = 0
    # several threads may sleep here: then every arrival wakes, and each looks for itself. The stores pair with rl_bump
    if rl_add(&me.waiting, 1) == 0:
        rl_store(&me.wake_at, seen + missing)
        if rl_load(&me.waiting) != 1:  # another thread came in between: its smaller need was overwritten
            rl_store(&me.wake_at, rl_load(&me.arrived) + 1)
            rl_futex_wake(&me.arrived)
    else:  # no later than now: a sealer between its bump and its look at wake_at may owe the other thread a wake
        rl_store(&me.wake_at, rl_load(&me.arrived))
    now = rl_load(&me.arrived)
    if now - seen < missing:
        rl_failpoint(R, b"look.sleep")
        rc = rl_futex_wait(&me.arrived, now, ns)
    rl_add(&me.waiting, <uint32_t>-1)
    return rc


cdef int spin_arrived(rl_region* R, uint32_t seen, uint32_t missing, int64_t until) noexcept nogil:
    """Burns time until enough arrived or the clock says stop; 1 when something arrived."""
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    cdef uint32_t k = 0
    while rl_load(&me.arrived) - seen < missing:
        rl_pause()
        k += 1
        if k & 31 == 0 and rl_now() >= until:
            return 0
    return 1


cdef struct rl_wait:
    # what a waiting call wants and how it may wait; times in nanoseconds of CLOCK_MONOTONIC
    uint32_t* lack     # objects not ready; the call compacts it
    uint64_t n         # in: how many; out: how many are still lacking
    uint64_t allowed   # the call ends when no more than this many are lacking
    int64_t deadline   # or -1
    int64_t spin       # burn so long first
    int64_t park       # longest sleep
    bint marked


cdef int wait_step(rl_region* R, rl_wait* w) noexcept nogil:
    """One look, one spin, one sleep. DONE when satisfied, ETIMEDOUT at the deadline, EINTR after a signal, else MORE."""
    cdef uint32_t seen = rl_load(&rl_slot_at(R, R.slot).arrived)
    cdef int64_t ns = w.park
    cdef int64_t now
    w.n = still_lacking(R, w.lack, w.n)
    if w.n <= w.allowed:
        return DONE
    if not w.marked:
        announce_all(R, w.lack, w.n)
        w.marked = True
        rl_failpoint(R, b"announce.look")
        return MORE  # announced: look once more before sleeping
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
    """Waits for at most `looks` sleeps; the caller then tests signals and the node's life."""
    cdef int rc = MORE
    cdef uint32_t k = 0
    while rc == MORE and k < looks:
        rc = wait_step(R, w)
        k += 1
    return rc
