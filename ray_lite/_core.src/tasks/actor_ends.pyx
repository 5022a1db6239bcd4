"""An actor's life after its creation: its process is started, it ends or is killed, its calls fail, its entry is freed.

The node does each step, with an actor that it takes from the list of those that are due; others only ask for it.  The calls of
an actor that is DEAD fail with references to one object, the cause: no error is made for each.  Must not decide what a death
means.
"""
cdef enum:
    LIFE_LOG = 26  # log entries that starting an actor writes at most, without those for its resources
    EDGE_LOG = 40  # room that is left when the edges of a call are cut, so that it leaves its place in the same section


cdef int actor_open_section(rl_region* R, uint32_t* out, uint32_t* slot) noexcept nogil:
    """Lock held. Opens a slot for the next actor whose resources fit, and grants these. MORE: the log is full."""
    cdef uint32_t q = R.j.life_ring
    cdef uint32_t k
    if q == 0:
        return DONE
    k = lacking_resource(R, q)
    if k:
        stall_lacking(R, q, k)
        return MORE
    if rl_log_used(R) + LIFE_LOG + grant_log(R, q) - GRANT_LOG > RL_LOG_BUDGET:
        return MORE
    slot[0] = table_take(R, &R.h.slots)
    if slot[0] == 0:
        return GROW_SLOTS
    out[0] = queue_at(R, q).head
    slot_begin(R, slot[0], RL_ACTOR)
    rl_fresh32(&rl_slot_at(R, slot[0]).pid, 0)
    rl_fresh32(&rl_slot_at(R, slot[0]).actor, out[0])
    rl_set32(R, &actor_at(R, out[0]).slot, slot[0])
    rl_actor_become(R, actor_at(R, out[0]), RL_ACTOR_STARTING)
    want_served(R, out[0])
    life_grant(R, slot[0], q)
    return DONE


cdef int actor_open(rl_region* R, uint32_t* out, uint32_t* slot) noexcept nogil:
    """Opens a slot for the next actor that can be started, which becomes STARTING. `out`: the actor; 0: there is none."""
    cdef int rc = MORE
    while rc == MORE:
        out[0] = slot[0] = 0
        if rl_lock(R):
            return EIO
        rc = actor_open_section(R, out, slot)
        if section_repeats(R, &rc, 0):
            rc = MORE
    if rc == DONE and out[0]:
        rl_failpoint(R, b"actor.open")
        rc = recheck_owed(R, actor_at(R, out[0]).life)
    return rc


cdef int actor_retry(rl_region* R, uint32_t a) noexcept nogil:
    """Makes an actor, whose process is gone and has run nothing, PENDING again, before others that wait for the same resources.
    STALE: somebody has killed it."""
    cdef rl_actor* e = actor_at(R, a)
    cdef uint32_t left = 0
    cdef int rc = STALE
    if rl_lock(R):
        return EIO
    if e.state != RL_ACTOR_ENDING:
        rc = DONE
        rl_set32(R, &e.slot, 0)
        rl_actor_become(R, e, RL_ACTOR_PENDING)
        want(R, a, e.life, True)
        left = wake_workers(R, 0)
    rl_commit(R)
    return rc or wake_workers_unlocked(R, left)


cdef bint is_live_actor(rl_region* R, uint32_t a, uint32_t serial) noexcept nogil:
    """Lock held. Whether an actor with this serial exists and is not DEAD."""
    if not 0 < a < R.h.actors.used or actor_at(R, a).serial != serial:
        return False
    return actor_at(R, a).state != RL_FREE and actor_at(R, a).state != RL_ACTOR_DEAD


