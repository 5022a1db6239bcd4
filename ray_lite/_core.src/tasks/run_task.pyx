"""Running: a worker takes a task, seals its returns, wakes processes that wait, and takes the next task in the same section.

The ready set of a task is a count, `ndeps`, of its unsealed arguments: sealing an object unlinks its edges and counts down, and
zero makes the task READY.  No process ever recomputes the count.  Neighbours: scheduling/dispatch.pyx (which task is next),
sweep.pyx (the tasks of a dead worker).  Must not decide retries: policy/attempt_ends.py does.
"""
cdef enum:
    FINISH_LOG = 44  # log entries that the last step of finishing writes at most
    CALL_END_LOG = 8  # those of a call, in addition


cdef uint32_t edges_drain(rl_region* R, uint32_t i) noexcept nogil:
    """Lock held. Counts down the tasks that wait for object `i`, as far as the log allows; returns how many became READY."""
    cdef uint32_t fresh = 0
    cdef uint32_t r, t
    while object_at(R, i).edges and rl_log_used(R) < RL_LOG_BUDGET - 20:
        r = object_at(R, i).edges
        t = ref_at(R, r).owner
        if task_at(R, t).actor and (rl_log_used(R) > RL_LOG_BUDGET - DRAIN_CALL_LOG or rl_staged_full(R)):
            break
        edge_unlink(R, r)
        rl_set32(R, &task_at(R, t).ndeps, task_at(R, t).ndeps - 1)
        if task_at(R, t).ndeps:
            continue
        if task_at(R, t).actor:
            call_unblocked(R, t)
        elif task_at(R, t).state == RL_WAITING:
            queue_push(R, t)
            fresh += 1
    return fresh


cdef inline bint returns_seal(rl_region* R, rl_task* k, uint32_t* fresh) noexcept nogil:
    """Lock held. Publishes the returns of a task, counts down the tasks that wait for them, then lets them go. False: the log
    is full."""
    cdef uint32_t i = k.returns
    cdef rl_object* o
    while i:
        o = object_at(R, i)
        if rl_log_used(R) > RL_LOG_BUDGET - 24 or rl_staged_full(R):
            return False
        if o.state == RL_PENDING:
            if o.holders or o.pins:
                rl_object_publish(R, i)
            else:
                rl_object_become(R, o, RL_SEALED)  # no process can read it, and it is freed below: nothing to publish
        if o.edges:
            fresh[0] += edges_drain(R, i)
            if o.edges:
                return False
        i = o.next
    while k.returns:
        if rl_log_used(R) > RL_LOG_BUDGET - STEP_LOG:
            return False
        i = k.returns
        rl_set32(R, &k.returns, object_at(R, i).next)
        rl_set32(R, &object_at(R, i).task, 0)
        free_if_unreferenced(R, i)
    return True


cdef int finish_section(rl_region* R, uint32_t t, uint32_t* fresh, uint32_t* given) noexcept nogil:
    """Lock held. Publishes the returns, counts down the tasks that wait for them, frees what the record holds. DONE or MORE.

    The chain of returns stays whole until all are sealed: so after a death "all sealed" means that the task must be finished,
    not run again.  `fresh`: grows by the tasks that became READY.  `given`: set to the shape whose resources were released.
    """
    cdef rl_task* k = task_at(R, t)
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    cdef bint kept = k.actor != 0 and call_is_kept(R, t)
    if not returns_seal(R, k, fresh):
        return MORE
    if not kept and not drop_refs(R, k):
        return MORE
    if k.next == 0 and me.shape and k.actor == 0:  # an actor keeps its turn
        if rl_log_used(R) + release_log(R, R.slot) > RL_LOG_BUDGET:
            return MORE
        given[0] = me.shape
        grant_release(R, R.slot)
    if rl_log_used(R) > RL_LOG_BUDGET - FINISH_LOG - (CALL_END_LOG if k.actor else 0):
        return MORE
    running_remove(R, t)
    rl_set64(R, &me.finished, me.finished + 1)
    if kept:
        past_add(R, t)
        return DONE
    if k.actor and actor_at(R, k.actor).creation == t:
        rl_set32(R, &actor_at(R, k.actor).creation, 0)
    task_free(R, t)
    return DONE


cdef int task_finish(rl_region* R, uint32_t t) noexcept nogil:
    """Seals the returns of this slot's innermost task, whose payloads are in place, and frees the record."""
    cdef uint32_t fresh
    cdef uint32_t left = 0
    cdef uint32_t given = 0
    cdef int rc = MORE
    while rc == MORE:
        fresh = 0
        if rl_lock(R):
            return EIO
        rc = finish_section(R, t, &fresh, &given)
        left += wake_workers(R, fresh)
        rl_commit(R)
        rl_failpoint(R, b"finish.chunk")
    return wake_workers_unlocked(R, left) or recheck_owed(R, given) or garbage_drain(R)


cdef int return_reset(rl_region* R, uint32_t i) noexcept nogil:
    """Empties a half-written return of a task that this slot owns."""
    cdef rl_object* o = object_at(R, i)
    cdef int rc = MORE
    while rc == MORE:
        rc = DONE
        if rl_lock(R):
            return EIO
        if o.contents:
            rc = MORE
            contents_step(R, o)
        else:
            object_drop_block(R, o)
            rl_fresh32(&o.format, 0)
            rl_fresh64(&o.size, 0)
        rl_commit(R)
    return garbage_drain(R)


cdef void attempt_counts(rl_region* R, rl_task* k) noexcept nogil:
    """Lock held. Counts an attempt that has ended against the retries of its task."""
    if 0 < k.retries_left < RL_ATTEMPTS:
        rl_set16(R, &k.retries_left, k.retries_left - 1)


