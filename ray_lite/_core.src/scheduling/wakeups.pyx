"""Wake-ups: idle workers are rung for tasks that became READY, and the node when one more worker could run.

Actors that wait get their turns here, too.  Also the rechecks that are owed after a section, and ageing: each may bring tasks
into the ring for which a worker must be rung.  Neighbours: dispatch.pyx (which worker would find work), records/slots.pyx
(which are idle).  Must not start workers.
"""
cdef enum:
    OTHERS_LOG = 30  # log entries that are free before a section goes on with another job


cdef inline bint is_own_node(rl_region* R) noexcept nogil:
    """Whether this process is the node of the job for which it acts."""
    return rl_slot_at(R, R.slot).role == RL_NODE and rl_slot_at(R, R.slot).job == R.job


cdef bint is_unmanned(rl_region* R) noexcept nogil:
    """Lock held. Whether tasks of a job are queued for which it has no worker: it needs one to get its share of the CPUs."""
    return R.j.nready != 0 and R.j.nworking == 0 and R.j.nblocked == 0 and R.j.idle_first == 0 and \
        R.j.ncoming == 0 and R.j.nstarting == 0


cdef uint32_t ring_workers(rl_region* R, uint32_t wanted) noexcept nogil:
    """Lock held. Rings idle workers for `wanted` tasks that became READY, or the node if one more worker could run. Returns how
    many are left for another section, because the log or the stage of this one is full."""
    cdef uint32_t slot = 0
    cdef uint32_t stalled
    cdef int rc = DONE
    while wanted and R.j.idle_first:
        if pick_unserved(R, R.j.ncoming, True, &slot) == 0:
            stalled = R.h.nstalled
            if R.j.ncoming or slot != RL_MANY:  # a worker on its way looks for tasks itself
                break
            if pick_fitting(R, &rc) == 0:
                return wanted if rc == MORE else 0
            if R.h.nstalled == stalled:  # no idle worker can serve the first queues; the node starts one that can
                break
            continue
        if rl_staged_full(R) or rl_log_used(R) >= RL_LOG_BUDGET - IDLE_LOG:
            return wanted
        idle_remove(R, slot, RL_RUNG)
        rl_stage_up(R, RL_PUBLISH_BELL, slot, 0)
        wanted -= 1
    if is_own_node(R) or wanted == 0 or R.j.nstarting:
        return 0  # the node checks before it sleeps; a starting worker looks for tasks itself
    if R.h.actors.live:
        let_node_look(R, R.job)
    if R.j.idle_first == 0 and R.j.nworking and rl_load(&R.j.at_limit):
        return 0  # the node can't start a worker, and workers run, so it need not search for a deadlock
    if pick_unserved(R, R.j.ncoming, False, &slot) and slot == 0 or R.h.jobs.live > 1 and is_unmanned(R):
        rl_owe_node(R)
    return 0


cdef bint task_comes_next(rl_region* R) noexcept nogil:
    """Lock held. Whether the next free CPUs are a task's, and not an actor's: one fits, and a worker comes for it, or the node
    is rung to start one. The node itself leaves them to the task once; if it started no worker, an actor gets them."""
    cdef uint32_t slot = 0
    if R.j.turn_given == RL_TURN_NONE or R.j.ready_ring == 0 or pick_unserved(R, 0, False, &slot) == 0:
        return False
    if R.j.ncoming or R.j.nstarting:
        return True
    if not is_own_node(R):
        return rl_load(&R.j.at_limit) == 0
    if R.j.turn_given == RL_TURN_HELD_BACK:
        return False
    rl_set32(R, &R.j.turn_given, RL_TURN_HELD_BACK)
    return True


cdef uint32_t wake_all_sorts(rl_region* R) noexcept nogil:
    """Lock held. As `wake_workers`, while actors wait, too: what leaves a ring may let others in that anybody can run."""
    cdef uint32_t left
    if not lives_look(R) or (R.j.turn_given == RL_TURN_NONE and not turns_give(R, True)):
        return max(R.j.nready, <uint32_t>1)
    left = ring_workers(R, R.j.nready)
    if R.j.turn_ring == 0 or task_comes_next(R):
        return left
    if not turns_give(R, False):
        return max(R.j.nready, <uint32_t>1)
    left = ring_workers(R, R.j.nready)
    return left if R.j.turn_ring == 0 or task_comes_next(R) else max(left, <uint32_t>1)


cdef inline uint32_t wake_own(rl_region* R, uint32_t wanted) noexcept nogil:
    """Lock held. As `wake_workers`, for one job."""
    cdef uint32_t left = 0
    if R.j.turn_ring == 0 and R.j.life_ring == 0:
        left = ring_workers(R, wanted)
        if R.j.turn_ring == 0 and R.j.life_ring == 0:
            return left
    return max(left, wake_all_sorts(R))


cdef uint32_t wake_others(rl_region* R) noexcept nogil:
    """Lock held. Wakes whoever can make use of what became READY or free in other jobs. Returns 1 if some is left for another
    section."""
    cdef rl_region its = R[0]
    cdef uint32_t job, word
    while its.wakes and rl_log_used(R) < RL_LOG_BUDGET - OTHERS_LOG and not rl_staged_full(R):
        job = rl_take_owed_job(&its)
        if job and rl_job_at(R, job).state == RL_JOB_ALIVE:
            rl_act_for(&its, job)
            if wake_own(&its, its.j.nready):
                rl_owe_job(&its, job)
                break
    R.wakes = its.wakes
    for word in range(RL_JOB_WORDS):
        R.wake[word] = its.wake[word]
    return R.wakes