cdef int actor_kill(rl_region* R, uint32_t a, uint32_t serial) noexcept nogil:
    """Asks the node to kill an actor: no further call begins. STALE: it has ended."""
    cdef rl_actor* e = actor_at(R, a)
    cdef int rc = STALE
    if rl_lock(R):
        return EIO
    if is_live_actor(R, a, serial):
        rc = DONE
        rl_set32(R, &e.flags, e.flags | RL_KILLED)
        name_free(R, a)
        if e.state == RL_ACTOR_STARTING or e.state == RL_ACTOR_ALIVE:
            rl_actor_become(R, e, RL_ACTOR_ENDING)
        actor_due(R, a)
    rl_commit(R)
    return rc


cdef bint actor_left(rl_region* R) noexcept nogil:
    """Whether this process's actor has ended by itself; one that was killed waits for its end."""
    cdef rl_actor* e = actor_at(R, rl_slot_at(R, R.slot).actor)
    return rl_load(&e.state) == RL_ACTOR_ENDING and rl_load(&e.flags) & RL_KILLED == 0


cdef int actor_leave(rl_region* R, uint32_t cause) noexcept nogil:
    """Ends this process's actor by itself: no further call begins. `cause`: object with the error of the calls, or 0."""
    cdef rl_actor* e = actor_at(R, rl_slot_at(R, R.slot).actor)
    if rl_lock(R):
        return EIO
    name_free(R, rl_slot_at(R, R.slot).actor)
    if e.state == RL_ACTOR_ALIVE:
        rl_actor_become(R, e, RL_ACTOR_ENDING)
    if cause and e.cause == 0:
        rl_set32(R, &e.cause, cause)
        pin(R, cause)
    if e.most > 1:  # another thread waits for the bell
        rl_stage_up(R, RL_PUBLISH_BELL, R.slot, 0)
    rl_commit(R)
    return DONE


cdef int actor_is_unneeded(rl_region* R, uint32_t a, bint* unneeded) noexcept nogil:
    """Whether nobody can call an actor any more and it has no calls left."""
    if rl_lock(R):
        return EIO
    unneeded[0] = actor_at(R, a).ncalls == actor_at(R, a).nkept and is_its_own(R, a)
    rl_commit(R)
    return DONE


cdef int actor_retire(rl_region* R, uint32_t a, bint* retired) noexcept nogil:
    """Asks an actor's process to end if nobody can call it any more and it has no calls left; whether that is so."""
    cdef rl_actor* e = actor_at(R, a)
    if rl_lock(R):
        return EIO
    retired[0] = e.state == RL_ACTOR_ALIVE and e.ncalls == e.nkept and is_its_own(R, a)
    if retired[0]:
        name_free(R, a)
        rl_actor_become(R, e, RL_ACTOR_ENDING)
        rl_store(&rl_slot_at(R, e.slot).leaving, 1)  # before the bell: the process checks it when the bell rings
        rl_stage_up(R, RL_PUBLISH_BELL, e.slot, 0)
    rl_commit(R)
    return DONE


cdef int actor_end(rl_region* R, uint32_t a, uint32_t cause) noexcept nogil:
    """Makes an actor without a process, or whose process is gone and has been swept, DEAD. `cause`: object, which this process
    holds, with the error of its calls, if it has none yet."""
    cdef rl_actor* e = actor_at(R, a)
    cdef uint32_t owed = 0
    if rl_lock(R):
        return EIO
    if e.wants:
        owed = e.wants
        want_remove(R, a)
    name_free(R, a)
    rl_actor_become(R, e, RL_ACTOR_DEAD)
    rl_set32(R, &e.slot, 0)
    if cause and e.cause == 0:
        rl_set32(R, &e.cause, cause)
        pin(R, cause)
    if e.ncalls:
        actor_due(R, a)
    unpin(R, e.handle)
    rl_commit(R)
    rl_failpoint(R, b"actor.dead")
    return recheck_owed(R, owed)


cdef int actor_due_take(rl_region* R, uint32_t* out) noexcept nogil:
    """Takes an actor off the list of those that are due. `out`: the actor; 0: there is none."""
    if rl_lock(R):
        return EIO
    out[0] = R.j.actors_due
    if out[0]:
        rl_set32(R, &R.j.actors_due, actor_at(R, out[0]).next)
        rl_set32(R, &actor_at(R, out[0]).flags, actor_at(R, out[0]).flags & ~<uint32_t>RL_DUE)
    rl_commit(R)
    return DONE