cdef void queue_again(rl_region* R, uint32_t t, bint front) noexcept nogil:
    """Lock held. Queues a task that was RUNNING; a cancelled one never begins again, so it is left to the node. An actor's call
    goes before the others: it was the first."""
    if task_at(R, t).flags & RL_CANCELLED:
        cancelled_queued_add(R, t)
        rl_owe_node(R)
    elif task_at(R, t).actor:
        mail_add(R, t, True)
    else:
        queue_insert(R, t, front)


cdef bint mark_is_too_late(rl_region* R, rl_task* k) noexcept nogil:
    """Lock held. Whether a call that was marked as cancelled has all its results and did not see the mark: it has changed its
    actor, so the actor's next process must run it again."""
    cdef uint32_t i = k.returns
    while i and object_at(R, i).state == RL_SEALED:
        i = object_at(R, i).next
    return i == 0 and k.nreturns != 0 and k.actor != 0 and k.flags & RL_CANCEL_DELIVERED == 0


cdef int task_requeue(rl_region* R, uint32_t t, bint counted, bint front) noexcept nogil:
    """Puts a RUNNING task that this slot adopted from a dead one back into its queue; its unsealed returns are empty already.

    `counted`: the attempt that ended counts; else the task is marked as interrupted.  `front`: it goes before the others of its
    queue.
    """
    cdef rl_task* k = task_at(R, t)
    cdef uint32_t left
    if rl_lock(R):
        return EIO
    running_remove(R, t)
    if counted:
        attempt_counts(R, k)
    else:
        rl_set16(R, &k.flags, k.flags | RL_INTERRUPTED)
        if mark_is_too_late(R, k):
            rl_set16(R, &k.flags, <uint16_t>(k.flags & ~(RL_CANCELLED | RL_CANCEL_RECURSIVE)))
    queue_again(R, t, front)
    left = wake_workers(R, 1)
    rl_commit(R)
    return wake_workers_unlocked(R, left)


cdef int task_again(rl_region* R, uint32_t t, bint begun, bint counted, bint front) noexcept nogil:
    """Empties the unsealed returns of this slot's innermost task, then puts it back into its queue, to run again.

    `begun`: its function may have been called, and so have made ids; else this was no attempt.  `counted`: the attempt counts.
    `front`: the task goes before the others of its queue.
    """
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    cdef rl_task* k = task_at(R, t)
    cdef uint32_t given = 0
    cdef uint32_t i = k.returns
    while i:
        if object_at(R, i).state == RL_PENDING and return_reset(R, i):
            return EIO
        i = object_at(R, i).next
    if rl_lock(R):
        return EIO
    running_remove(R, t)
    if k.next == 0 and me.shape and k.actor == 0:
        given = me.shape
        grant_release(R, R.slot)
    if not begun:
        rl_set16(R, &k.attempts, k.attempts - 1)
    elif counted:
        attempt_counts(R, k)
    queue_again(R, t, front)
    rl_commit(R)
    rl_failpoint(R, b"requeue.recheck")
    return recheck_owed(R, given) or wake_workers_unlocked(R, 1)


cdef int next_section(rl_region* R, uint32_t* given, uint32_t* owed, uint32_t* out) noexcept nogil:
    """Lock held. Makes the recheck that is owed for released resources, then takes the next task, or joins the idle list.

    MORE: the log is full.  `given`: the shape whose resources were released, or 0.  `owed`: set to a queue for which a recheck
    is owed after the section.  `out`: set to the task that was taken.
    """
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    cdef int rc = DONE
    cdef uint32_t q
    if given[0] and not recheck_released(R, given[0]):
        return MORE
    given[0] = 0
    if R.j.turn_ring and R.j.turn_given == RL_TURN_NONE and not turns_give(R, True):  # it is an actor's turn
        return MORE
    if R.h.jobs.live > 1:
        if rl_log_used(R) > RL_LOG_BUDGET - LEAVE_LOG - IDLE_LOG:
            return MORE
        if leaves_cpus(R):
            if me.availability == RL_BUSY:
                idle_add(R, R.slot)
            return DONE
    q = pick_for_worker(R, R.slot, &rc)
    if rc == MORE or rl_log_used(R) + (grant_log(R, q) if q else 0) > RL_LOG_BUDGET - IDLE_LOG:
        return MORE
    if q:
        out[0] = take_task(R, R.slot, q, owed)
        if me.availability == RL_IDLE:
            idle_remove(R, R.slot, RL_BUSY)
    elif me.availability == RL_BUSY:
        idle_add(R, R.slot)
        if R.j.threads_wait and R.j.nready:
            rl_owe_node(R)  # no worker may be on its way to what is ready any more: then the node lends CPUs
    return DONE


cdef int task_next(rl_region* R, uint32_t finished, uint32_t* out) noexcept nogil:
    """Finishes a task (0: none) and takes the next in the same section, or joins the idle list. `out`: the task, 0: idle."""
    cdef uint32_t fresh
    cdef uint32_t left = 0
    cdef uint32_t given = 0
    cdef uint32_t owed = 0
    cdef int rc = MORE
    out[0] = 0
    while rc == MORE:
        fresh = 0
        if rl_lock(R):
            return EIO
        worker_arrived(R, rl_slot_at(R, R.slot))
        rc = finish_section(R, finished, &fresh, &given) if finished else DONE
        if rc == DONE:
            finished = 0
            rc = next_section(R, &given, &owed, out)
            fresh = R.j.nready if rc == DONE and (out[0] or R.j.workers_differ) else 0
        left += wake_workers(R, fresh)
        rl_commit(R)
        rl_failpoint(R, b"next.chunk")
    return wake_workers_unlocked(R, left) or recheck_owed(R, owed) or garbage_drain(R)
