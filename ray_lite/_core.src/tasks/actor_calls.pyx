"""Calls of actors: where a call goes when it is made and when its arguments are there, and which of an actor's calls is next.

The calls of one caller run in the order in which they were made, if the actor runs one at a time.  A caller is a driver, a
task, or an actor, never a process: two tasks of one worker have nothing to do with each other.  Neighbours: records/lanes.pyx,
records/actor_records.pyx (mailbox), scheduling/actor_turns.pyx; submit_task.pyx builds the records, take_call.pyx runs them.
"""
cdef enum:
    DRAIN_CALL_LOG = 32  # log entries that unlinking an edge of a call writes at most
    BY_TASK = 1  # what a caller is, above the 32 bits that say which; 0: a process, by its slot
    BY_ACTOR = 2


cdef uint64_t caller_of(rl_region* R, rl_spec* s, uint32_t* serial) noexcept nogil:
    """Lock held. Who makes a call; `serial` tells it from others that were in the same place."""
    cdef uint32_t a = 0
    if s.parent == 0:
        serial[0] = rl_slot_at(R, R.slot).epoch
        return R.slot
    serial[0] = s.parent_serial
    if task_at(R, s.parent).serial == s.parent_serial:
        a = task_at(R, s.parent).actor
    if a == 0:
        return <uint64_t>BY_TASK << 32 | s.parent
    serial[0] = actor_at(R, a).serial
    return <uint64_t>BY_ACTOR << 32 | a


cdef int call_admit(rl_region* R, rl_spec* s, uint32_t* q) noexcept nogil:
    """Lock held. Whether a call may be made, and the queue that tells its shape. DONE, STALE or FULL_CALLS."""
    cdef rl_actor* e = actor_at(R, s.actor)
    if s.creates != NULL:
        if s.creates.name != NULL and name_find(R, s.creates.name):
            return NAME_TAKEN
        q[0] = s.creates.turn if s.creates.turn else s.creates.life
        return DONE
    if s.actor >= R.h.actors.used or e.state == RL_FREE or e.serial != s.actor_serial:
        return STALE
    if e.limit and calls_pending(R, e) >= e.limit and e.state < RL_ACTOR_ENDING:  # else they will fail
        return FULL_CALLS
    q[0] = e.turn if e.turn else e.life
    return DONE


cdef void call_came(rl_region* R, uint32_t a) noexcept nogil:
    """Lock held. An actor has one more call that can run: rings its process if that rests, or asks for a turn."""
    cdef rl_actor* e = actor_at(R, a)
    if e.state == RL_ACTOR_DEAD:
        actor_due(R, a)
    elif e.resting and e.wants == 0 and e.nrunning < e.most:  # else whoever ends a call takes this one
        if e.turn == 0 or rl_slot_at(R, e.slot).shape or turn_ask(R, a):
            actor_wake(R, a)


cdef int call_post(rl_region* R, rl_spec* s) noexcept nogil:
    """Lock held. Puts a call, whose record is complete, where it belongs. DONE, or what to grow."""
    cdef rl_task* k = task_at(R, s.task)
    cdef rl_actor* e = actor_at(R, k.actor)
    cdef uint32_t lane = 0
    cdef uint32_t serial = 0
    cdef uint64_t caller
    if e.most == 1 and (k.ndeps or e.nlanes):
        caller = caller_of(R, s, &serial)
        lane = lane_find(R, k.actor, caller, serial)
        if lane == 0 and k.ndeps:
            lane = lane_make(R, k.actor, caller, serial)
            if lane == 0:
                return GROW_LANES
    if lane:
        lane_add(R, lane, s.task)
    elif k.ndeps:
        rl_task_become(R, k, RL_WAITING)
        rl_set32(R, &k.owner, 0)
        call_link(R, s.task, &e.waiting, NULL, True)
    else:
        mail_add(R, s.task, False)
    if lane == 0 and k.ndeps == 0 or e.state == RL_ACTOR_DEAD:
        call_came(R, k.actor)
    return DONE


cdef void call_unblocked(rl_region* R, uint32_t t) noexcept nogil:
    """Lock held. The last argument of a call is there."""
    cdef rl_task* k = task_at(R, t)
    cdef rl_actor* e = actor_at(R, k.actor)
    if k.state == RL_LANED:
        if lane_at(R, k.owner).head != t:
            return
        lane_settle(R, k.owner)
    elif k.state == RL_WAITING:
        if e.creation == t:
            mail_add(R, t, False)
            if e.state == RL_ACTOR_PENDING:
                want(R, k.actor, e.life, False)
            return
        call_unlink(R, t, &e.waiting, NULL)
        mail_add(R, t, False)
    else:
        return
    call_came(R, k.actor)


cdef bint call_withdraw(rl_region* R, uint32_t t) noexcept nogil:
    """Lock held. Takes a call that does not run out of its place; whether it was in one. A constructor's call stays."""
    cdef rl_task* k = task_at(R, t)
    cdef rl_actor* e = actor_at(R, k.actor)
    if e.creation == t:
        return False
    if k.state == RL_MAILED:
        mail_remove(R, t)
    elif k.state == RL_LANED:
        lane_remove(R, t)
        if e.open:
            call_came(R, k.actor)  # the next call of the lane may be ready
    elif k.state == RL_WAITING:
        call_unlink(R, t, &e.waiting, NULL)
    else:
        return False
    return True


