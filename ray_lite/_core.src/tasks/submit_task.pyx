"""Submitting: builds a record in as many sections as it needs, then queues it, or leaves it to wait for its arguments.

A long operation is cut where the log budget ends, and the record itself says how far it came: so the sweep can unwind a dead
process's half-built record.  Neighbours: records/task_records.pyx, scheduling/queues.pyx, actor_calls.pyx
(where a call of an actor goes).
"""
cdef enum:
    STEP_LOG = 46  # log entries that one small step writes at most
    POST_LOG = 24  # log entries that `submit_ready` writes at most, without the wake-ups, which look for room themselves,
    MAKE_LOG = 40  # and if it makes an actor


cdef int submit_record(rl_region* R, rl_spec* s) noexcept nogil:
    """Lock held. Takes a record, fills it in, and puts it on this slot's list `building`. DONE, or what to grow."""
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    cdef uint32_t q = s.queue
    cdef int rc = DONE
    if s.actor or s.creates != NULL:
        rc = call_admit(R, s, &q)
    elif s.parent:
        rc = nested_queue(R, s.parent, s.parent_serial, &q)
    cdef uint32_t t = table_take(R, &R.h.tasks) if rc == DONE else 0
    cdef rl_task* k
    if t == 0:
        return rc if rc else GROW_TASKS
    k = task_at(R, t)
    memcpy(k.id, s.id, RL_ID_BYTES)
    memset(&k.prev, 0, <size_t>(<char*>&k.data - <char*>&k.prev))
    rl_fresh32(&k.function, s.function)
    rl_fresh32(&k.owner, R.slot)
    rl_fresh16(&k.queue, <uint16_t>q)
    rl_fresh16(&k.retries_left, <uint16_t>s.max_retries)
    rl_fresh32(&k.nreturns, s.nreturns)
    rl_fresh32(&k.parent, s.parent)
    rl_fresh32(&k.parent_serial, s.parent_serial)
    rl_fresh32(&k.args_size, s.args_size)
    rl_fresh32(&k.site, s.site)
    rl_fresh16(&k.flags, <uint16_t>s.flags)
    rl_fresh32(&k.runtime_env, s.runtime_env)
    if s.actor:
        rl_fresh16(&k.actor, <uint16_t>s.actor)
        rl_set32(R, &actor_at(R, s.actor).ncalls, actor_at(R, s.actor).ncalls + 1)
    if s.args_size <= RL_TASK_SMALL:
        memcpy(k.data, s.args, s.args_size)
    rl_task_become(R, k, RL_BUILDING)
    rl_set32(R, &k.next, me.building)
    if me.building:
        rl_set32(R, &task_at(R, me.building).prev, t)
    rl_set32(R, &me.building, t)
    s.task = t
    return DONE


cdef int submit_return(rl_region* R, rl_spec* s) noexcept nogil:
    """Lock held. Makes the next return object, PENDING and held by the submitter. DONE, or what to grow."""
    cdef uint8_t id[RL_ID_BYTES]
    cdef rl_origin origin
    cdef uint32_t i = 0
    cdef int rc
    id_derive(s.id, s.returned, FOLD_A, id)
    origin.id, origin.site = id, s.site
    rc = object_take(R, RL_PENDING, &origin, &i)
    if rc:
        return rc
    rl_fresh32(&object_at(R, i).task, s.task)
    rl_set32(R, &object_at(R, i).next, task_at(R, s.task).returns)
    rl_set32(R, &task_at(R, s.task).returns, i)
    s.returns[s.returned] = i
    s.generations[s.returned] = object_at(R, i).generation
    s.returned += 1
    return DONE


cdef int submit_ref(rl_region* R, rl_spec* s) noexcept nogil:
    """Lock held. Pins the next argument object, and links an edge if it is not sealed. DONE, or what to grow."""
    cdef rl_task* k = task_at(R, s.task)
    cdef uint32_t i = s.refs[s.referred]
    cdef int rc = ref_take(R, RL_REF_ARGUMENT, s.task, i, &k.refs)
    if rc:
        return rc
    rl_set32(R, &k.nrefs, k.nrefs + 1)
    if object_at(R, i).state != RL_SEALED:
        edge_link(R, k.refs)
        rl_set32(R, &k.ndeps, k.ndeps + 1)
    s.referred += 1
    return DONE


