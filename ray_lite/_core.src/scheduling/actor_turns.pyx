"""What actors wait for: CPUs for a turn of calls, or what they hold for life.

An actor waits as a member of a queue, of TURNS or of LIVES, which is listed as queues of tasks are: in a ring, or stalled.
Whoever meets a TURNS queue that fits gives the turn at once and rings the actor, since a process that sleeps can't look for
CPUs.  Turns and tasks alternate: after a turn was given the next free CPUs are a task's, if one fits and a worker comes for it.
A LIVES queue is left to the node, which must start the process.  Neighbours: grants.pyx, dispatch.pyx; wakeups.pyx calls in
here after each release.
"""
cdef enum:
    WANT_LOG = 15  # log entries that `turn_ask` writes at most
    TURN_LOG = 21  # log entries that `turn_give` writes at most, without a recheck


cdef void want(rl_region* R, uint32_t a, uint32_t q, bint front) noexcept nogil:
    """Lock held. Makes an actor a member of a queue, behind or (`front`) before the others."""
    cdef rl_actor* e = actor_at(R, a)
    cdef rl_queue* w = queue_at(R, q)
    cdef rl_job* j = rl_job_at(R, w.job)
    cdef uint32_t before = 0 if front else w.tail
    cdef uint32_t after = w.head if front else 0
    rl_set32(R, &e.wants, q)
    rl_set32(R, &e.want_prev, before)
    rl_set32(R, &e.want_next, after)
    rl_set32(R, &actor_at(R, before).want_next if before else &w.head, a)
    rl_set32(R, &actor_at(R, after).want_prev if after else &w.tail, a)
    rl_set32(R, &w.length, w.length + 1)
    rl_set32(R, &j.nwanting, j.nwanting + 1)
    let_node_look(R, w.job)
    if w.listed == RL_UNLISTED:
        ring_add(R, q)
    if w.job != R.job:
        rl_owe_job(R, w.job)


cdef void want_remove(rl_region* R, uint32_t a) noexcept nogil:
    """Lock held. Takes an actor out of the queue of which it is a member."""
    cdef rl_actor* e = actor_at(R, a)
    cdef rl_queue* w = queue_at(R, e.wants)
    cdef rl_job* j = rl_job_at(R, w.job)
    list_remove(R, &actor_at(R, e.want_prev).want_next if e.want_prev else &w.head,
                &actor_at(R, e.want_next).want_prev if e.want_next else &w.tail, e.want_next, e.want_prev)
    rl_set32(R, &w.length, w.length - 1)
    rl_set32(R, &j.nwanting, j.nwanting - 1)
    if w.head == 0:
        unlist(R, e.wants)
    rl_set32(R, &e.wants, 0)


cdef bint want_served(rl_region* R, uint32_t a) noexcept nogil:
    """Lock held. Takes an actor, whose demand fits, out of its queue; whether a recheck of that shape is owed."""
    cdef uint32_t q = actor_at(R, a).wants
    cdef rl_queue* w = queue_at(R, q)
    cdef uint32_t* ring = ring_of(R, w)
    cdef bint owed = R.h.reserved_for == q
    if ring[0] == q and w.next != q:
        rl_set32(R, ring, w.next)
    if w.stalled_since:
        rl_set64(R, <uint64_t*>&w.stalled_since, 0)
    if R.h.reserved_for == q:
        rl_set32(R, &R.h.reserved_for, 0)
    want_remove(R, a)
    return owed or w.listed == RL_UNLISTED


cdef void actor_wake(rl_region* R, uint32_t a) noexcept nogil:
    """Lock held. Rings the process of a resting actor."""
    rl_set32(R, &actor_at(R, a).resting, 0)
    rl_stage_up(R, RL_PUBLISH_BELL, actor_at(R, a).slot, 0)


cdef void turn_begin(rl_region* R, uint32_t a) noexcept nogil:
    """Lock held. Grants an actor the CPUs of a turn, which fit."""
    cdef rl_job* j = rl_job_at(R, actor_at(R, a).job)
    grant(R, actor_at(R, a).slot, actor_at(R, a).turn)
    rl_set64(R, <uint64_t*>&actor_at(R, a).turn_began, 0)
    if j.turn_given != RL_TURN_GIVEN:
        rl_set32(R, &j.turn_given, RL_TURN_GIVEN)


cdef bint turn_ask(rl_region* R, uint32_t a) noexcept nogil:
    """Lock held. Gives an actor that holds nothing a turn at once, if nobody else waits for one and no task comes first; else
    it waits for it. Whether it has it."""
    cdef uint32_t q = actor_at(R, a).turn
    cdef rl_job* j = rl_job_at(R, actor_at(R, a).job)
    if j.turn_ring == 0 and queue_at(R, q).head == 0 and (j.ready_ring == 0 or j.turn_given == RL_TURN_NONE):
        if lacking_resource(R, q) == 0:
            turn_begin(R, a)
            return True
    want(R, a, q, False)
    return False


cdef void turn_give(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. Gives the CPUs of a turn, which fit, to the first actor of a queue."""
    cdef uint32_t a = queue_at(R, q).head
    cdef bint owed = want_served(R, a)
    turn_begin(R, a)
    actor_wake(R, a)
    if owed and R.h.nstalled:
        recheck_resource(R, RL_CPU)  # there is room in the log, and a turn demands nothing else


cdef bint turns_give(rl_region* R, bint once) noexcept nogil:
    """Lock held. Gives turns to actors (`once`: to one) as long as they fit; stalls queues that don't. False: the log or the
    stage is full."""
    cdef uint32_t q, k
    while R.j.turn_ring:
        if rl_log_used(R) + TURN_LOG + (UNSTALL_LOG if R.h.nstalled else 0) > RL_LOG_BUDGET or rl_staged_full(R):
            return False
        q = R.j.turn_ring
        k = lacking_resource(R, q)
        if k:
            if not stall_lacking(R, q, k):
                return False
            continue
        turn_give(R, q)
        if once:
            break
    return True


cdef bint lives_look(rl_region* R) noexcept nogil:
    """Lock held. Rings the node if an actor can be started; stalls queues that don't fit. False: the log is full."""
    cdef uint32_t k
    while R.j.life_ring:
        k = lacking_resource(R, R.j.life_ring)
        if k == 0:
            rl_owe_node(R)
            break
        if not stall_lacking(R, R.j.life_ring, k):
            return False
    return True
