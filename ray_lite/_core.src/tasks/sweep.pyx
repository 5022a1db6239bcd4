"""The sweep: frees what a dead process held.

    resources, idle list -> records under construction, bits -> its tasks, one by one -> its actor, if it was one's -> the slot

What the process held is freed before its tasks are dealt with, so that a task which runs again does not find it in its way.
The sweep runs only in the node, and only after the process's pidfd said that all its threads are gone.  Each step is one short
section; between two of them the region is consistent.  Must not decide what a death means: policy/scheduler.py does.
"""


cdef int slot_sweeping(rl_region* R, uint32_t slot) noexcept nogil:
    """Begins the sweep of a dead slot: takes it off the idle list, or its actor out of a queue, releases its resources, then
    rechecks all stalled queues."""
    cdef rl_slot* s = rl_slot_at(R, slot)
    if rl_lock(R):
        return EIO
    worker_arrived(R, s)
    if s.availability == RL_IDLE:
        idle_remove(R, slot, RL_BUSY)
    elif s.availability == RL_STARTING:
        rl_worker_become(R, s, RL_BUSY)
    if s.actor:
        actor_stops(R, s.actor)
    grant_release(R, slot)
    release(R, slot, &s.held)
    awaits_set(R, &s.awaits, 0)
    rl_set32(R, &s.blocked, 0)
    rl_process_become(R, s, RL_SWEEPING)
    rl_commit(R)
    rl_failpoint(R, b"sweeping.adopt")
    return recheck_all(R)


cdef bint finish_begun(rl_region* R, rl_task* k) noexcept nogil:
    """Lock held. Whether some arguments of a RUNNING record were unpinned: without returns, only that shows that it has run."""
    cdef uint32_t r = k.refs
    cdef uint32_t n = 0
    while r:
        n += 1
        r = ref_at(R, r).next
    return n != k.nrefs


cdef int slot_adopt_task(rl_region* R, uint32_t slot, uint32_t* out, bint* complete) noexcept nogil:
    """Moves the innermost task of a dead slot to this slot, the node's, and empties its unsealed returns.

    `out`: set to the task, or 0 if there is none.  `complete`: set to whether the task had ended.
    """
    cdef uint32_t t, i
    cdef rl_task* k
    if rl_lock(R):
        return EIO
    t = rl_slot_at(R, slot).running
    out[0] = t
    complete[0] = True
    if t:
        k = task_at(R, t)
        complete[0] = k.nreturns != 0 or finish_begun(R, k)
        if k.awaits:
            call_awaits_set(R, t, 0)
        running_remove(R, t)
        running_add(R, R.slot, t)
    rl_commit(R)
    rl_failpoint(R, b"adopt.reset")
    i = task_at(R, t).returns if t else 0
    while i:
        if object_at(R, i).state == RL_PENDING:
            complete[0] = False
            if return_reset(R, i):
                return EIO
        i = object_at(R, i).next
    return DONE


cdef int sweep_bit(rl_region* R, uint32_t slot, uint32_t i) noexcept nogil:
    """Clears the dead slot's bits on object `i`; frees an object that nothing else keeps, such as an unfinished one."""
    if rl_lock(R):
        return EIO
    reader_clear(R, slot, i)
    holder_clear(R, slot, i)
    rl_commit(R)
    rl_failpoint(R, b"sweep.bit")
    return DONE


cdef void wake_everybody(rl_region* R) noexcept nogil:
    """Wakes all processes after deaths, since a dead process may have owed a wake-up, or at the session's end."""
    cdef uint32_t i
    cdef rl_slot* s
    for i in range(1, rl_load(&R.h.slots.used)):
        s = rl_slot_at(R, i)
        rl_add(&s.arrived, 1)
        rl_futex_wake(&s.arrived)
        rl_add(&s.bell, 1)
        rl_futex_wake(&s.bell)


cdef int sweep(rl_region* R, uint32_t slot) noexcept nogil:
    """Frees all that a dead process held except its running tasks, which pin what they need to run again."""
    cdef uint64_t bits
    cdef uint64_t word
    cdef uint32_t i
    while rl_slot_at(R, slot).building:
        if task_unwind(R, slot, rl_slot_at(R, slot).building):
            return EIO
    for word in range((<uint64_t>min(rl_load(&R.h.objects.used), rl_slot_at(R, slot).row_limit) + 63) // 64):
        bits = holder_word(R, slot, <uint32_t>(word * 64))[0]
        while bits:
            i = <uint32_t>(word * 64 + __builtin_ctzll(bits))
            bits &= bits - 1
            if sweep_bit(R, slot, i):
                return EIO
    return garbage_drain(R)


cdef int slot_free(rl_region* R, uint32_t slot) noexcept nogil:
    """Frees a swept slot whose tasks have been adopted."""
    rl_failpoint(R, b"sweep.free")
    if rl_lock(R):
        return EIO
    rl_set32(R, &rl_slot_at(R, slot).epoch, rl_slot_at(R, slot).epoch + 1)
    if rl_process_may(R, rl_slot_at(R, slot), RL_FREE):
        table_give(R, &R.h.slots, slot)
    rl_commit(R)
    return DONE