cdef int submit_ready(rl_region* R, rl_spec* s) noexcept nogil:
    """Lock held. Queues a complete record, or leaves it WAITING for its arguments. DONE, or, of a call, what to grow.

    If the parent was cancelled recursively, the new task counts as cancelled and is left to the node.
    """
    cdef rl_task* k = task_at(R, s.task)
    cdef int rc = DONE
    building_remove(R, s.task)
    if s.creates != NULL:
        rc = actor_make(R, s)
        s.unrung = wake_workers(R, 0) if rc == DONE else 0
    elif s.parent and task_at(R, s.parent).serial == s.parent_serial and task_at(R, s.parent).flags & RL_CANCEL_RECURSIVE:
        cancelled_queued_add(R, s.task)
        rl_owe_node(R)
    elif k.actor:
        rc = call_post(R, s)
        s.unrung = wake_workers(R, 0) if rc == DONE else 0
    elif k.ndeps:
        rl_task_become(R, k, RL_WAITING)
        rl_set32(R, &k.owner, 0)
    else:
        queue_push(R, s.task)
        s.unrung = wake_workers(R, 1)
    return rc


cdef int submit_section(rl_region* R, rl_spec* s) noexcept nogil:
    """Lock held. Builds as much of the record as one log holds. DONE, MORE or what to grow."""
    cdef rl_task* k
    cdef uint32_t extent = 0
    cdef uint32_t cell = 0
    cdef int rc
    if s.task == 0:
        rc = submit_record(R, s)
        if rc:
            return rc
    k = task_at(R, s.task)
    while s.returned < s.nreturns:
        if rl_log_used(R) > RL_LOG_BUDGET - 24:
            return MORE
        rc = submit_return(R, s)
        if rc:
            return rc
    while s.referred < s.nrefs:
        if rl_log_used(R) > RL_LOG_BUDGET - 24:
            return MORE
        rc = submit_ref(R, s)
        if rc:
            return rc
    if s.args_size > RL_TASK_SMALL and not s.roomed:
        if rl_log_used(R) > RL_LOG_BUDGET - STEP_LOG:
            return MORE
        rc = block_take(R, s.args_size, &extent, &cell)
        if rc:
            return rc
        rl_fresh16(&k.cell, <uint16_t>cell)
        rl_set32(R, &k.extent, extent)
        s.roomed = 1
        return MORE
    if rl_log_used(R) > RL_LOG_BUDGET - (MAKE_LOG if s.creates != NULL else POST_LOG):
        return MORE
    return submit_ready(R, s)


cdef int unwind_section(rl_region* R, uint32_t slot, uint32_t t) noexcept nogil:
    """Lock held. Undoes a part of a BUILDING record: its returns, then its refs, then its block and itself. DONE or MORE."""
    cdef rl_task* k = task_at(R, t)
    cdef uint32_t i
    while k.returns:
        if rl_log_used(R) > RL_LOG_BUDGET - STEP_LOG:
            return MORE
        i = k.returns
        rl_set32(R, &k.returns, object_at(R, i).next)
        rl_set32(R, &object_at(R, i).task, 0)
        holder_clear(R, slot, i)
    if not drop_refs(R, k):
        return MORE
    if rl_log_used(R) > RL_LOG_BUDGET - STEP_LOG - (CALL_END_LOG if k.actor else 0):
        return MORE
    building_remove(R, t)
    task_free(R, t)
    return DONE


cdef int task_unwind(rl_region* R, uint32_t slot, uint32_t t) noexcept nogil:
    """Unwinds a record under construction, for the process that builds it or in the sweep of a dead one."""
    cdef int rc = MORE
    while rc == MORE:
        if rl_lock(R):
            return EIO
        rc = unwind_section(R, slot, t)
        rl_commit(R)
        rl_failpoint(R, b"unwind.chunk")
    return garbage_drain(R)


cdef int task_submit(rl_region* R, rl_spec* s) noexcept nogil:
    """Submits a task, and wakes a worker that can run it. If it fails, nothing of the task is left."""
    cdef rl_spec before
    cdef bint copied = False
    cdef int rc = MORE
    s.unrung = 0
    while rc != DONE:
        before = s[0]
        if rl_lock(R):
            return EIO
        rc = submit_section(R, s)
        if rc >= 0:
            rl_commit(R)
            if rc == MORE:
                rl_failpoint(R, b"submit.chunk")
            if s.roomed and not copied:
                memcpy(block_at(R, task_at(R, s.task).extent, task_at(R, s.task).cell), s.args, s.args_size)
                copied = True
            continue
        rl_abort(R)
        s[0] = before
        rc = grow(R, rc, s.args_size)
        if rc:
            if s.task:
                task_unwind(R, R.slot, s.task)
            return rc
        rc = MORE
    return wake_workers_unlocked(R, s.unrung) if s.unrung else DONE
