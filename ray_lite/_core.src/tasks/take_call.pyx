"""An actor's process: it ends a call and takes the next one in the same section, with a turn of CPUs if its calls need them.

It keeps the CPUs from call to call: while others wait for CPUs for a while, else until it has no call.  If several calls run at
a time, any thread may end one and take the next; one thread alone waits for the bell.  Neighbours: actor_calls.pyx (which call
is next), scheduling/actor_turns.pyx; run_task.pyx ends calls as it ends tasks.
"""
cdef enum:
    TAKE_CALL_LOG = 30  # log entries that taking a call writes at most
    RESUME_LOG = 10     # and in addition if all others wait: the process holds its CPUs again


cdef void call_take(rl_region* R, uint32_t t) noexcept nogil:
    """Lock held. Makes the next call of this process's actor RUNNING."""
    cdef rl_task* k = task_at(R, t)
    cdef rl_actor* e = actor_at(R, k.actor)
    cdef bint laned = k.state == RL_LANED
    if laned:
        if lane_at(R, k.owner).next != k.owner:
            rl_set32(R, &e.open, lane_at(R, k.owner).next)
        lane_remove(R, t)
    else:
        mail_remove(R, t)
    if e.lane_last != laned:
        rl_set32(R, &e.lane_last, laned)
    run_begin(R, t)
    rl_set32(R, &e.nrunning, e.nrunning + 1)
    if e.turn and e.turn_began == 0:
        rl_set64(R, <uint64_t*>&e.turn_began, <uint64_t>rl_now())
    if e.nwaiting:
        calls_settle(R)


cdef bint turn_is_over(rl_region* R, rl_actor* e, int64_t turn) noexcept nogil:
    """Lock held. Whether others wait for CPUs, and the first call that an actor ran in its turn began `turn` ns ago."""
    return e.turn_began and (R.j.nready or R.j.nwanting) and rl_now() - e.turn_began >= turn


cdef int call_section(rl_region* R, int64_t turn, bint rests, uint32_t* given, uint32_t* fresh, uint32_t* out) noexcept nogil:
    """Lock held. Takes the next call, or, if it `rests`, lets this process rest. MORE: the log is full.

    `given`: the shape whose CPUs were released and for which the recheck is owed.  `fresh`: grows to the tasks for which
    workers are to be woken then.  `out`: set to the call that was taken.
    """
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    cdef rl_actor* e = actor_at(R, me.actor)
    cdef uint32_t t = call_next(R, me.actor)
    if me.shape and e.nrunning == 0 and (t == 0 or turn_is_over(R, e, turn)):
        if rl_log_used(R) + release_log(R, R.slot) > RL_LOG_BUDGET:
            return MORE
        given[0] = me.shape
        grant_release(R, R.slot)
    if given[0]:
        if not recheck_released(R, given[0]):
            return MORE
        fresh[0] = max(fresh[0], R.j.nready)
        given[0] = 0
    if rl_log_used(R) > RL_LOG_BUDGET - TAKE_CALL_LOG - (RESUME_LOG if e.nwaiting else 0):
        return MORE
    if t and e.turn and me.shape == 0 and (e.wants or not turn_ask(R, me.actor)):
        t = 0
    if t:
        call_take(R, t)
    if rests and e.resting != (t == 0):
        rl_set32(R, &e.resting, t == 0)
    out[0] = t
    return DONE


cdef int call_next_run(rl_region* R, uint32_t finished, int64_t turn, bint rests, uint32_t* out) noexcept nogil:
    """Ends a call (0: none) and takes this actor's next one in the same section.

    `turn`: ns for which it may keep its CPUs while others wait.  `rests`: whether this is the thread that waits for the bell.
    `out`: the call; 0: there is none, or no CPUs for it, and the bell will ring.
    """
    cdef uint32_t fresh
    cdef uint32_t left = 0
    cdef uint32_t given = 0
    cdef int rc = MORE
    out[0] = 0
    while rc == MORE:
        fresh = 0
        if rl_lock(R):
            return EIO
        rc = finish_section(R, finished, &fresh, &given) if finished else DONE
        if rc == DONE:
            finished = 0
            rc = call_section(R, turn, rests, &given, &fresh, out)
        left += wake_workers(R, fresh)
        rl_commit(R)
        rl_failpoint(R, b"call.chunk")
    return wake_workers_unlocked(R, left) or garbage_drain(R)


cdef int call_end(rl_region* R, uint32_t t) noexcept nogil:
    """Ends one of several calls that this actor's process runs. The thread that waits for the bell must look for the next."""
    cdef rl_actor* e = actor_at(R, task_at(R, t).actor)
    cdef uint32_t fresh
    cdef uint32_t left = 0
    cdef uint32_t given = 0
    cdef int rc = MORE
    while rc == MORE:
        fresh = 0
        if rl_lock(R):
            return EIO
        rc = finish_section(R, t, &fresh, &given)
        if rc == DONE and e.resting:
            rl_set32(R, &e.resting, 0)
        left += wake_workers(R, fresh)
        rl_commit(R)
        rl_failpoint(R, b"call.end")
    return wake_workers_unlocked(R, left) or garbage_drain(R)


cdef int call_wait(rl_region* R, int64_t spin, int64_t park) noexcept nogil:
    """Waits for this actor's bell: spins for `spin` ns, then sleeps for at most `park` ns. DONE (rung), ETIMEDOUT or EINTR."""
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    cdef uint32_t bell = rl_load(&me.bell)
    if rl_load(&actor_at(R, me.actor).resting) == 0 or rl_load(&me.leaving) or rl_load(&R.j.closing):
        return DONE  # the bell may have rung before it was loaded
    return bell_wait(R, bell, spin, park)
