"""The end of a job: what its processes left in the region ends, so that nothing of it stays.

    its slots are swept -> its tasks -> its actors -> what names its kept objects -> these objects -> its queues and itself

The host does each step, once all processes of the job are gone or have let go of the region.  Each step is cut into
sections and can be repeated.  Tasks of other jobs that wait for what the job would have made go on with an error, the cause.
Neighbours: sweep.pyx (slots), actor_ends.pyx (actors).  Must not decide when a job ends.
"""
cdef enum:
    PIECE = 1024  # entries of a table that one call looks at
    WITHDRAW_LOG = 48  # log entries that taking a task out of its place writes at most, without its edges


cdef int job_dropping(rl_region* R, uint32_t job) noexcept nogil:
    """Begins the end of a job: its workers take no more tasks, and it gets no more processes."""
    cdef rl_job* j = rl_job_at(R, job)
    if rl_lock(R):
        return EIO
    if j.state == RL_JOB_ALIVE:
        rl_job_become(R, j, RL_JOB_DROPPING)
    rl_cas(&j.closing, 0, 1)
    rl_commit(R)
    return DONE


cdef bint is_kept_by(rl_region* R, uint32_t i, uint32_t job) noexcept nogil:
    """Lock held. Whether object `i` (0: none) is kept by a job."""
    cdef rl_object* o = object_at(R, i)
    return i != 0 and o.state == RL_SEALED and o.flags & RL_JOB_PINNED != 0 and o.owner == job


cdef bint is_task_of(rl_region* R, rl_task* k, uint32_t job) noexcept nogil:
    """Lock held. Whether a task was submitted by a job, or a call of another job's actor: that names what the job keeps. Calls
    of its own actors end with these."""
    if k.actor == 0:
        return queue_at(R, k.queue).job == job
    if actor_at(R, k.actor).job == job:
        return False
    return is_kept_by(R, k.function, job) or is_kept_by(R, k.site, job) or is_kept_by(R, k.runtime_env, job)


cdef inline bint waits_its_turn(rl_task* k) noexcept nogil:
    return k.state == RL_READY or k.state == RL_WAITING or k.state == RL_MAILED or k.state == RL_LANED


cdef int withdraw_section(rl_region* R, uint32_t t, uint32_t job, bint* taken) noexcept nogil:
    """Lock held. Moves a task of a job that waits to this slot's stack (`taken`). From another one, such as a call that runs in
    another job or has run there, it takes away what the job keeps."""
    cdef rl_task* k = task_at(R, t)
    taken[0] = False
    if k.state == RL_FREE or k.state == RL_BUILDING or not is_task_of(R, k, job):
        return DONE
    if not waits_its_turn(k) or k.actor and (k.flags & RL_REPLAY or actor_at(R, k.actor).creation == t):
        rl_set32(R, &k.function, 0)
        rl_set32(R, &k.site, 0)
        rl_set32(R, &k.runtime_env, 0)
        return DONE
    if edges_cut(R, k, WITHDRAW_LOG):
        return MORE
    if k.actor:
        call_withdraw(R, t)
    elif k.state == RL_READY:
        queue_remove(R, t)
    rl_task_become(R, k, RL_RUNNING)
    running_add(R, R.slot, t)
    taken[0] = True
    return DONE


cdef int task_withdraw(rl_region* R, uint32_t t, uint32_t job, bint* taken) noexcept nogil:
    """As `withdraw_section`, in as many sections as it needs."""
    cdef int rc = MORE
    while rc == MORE:
        if rl_lock(R):
            return EIO
        rc = withdraw_section(R, t, job, taken)
        rl_commit(R)
    return rc


cdef int task_lose(rl_region* R, uint32_t t, uint32_t cause) noexcept nogil:
    """Ends a task of this slot, which will not run: its unsealed returns refer to the cause."""
    cdef int rc = returns_alias(R, t, cause)
    return rc or task_finish(R, t)


cdef int job_lose_cancelled(rl_region* R, uint32_t job, uint32_t cause) noexcept nogil:
    """Ends the tasks of a job that were cancelled before they ran, and that its node has not ended."""
    cdef rl_region its = R[0]
    cdef uint32_t t = 1
    cdef int rc
    rl_act_for(&its, job)
    while t:
        rc = cancelled_queued_take(&its, &t)
        if rc == DONE and t:
            rc = task_lose(R, t, cause)
        if rc:
            return rc
    return DONE