cdef uint32_t call_next(rl_region* R, uint32_t a) noexcept nogil:
    """Lock held. The call that an actor runs next, or 0: its constructor, those that had begun before, else alternately
    from the mailbox and an open lane."""
    cdef rl_actor* e = actor_at(R, a)
    if e.state != RL_ACTOR_ALIVE or e.nrunning >= (1 if e.creation else e.most):
        return 0
    if e.creation:
        return e.creation if task_at(R, e.creation).state == RL_MAILED else 0
    if e.nagain:
        return e.head
    if e.open and (e.head == 0 or not e.lane_last) and lane_may_run(R, e.open):
        return lane_at(R, e.open).head
    return e.head


cdef void actor_stops(rl_region* R, uint32_t a) noexcept nogil:
    """Lock held. The actor's process is gone: it waits for nothing any more."""
    cdef rl_actor* e = actor_at(R, a)
    if e.wants:
        want_remove(R, a)
    if e.resting:
        rl_set32(R, &e.resting, 0)
    if e.nwaiting:
        rl_set32(R, &e.nwaiting, 0)


cdef void actor_fields(rl_region* R, uint32_t a, rl_creation* c, uint32_t i, uint32_t t) noexcept nogil:
    """Lock held. Initializes a new actor, with its handle `i` and the constructor's call `t`."""
    cdef rl_actor* e = actor_at(R, a)
    memset(&e.handle, 0, sizeof(rl_actor) - <size_t>(<char*>&e.handle - <char*>e))
    rl_fresh32(&e.handle, i)
    rl_fresh32(&e.creation, t)
    rl_fresh32(&e.ncalls, 1)
    rl_fresh32(&e.most, c.most)
    rl_fresh32(&e.limit, c.limit)
    rl_fresh32(&e.life, c.life)
    rl_fresh32(&e.turn, c.turn)
    rl_fresh32(&e.facts, c.facts)
    rl_fresh32(&e.job, R.job)
    rl_fresh32(&e.max_restarts, c.max_restarts)
    rl_fresh32(&e.flags, RL_KEEPS if c.keeps else 0)
    rl_actor_become(R, e, RL_ACTOR_PENDING)


cdef int handle_make(rl_region* R, const rl_origin* origin, uint32_t a, uint32_t* out) noexcept nogil:
    """Lock held. Makes the handle of an actor, which pins it and which this process holds. DONE, or what to grow."""
    cdef uint32_t named[2]
    cdef int rc = object_take(R, RL_SEALED, origin, out)
    if rc:
        return rc
    named[0], named[1] = a, actor_at(R, a).serial
    rl_set16(R, &object_at(R, out[0]).flags, RL_HANDLE)
    rl_fresh32(&object_at(R, out[0]).format, RL_HANDLE_VALUE)
    rl_fresh64(&object_at(R, out[0]).size, sizeof(named))
    memcpy(object_at(R, out[0]).data, named, sizeof(named))
    pin(R, out[0])
    return DONE


cdef int actor_make(rl_region* R, rl_spec* s) noexcept nogil:
    """Lock held. Makes the actor of a constructor's call, whose record is complete, and its handle. DONE, or what to grow."""
    cdef uint32_t a = table_take(R, &R.h.actors)
    cdef rl_task* k = task_at(R, s.task)
    cdef rl_origin origin
    cdef uint32_t i = 0
    cdef int rc
    if a == 0:
        return GROW_ACTORS
    origin.id, origin.site = s.creates.id, s.site
    rc = handle_make(R, &origin, a, &i)
    if rc:
        return rc
    actor_fields(R, a, s.creates, i, s.task)
    if s.creates.name != NULL:
        name_give(R, a, s.creates.name)
    rl_set16(R, &k.actor, <uint16_t>a)
    s.creates.handle[0], s.creates.generation[0] = i, object_at(R, i).generation
    if k.ndeps:
        rl_task_become(R, k, RL_WAITING)
        rl_set32(R, &k.owner, 0)
    else:
        mail_add(R, s.task, False)
        want(R, a, s.creates.life, False)
    return DONE


cdef int next_result(rl_region* R, uint32_t a, uint32_t* i, uint32_t* generation) noexcept nogil:
    """The first return of the call at the front of an actor's mailbox, which this process holds from now on. STALE: there is
    none, or it is there already: the call had begun in an earlier process."""
    cdef rl_actor* e = actor_at(R, a)
    cdef int rc
    while True:
        if rl_lock(R):
            return EIO
        rc = STALE
        i[0] = task_at(R, e.head).returns if e.state != RL_FREE and e.head else 0
        if i[0] and object_at(R, i[0]).state == RL_PENDING:
            generation[0] = object_at(R, i[0]).generation
            rc = holder_set(R, i[0])
        if not section_repeats(R, &rc, 0):
            return rc


cdef int actor_named(rl_region* R, const uint8_t* name, uint32_t* i, uint32_t* generation) noexcept nogil:
    """The handle of the actor that has a name, which this process holds from now on. STALE: there is none."""
    cdef uint32_t a
    cdef int rc
    while True:
        if rl_lock(R):
            return EIO
        a = name_find(R, name)
        rc = STALE
        if a:
            i[0] = actor_at(R, a).handle
            generation[0] = object_at(R, i[0]).generation
            rc = holder_set(R, i[0])
        if not section_repeats(R, &rc, 0):
            return rc