cdef uint32_t any_call(rl_region* R, uint32_t a) noexcept nogil:
    """Lock held. A call of a DEAD actor, wherever it waits, in the order of its caller's calls; or 0. The node has others
    already."""
    cdef rl_actor* e = actor_at(R, a)
    cdef uint32_t lane = e.open if e.open else e.stalled
    if e.creation and task_at(R, e.creation).state != RL_RUNNING:
        return e.creation
    if e.head:
        return e.head
    return lane_at(R, lane).head if lane else e.waiting


cdef int drain_section(rl_region* R, uint32_t t) noexcept nogil:
    """Lock held. Cuts the edges of a call, then moves its record to this slot's stack. MORE: the log is full."""
    cdef rl_task* k = task_at(R, t)
    if edges_cut(R, k, EDGE_LOG):
        return MORE
    if k.state == RL_MAILED:
        mail_remove(R, t)
    elif k.state == RL_LANED:
        lane_remove(R, t)
    elif actor_at(R, k.actor).creation != t:
        call_unlink(R, t, &actor_at(R, k.actor).waiting, NULL)
    rl_task_become(R, k, RL_RUNNING)
    running_add(R, R.slot, t)
    return DONE


cdef int returns_alias(rl_region* R, uint32_t t, uint32_t cause) noexcept nogil:
    """Fills the unsealed returns of a task of this slot with references to an error."""
    cdef uint32_t i = task_at(R, t).returns
    cdef rl_object* o
    cdef int rc
    while i:
        o = object_at(R, i)
        rc = DONE
        if rl_lock(R):
            return EIO
        if o.state == RL_PENDING and (o.holders or o.pins) and o.contents == 0:
            rl_fresh32(&o.format, RL_ERROR | RL_ALIAS)
            rl_fresh64(&o.size, 0)
            rc = ref_take(R, RL_REF_CONTENT, i, cause, &o.contents)
        if section_repeats(R, &rc, 0):
            continue
        if rc:
            return rc
        i = o.next
    return DONE


cdef int actor_drain(rl_region* R, uint32_t a, uint32_t most, uint32_t* left) noexcept nogil:
    """Fails at most `most` calls of a DEAD actor, which has a cause. `left`: how many calls it has still."""
    cdef uint32_t t, _
    cdef int rc = actor_forget(R, a)
    if rc:
        return rc
    for _ in range(most):
        rc = MORE
        while rc == MORE:
            if rl_lock(R):
                return EIO
            t = any_call(R, a)
            rc = drain_section(R, t) if t else DONE
            rl_commit(R)
        rl_failpoint(R, b"drain.alias")
        if t == 0:
            break
        rc = returns_alias(R, t, actor_at(R, a).cause)
        if rc == DONE:
            rc = task_finish(R, t)
        if rc:
            return rc
    left[0] = rl_load(&actor_at(R, a).ncalls)  # others may make calls; then the actor is due again
    return DONE


cdef int actor_free(rl_region* R, uint32_t a, bint* freed) noexcept nogil:
    """Frees the entry of a DEAD actor, if it has no calls and no handle any more; whether that is so."""
    cdef rl_actor* e = actor_at(R, a)
    cdef uint32_t cause
    if rl_lock(R):
        return EIO
    cause = e.cause
    freed[0] = e.state == RL_ACTOR_DEAD and e.handle == 0 and e.ncalls == 0 and e.flags & RL_DUE == 0
    if freed[0] and rl_actor_may(R, e, RL_FREE):
        rl_set32(R, &e.serial, e.serial + 1)
        table_give(R, &R.h.actors, a)
        if cause:
            unpin(R, cause)
        if e.flags & RL_ORPHAN and e.facts:
            unpin(R, e.facts)
    rl_commit(R)
    return garbage_drain(R)