cdef int job_lose_tasks(rl_region* R, uint32_t job, uint32_t cause, uint32_t* at) noexcept nogil:
    """Ends the tasks that a job submitted and that don't run, among the next records from `at` on, which it advances; 0: all
    were looked at."""
    cdef uint32_t end = min(at[0] + <uint32_t>PIECE, rl_load(&R.h.tasks.used))
    cdef uint32_t t
    cdef bint taken = False
    cdef int rc
    while rl_slot_at(R, R.slot).running:  # of an earlier try, for which there was no room
        rc = task_lose(R, rl_slot_at(R, R.slot).running, cause)
        if rc:
            return rc
    for t in range(at[0], end):
        rc = task_withdraw(R, t, job, &taken)
        if rc == DONE and taken:
            rc = task_lose(R, t, cause)
        if rc:
            return rc
    at[0] = end if end < rl_load(&R.h.tasks.used) else 0
    return recheck_all(R)


cdef int actor_orphan(rl_region* R, uint32_t a, uint32_t q) noexcept nogil:
    """Gives a DEAD actor, of which other jobs still have handles, to the host's job. `q`: a queue of that job, which demands
    nothing. The object with the facts lives as long as the entry."""
    cdef rl_actor* e = actor_at(R, a)
    if rl_lock(R):
        return EIO
    if e.flags & RL_DUE:
        due_remove(R, a)
    rl_set32(R, &e.job, RL_HOST_JOB)
    rl_set32(R, &e.life, q)
    rl_set32(R, &e.turn, 0)
    rl_set32(R, &e.flags, e.flags | RL_ORPHAN)
    if e.facts:
        pin(R, e.facts)
    if e.ncalls or e.handle == 0:
        actor_due(R, a)
    rl_commit(R)
    return DONE


cdef int job_forget_sites(rl_region* R, uint32_t job, uint32_t* at) noexcept nogil:
    """Takes a job's call sites away from objects that outlive it, among the next from `at` on; 0: all were looked at."""
    cdef uint32_t end, i
    if rl_lock(R):
        return EIO
    end = min(at[0] + <uint32_t>PIECE, R.h.objects.used)
    for i in range(at[0], end):
        if rl_log_used(R) >= RL_LOG_BUDGET:
            end = i
            break
        if object_at(R, i).state != RL_FREE and is_kept_by(R, object_at(R, i).site, job):
            rl_set32(R, &object_at(R, i).site, 0)
    at[0] = end if end < R.h.objects.used else 0
    rl_commit(R)
    return DONE


cdef int job_unkeep(rl_region* R, uint32_t job, uint32_t* at) noexcept nogil:
    """Lets go of the next object from `at` on that a job keeps, of some; 0: all were looked at."""
    cdef uint32_t end, i
    if rl_lock(R):
        return EIO
    end = min(at[0] + <uint32_t>PIECE, R.h.objects.used)
    for i in range(at[0], end):
        if is_kept_by(R, i, job):
            object_unkeep(R, object_at(R, i))
            free_if_unreferenced(R, i)
            end = i + 1
            break
    at[0] = end if end < R.h.objects.used else 0
    rl_commit(R)
    return garbage_drain(R)


cdef int job_free_queues(rl_region* R, uint32_t job, uint32_t* at) noexcept nogil:
    """Frees the next queue from `at` on that belongs to a job, of some; all are empty. 0: all were looked at."""
    cdef uint32_t end, q
    if rl_lock(R):
        return EIO
    end = min(at[0] + <uint32_t>PIECE, R.h.queues.used)
    for q in range(at[0], end):
        if queue_at(R, q).state and queue_at(R, q).job == job:
            queue_free(R, q)
            end = q + 1
            break
    at[0] = end if end < R.h.queues.used else 0
    rl_commit(R)
    return DONE


cdef int job_free(rl_region* R, uint32_t job) noexcept nogil:
    """Frees the entry of a job of which nothing is left."""
    cdef rl_job* j = rl_job_at(R, job)
    if rl_lock(R):
        return EIO
    rl_set32(R, &j.serial, j.serial + 1)
    if rl_job_may(R, j, RL_FREE):
        table_give(R, &R.h.jobs, job)
    rl_commit(R)
    return DONE
