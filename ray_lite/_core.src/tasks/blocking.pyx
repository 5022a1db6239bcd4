"""Blocking: while a worker sleeps inside a task, its CPUs are free for other workers.

Neighbours: scheduling/grants.pyx counts the blocked workers; python/process_lifecycle.pyx calls these functions.
"""


cdef int block_begin(rl_region* R, bint for_ever) noexcept nogil:
    """Blocks this worker, which is about to sleep inside a task: releases its CPUs. `for_ever`: it sleeps without a timeout."""
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    cdef uint32_t owed = 0
    if rl_lock(R):
        return EIO
    rl_set32(R, &me.blocked, me.blocked + 1)
    if me.blocked == 1:
        rl_set64(R, <uint64_t*>&me.since, <uint64_t>rl_now())
        if me.shape:
            resource_add(R, RL_CPU, queue_at(R, me.shape).cpus)
            count_working(R, me.shape, -1)
            count_blocked(R, 1)
            recheck_resource(R, RL_CPU)
            owed = R.h.reserved_for if reservation_lifted(R) else 0
    rl_store(&me.deadlock_flag, RL_WAITS_FOREVER if for_ever else 0)
    wake_workers(R, R.h.nready)
    if R.h.nworking == 0 and R.h.nready:
        rl_owe_node()  # the queued tasks may lack what blocked workers hold: the node looks for a deadlock
    rl_commit(R)
    rl_failpoint(R, b"block.sleep")
    return recheck_owed(R, owed)


cdef int block_end(rl_region* R) noexcept nogil:
    """Unblocks this worker, which woke, and re-acquires its CPUs at once; free CPUs may go negative."""
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    rl_failpoint(R, b"wake.unblock")
    rl_store(&me.deadlock_flag, 0)  # the flag concerns only the wait that ends here
    if rl_lock(R):
        return EIO
    rl_set32(R, &me.blocked, me.blocked - 1)
    if me.blocked == 0 and me.shape:
        resource_add(R, RL_CPU, -queue_at(R, me.shape).cpus)
        count_working(R, me.shape, 1)
        count_blocked(R, -1)
    rl_commit(R)
    return DONE
