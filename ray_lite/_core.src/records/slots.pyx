"""Process slots: opening one for a process, and adopting one in a forked worker.

Neighbours: idle_workers.pyx; region/states.h (ALIVE, SWEEPING).  Must not decide how many workers there are.
"""


cdef int slot_open(rl_region* R, uint32_t role, uint32_t pid, uint64_t started, uint32_t* out) noexcept nogil:
    """Opens a slot for a process. The node opens a worker's slot before the fork, as STARTING."""
    cdef int rc = DONE
    while True:
        if rl_lock(R):
            return EIO
        out[0] = table_take(R, &R.h.slots)
        rc = DONE if out[0] else GROW_SLOTS
        if rc == DONE:
            slot_begin(R, out[0], role)
            rl_fresh32(&rl_slot_at(R, out[0]).pid, pid)
            rl_fresh64(&rl_slot_at(R, out[0]).started, started)
        if not section_repeats(R, &rc, 0):
            return rc


cdef void traces_begin(rl_region* R) noexcept nogil:
    """Lock not held. Makes the ring of this process's slot its own, with pages, which stay for good. Without memory for them it
    keeps no traces."""
    cdef uint64_t at = R.h.traces + R.h.trace_bytes * R.slot
    if R.h.trace_records and not rl_load(&rl_slot_at(R, R.slot).traced):
        if commit_pages(R.control_fd, at, at + R.h.trace_bytes) == DONE:
            rl_store(&rl_slot_at(R, R.slot).traced, 1)
    R.ring = rl_trace_ring_of(R, R.slot)


cdef void slot_begin(rl_region* R, uint32_t slot, uint32_t role) noexcept nogil:
    """Lock held. Initializes a slot: nothing is left of the process that had it before."""
    cdef rl_slot* s = rl_slot_at(R, slot)
    rl_process_become(R, s, RL_ALIVE)
    memset(&s.running, 0, <size_t>(<char*>&s.availability - <char*>&s.running))
    rl_fresh32(&s.blocked, 0)
    rl_fresh64(&s.finished, 0)
    memset(&s.gpus, 0, <size_t>(<char*>&s.since - <char*>&s.gpus))
    memset(&s.thread_waits, 0, <size_t>(<char*>&s.awaits - <char*>&s.thread_waits) + sizeof(s.awaits))
    rl_fresh32(&s.role, role)
    if (s.job != R.job or s.job_serial != R.j.serial) and rl_load(&s.traced):
        rl_fresh64(&s.trace_since, rl_traces_written(rl_trace_ring_of(R, slot)))
    rl_fresh32(&s.job, R.job)
    rl_fresh32(&s.job_serial, R.j.serial)
    if role == RL_WORKER:
        rl_worker_become(R, s, RL_STARTING)
    rl_store(&s.parked, 0)
    rl_store(&s.waiting, 0)
    rl_store(&s.waiting_for_room, 0)
    rl_store(&s.leaving, 0)
    rl_store(&s.deadlock_flag, 0)
    rl_store(&s.thread_deadlock_flag, 0)


cdef int slot_adopt(rl_region* R, uint32_t slot, uint32_t pid, uint64_t started) noexcept nogil:
    """Gives a forked process the slot that the node opened for it. Until a worker asks for a task it counts as rung, so that no
    other worker is started for the same task."""
    cdef rl_slot* s = rl_slot_at(R, slot)
    R.slot = slot
    traces_begin(R)
    R.row_limit = 0
    if rl_lock(R):
        return EIO
    rl_set32(R, &s.pid, pid)
    rl_set64(R, &s.started, started)
    if s.actor == 0:
        rl_worker_become(R, s, RL_RUNG)
    elif actor_at(R, s.actor).state == RL_ACTOR_STARTING:  # else it is to end already
        rl_actor_become(R, actor_at(R, s.actor), RL_ACTOR_ALIVE)
        actor_end_if_unneeded(R, s.actor)  # its last handle may have gone while it was started again
    rl_commit(R)
    return DONE
