"""Cancelling: a task that has not begun is left to the node, which fails it; a running task is marked.

The mark takes effect when the task is the innermost one of its process: the node sends a signal, and the worker checks the mark
before and after it runs something.  The process of an actor that runs several calls at a time hears of it by its bell.  Must
not raise anything in a task: workers/cancellation.py does.
"""
cdef enum:
    NOT_THERE = 0  # results of `task_cancel`: the task has ended, or can't be cancelled now
    WAS_QUEUED = 1
    IS_RUNNING = 2
    CANCELLED_LOG = 16  # log entries that moving a cancelled record writes at most, or unlinking an edge


cdef bint runs_beside_others(rl_region* R, rl_task* k) noexcept nogil:
    """Lock held. Whether a running task is one of several calls that an actor may run at a time, whose marks its process looks
    for when its bell rings."""
    return k.actor != 0 and actor_at(R, k.actor).most > 1


cdef int cancel_section(rl_region* R, uint32_t t, uint32_t how, uint32_t* owed) noexcept nogil:
    """Lock held. Cancels the task of a live record; returns what it found.

    `owed`: the task's queue if that is listed nowhere now, else 0; for `recheck_owed`.
    """
    cdef rl_task* k = task_at(R, t)
    if k.flags & RL_REPLAY:
        return NOT_THERE  # it has ended
    if k.state == RL_READY:
        queue_remove(R, t)
        cancelled_queued_add(R, t)
        owed[0] = 0 if queue_at(R, k.queue).listed else k.queue
    elif k.actor and (k.state != RL_RUNNING or actor_at(R, k.actor).creation == t):
        if not call_withdraw(R, t):
            return NOT_THERE  # a constructor's call is never cancelled: its actor could not live without it
        cancelled_queued_add(R, t)
    elif k.state == RL_WAITING:
        cancelled_queued_add(R, t)
    elif k.state == RL_RUNNING:
        if k.actor:
            how &= ~<uint32_t>RL_CANCEL_FORCED  # it descends from what was cancelled by force; its process is the actor's
        rl_set16(R, &k.flags, <uint16_t>((k.flags | RL_CANCELLED | how) & ~RL_CANCEL_DELIVERED))
        rl_set32(R, &R.h.cancels, R.h.cancels + 1)
        if runs_beside_others(R, k):
            rl_stage_up(R, RL_PUBLISH_BELL, k.owner, 0)
    else:
        return NOT_THERE
    rl_owe_node_of(rl_slot_at(R, k.owner).job if k.state == RL_RUNNING else R.job)
    return IS_RUNNING if k.state == RL_RUNNING else WAS_QUEUED


cdef int task_cancel(rl_region* R, uint32_t t, uint32_t serial, uint32_t how, int* found) noexcept nogil:
    """Cancels the task of a record, if it still has this serial. `how`: RL_CANCEL_FORCED, RL_CANCEL_RECURSIVE, both or 0."""
    cdef uint32_t owed = 0
    found[0] = NOT_THERE
    if rl_lock(R):
        return EIO
    if t and task_at(R, t).serial == serial:
        found[0] = cancel_section(R, t, how, &owed)
    rl_commit(R)
    rl_failpoint(R, b"cancel.ring")
    return recheck_owed(R, owed)


cdef int cancel_told(rl_region* R, uint32_t t) noexcept nogil:
    """Notes that a running task (0: none) of this process is told of its cancellation."""
    if rl_lock(R):
        return EIO
    if t:
        rl_set16(R, &task_at(R, t).flags, task_at(R, t).flags | RL_CANCEL_DELIVERED)
    rl_commit(R)
    return DONE


cdef int cancelled_queued_section(rl_region* R, uint32_t t) noexcept nogil:
    """Lock held. Unlinks the edges of a cancelled task, then moves its record to this slot's stack. MORE: the log is full."""
    cdef rl_task* k = task_at(R, t)
    if edges_cut(R, k, CANCELLED_LOG):
        return MORE
    rl_set32(R, &R.j.cancelled_queued, k.next)
    rl_task_become(R, k, RL_RUNNING)
    running_add(R, R.slot, t)
    return DONE


cdef int cancelled_queued_take(rl_region* R, uint32_t* out) noexcept nogil:
    """Moves a cancelled task that was queued to this slot, the node's, which fails it. `out`: the record, 0: there is none."""
    cdef int rc = MORE
    while rc == MORE:
        if rl_lock(R):
            return EIO
        out[0] = R.j.cancelled_queued
        rc = cancelled_queued_section(R, out[0]) if out[0] else DONE
        rl_commit(R)
        rl_failpoint(R, b"cancelled.adopt")
    return DONE


cdef bint descends(rl_region* R, uint32_t t, const uint64_t* ancestors, uint32_t n) noexcept nogil:
    """Lock held. Whether a task descends from one of the ancestors; unknown, so False, if a task in between has ended.

    `ancestors`: the serial and one, or 0, by record, of the first `n` records. These tasks may have ended.
    """
    cdef uint32_t parent = task_at(R, t).parent
    cdef uint32_t its_serial = task_at(R, t).parent_serial
    cdef uint32_t _
    for _ in range(R.h.tasks.live):
        if parent == 0 or (parent < n and ancestors[parent] == <uint64_t>its_serial + 1):
            return parent != 0
        if task_at(R, parent).serial != its_serial or task_at(R, parent).state == RL_FREE:
            return False
        its_serial = task_at(R, parent).parent_serial
        parent = task_at(R, parent).parent
    return False