cdef uint32_t wake_workers(rl_region* R, uint32_t wanted) noexcept nogil:
    """Lock held. Wakes whoever can make use of what became READY (`wanted` tasks) or free: workers, the node, and actors that
    wait for a turn. Returns how many wake-ups are left for another section."""
    cdef uint32_t left = wake_own(R, wanted)
    if R.released:
        owe_waiting_jobs(R)
    return max(left, wake_others(R)) if R.wakes else left


cdef inline uint32_t wakeups_wanted(rl_region* R) noexcept nogil:
    """Lock not needed: a hint. How many tasks are queued; at least 1 if an actor waits for something."""
    cdef uint32_t ready = rl_load(&R.j.nready)
    return ready if ready or rl_load(&R.j.nwanting) == 0 else 1


cdef int wake_the_rest(rl_region* R, uint32_t wanted) noexcept nogil:
    """Lock not held. Rings the workers for which earlier sections had no room."""
    while wanted or R.released or R.wakes:
        if rl_lock(R):
            return EIO
        wanted = wake_workers(R, min(wanted, R.j.nready))
        rl_commit(R)
    return DONE


cdef inline int wake_workers_unlocked(rl_region* R, uint32_t wanted) noexcept nogil:
    """Lock not held. Rings the workers for which earlier sections had no room, if there are such: seldom."""
    return wake_the_rest(R, wanted) if wanted or R.released or R.wakes else DONE


cdef int recheck_owed(rl_region* R, uint32_t q) noexcept nogil:
    """Lock not held. Makes the recheck that is owed for a shape (0: none) of which something was released, or which left the
    ring. Also when no queue is stalled: the ring may have tasks that did not fit before, and no worker was rung for them."""
    cdef uint32_t left = 0
    cdef bint done = q == 0
    while not done and (wakeups_wanted(R) or rl_load(&R.h.nstalled)):
        if rl_lock(R):
            return EIO
        done = recheck_released(R, q)
        left += wake_workers(R, R.j.nready)
        rl_commit(R)
    return wake_workers_unlocked(R, left)


cdef int recheck_all(rl_region* R) noexcept nogil:
    """Lock not held. Rechecks all resources after a death, since the dead process may have owed a recheck of any."""
    cdef uint32_t k = RL_CPU
    cdef bint done
    while k < R.h.resources.used and rl_load(&R.h.nstalled):
        if rl_lock(R):
            return EIO
        done = True
        while done and k < R.h.resources.used:
            done = recheck_resource(R, k)
            k += done
        rl_commit(R)
        rl_failpoint(R, b"recheck.chunk")
    return wake_workers_unlocked(R, wakeups_wanted(R))


cdef uint32_t longest_stalled(rl_region* R, int64_t since) noexcept nogil:
    """Lock not needed: a hint. The queue that is stalled the longest, if it is since before `since`; else 0."""
    cdef uint32_t best = 0
    cdef uint32_t q
    cdef int64_t stalled_since
    for q in range(1, rl_load(&R.h.queues.used)):
        stalled_since = <int64_t>rl_load64(<uint64_t*>&queue_at(R, q).stalled_since)
        if rl_load(&queue_at(R, q).listed) == RL_STALLED and stalled_since and stalled_since < since:
            if lacks_held(R, q):
                continue
            since = stalled_since
            best = q
    return best


cdef int age(rl_region* R) noexcept nogil:
    """Lock not held. Gives the reservation to the queue that is stalled the longest, if that is too long and no queue has
    it. One that needs what actors hold for life loses it: others would never get it."""
    cdef uint32_t q = rl_load(&R.h.reserved_for)
    if rl_load(&R.h.nstalled) == 0 or q and not lacks_held(R, q):
        return DONE
    if q:
        if rl_lock(R):
            return EIO
        if R.h.reserved_for == q:
            rl_set32(R, &R.h.reserved_for, 0)
        rl_commit(R)
        if recheck_all(R):
            return EIO
    q = longest_stalled(R, rl_now() - R.h.aging)
    if q == 0:
        return DONE
    if rl_lock(R):
        return EIO
    if R.h.reserved_for == 0 and queue_at(R, q).listed == RL_STALLED:
        reserve_for(R, q, queue_at(R, q).stalled_on)
        recheck_resource(R, queue_at(R, q).stalled_on)
    rl_commit(R)
    return wake_workers_unlocked(R, 1)


cdef int idle_leave(rl_region* R) noexcept nogil:
    """Takes this worker off the idle list, because it retires. If it was rung, another worker is rung for it."""
    if rl_lock(R):
        return EIO
    worker_arrived(R, rl_slot_at(R, R.slot))
    if rl_slot_at(R, R.slot).availability == RL_IDLE:
        idle_remove(R, R.slot, RL_BUSY)
    rl_commit(R)
    rl_failpoint(R, b"leave.wake")
    return wake_workers_unlocked(R, wakeups_wanted(R))
