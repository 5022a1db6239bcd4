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


cdef void running_add(rl_region* R, uint32_t slot, uint32_t t) noexcept nogil:
    """Lock held. Makes a task the innermost one on a slot's stack. Calls of an actor are linked both ways: they end in any
    order."""
    cdef rl_slot* s = rl_slot_at(R, slot)
    cdef rl_task* k = task_at(R, t)
    rl_set32(R, &k.next, s.running)
    if k.actor:
        rl_set32(R, &k.prev, 0)
    if s.running and task_at(R, s.running).actor:
        rl_set32(R, &task_at(R, s.running).prev, t)
    rl_set32(R, &k.owner, slot)
    rl_set32(R, &s.running, t)


cdef void running_remove(rl_region* R, uint32_t t) noexcept nogil:
    """Lock held. Takes a RUNNING task off its slot's stack: the innermost one, or any call of an actor."""
    cdef rl_task* k = task_at(R, t)
    cdef uint32_t before = k.prev if k.actor else 0
    rl_set32(R, &task_at(R, before).next if before else &rl_slot_at(R, k.owner).running, k.next)
    if k.next and task_at(R, k.next).actor:
        rl_set32(R, &task_at(R, k.next).prev, before)
    if k.actor and k.owner == actor_at(R, k.actor).slot:
        rl_set32(R, &actor_at(R, k.actor).nrunning, actor_at(R, k.actor).nrunning - 1)


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
    if k.actor:
        rl_set32(R, &actor_at(R, k.actor).ncalls, actor_at(R, k.actor).ncalls - 1)
        actor_end_if_unneeded(R, k.actor)


cdef void run_begin(rl_region* R, uint32_t t) noexcept nogil:
    """Lock held. Makes a task, which is off its queue, the innermost one on this slot's stack."""
    cdef rl_task* k = task_at(R, t)
    rl_task_become(R, k, RL_RUNNING)
    running_add(R, R.slot, t)
    if k.attempts < RL_ATTEMPTS:
        rl_set16(R, &k.attempts, k.attempts + 1)


cdef void cancelled_queued_add(rl_region* R, uint32_t t) noexcept nogil:
    """Lock held. Puts a cancelled record that does not run on the list for the node."""
    rl_task_become(R, task_at(R, t), RL_CANCELLED_QUEUED)
    rl_set32(R, &task_at(R, t).owner, 0)
    rl_set32(R, &task_at(R, t).next, R.j.cancelled_queued)
    rl_set32(R, &R.j.cancelled_queued, t)


cdef bint is_undelivered(rl_task* k) noexcept nogil:
    """Whether a running task was cancelled and has not been told so yet. Its flags may change at any time."""
    return rl_load16(&k.flags) & (RL_CANCELLED | RL_CANCEL_DELIVERED) == RL_CANCELLED
