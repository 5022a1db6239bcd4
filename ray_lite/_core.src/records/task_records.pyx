"""Task records: the lists a record is on while it is built, runs, or was cancelled before it ran; and its end.

region/states.h has the states.  Neighbours: tasks/ moves a record through its life; references.pyx (its returns and arguments).
"""


cdef void building_remove(rl_region* R, uint32_t t) noexcept nogil:
    """Lock held. Takes a record off its slot's list of records under construction."""
    cdef rl_task* k = task_at(R, t)
    list_remove(R, &task_at(R, k.prev).next if k.prev else &rl_slot_at(R, k.owner).building,
                &task_at(R, k.next).prev if k.next else NULL, k.next, k.prev)


cdef bint drop_refs(rl_region* R, rl_task* k) noexcept nogil:
    """Lock held. Unpins arguments while the log has room; returns whether all are unpinned."""
    cdef uint32_t r, i
    while k.refs:
        if rl_log_used(R) > RL_LOG_BUDGET - STEP_LOG:
            return False
        r = k.refs
        i = ref_at(R, r).object
        if ref_at(R, r).linked:  # in a record that is unwound
            edge_unlink(R, r)
            rl_set32(R, &k.ndeps, k.ndeps - 1)
        rl_set32(R, &k.refs, ref_at(R, r).next)
        table_give(R, &R.h.refs, r)
        unpin(R, i)
    return True


cdef void task_free(rl_region* R, uint32_t t) noexcept nogil:
    """Lock held. Frees a record and the block of its arguments."""
    cdef rl_task* k = task_at(R, t)
    cdef uint32_t extent = k.extent
    if not rl_task_may(R, k, RL_FREE):
        return
    if extent:
        rl_set32(R, &k.extent, 0)
        block_give(R, extent, k.cell)
    rl_set32(R, &k.serial, k.serial + 1)
    table_give(R, &R.h.tasks, t)


cdef void run_begin(rl_region* R, uint32_t t) noexcept nogil:
    """Lock held. Makes a task, which is off its queue, the innermost one on this slot's stack."""
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    cdef rl_task* k = task_at(R, t)
    rl_task_become(R, k, RL_RUNNING)
    rl_set32(R, &k.owner, R.slot)
    rl_set32(R, &k.next, me.running)
    if k.attempts < RL_ATTEMPTS:
        rl_set16(R, &k.attempts, k.attempts + 1)
    rl_set32(R, &me.running, t)


cdef void cancelled_queued_add(rl_region* R, uint32_t t) noexcept nogil:
    """Lock held. Puts a cancelled record that does not run on the list for the node."""
    rl_task_become(R, task_at(R, t), RL_CANCELLED_QUEUED)
    rl_set32(R, &task_at(R, t).owner, 0)
    rl_set32(R, &task_at(R, t).next, R.h.cancelled_queued)
    rl_set32(R, &R.h.cancelled_queued, t)


cdef bint is_undelivered(rl_task* k) noexcept nogil:
    """Whether a running task was cancelled and has not been told so yet. Its flags may change at any time."""
    return rl_load16(&k.flags) & (RL_CANCELLED | RL_CANCEL_DELIVERED) == RL_CANCELLED
