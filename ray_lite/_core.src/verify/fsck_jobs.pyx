"""fsck of jobs: what each of them lists and counts, its queues, its workers and its actors; and that nothing has no job."""


cdef int fsck_slots(rl_region* R, rl_finding* f) noexcept nogil:
    """Checks the job's idle list, its counts of idle, starting and rung workers, loans, waiting threads, what is awaited."""
    cdef uint32_t idle = 0
    cdef uint32_t starting = 0
    cdef uint32_t coming = 0
    cdef uint32_t awaiting = 0
    cdef uint32_t n = 0
    cdef uint32_t prev = 0
    cdef uint32_t i
    cdef rl_slot* s
    for i in range(1, R.h.tasks.used):
        if task_at(R, i).state == RL_RUNNING and rl_slot_at(R, task_at(R, i).owner).job == R.job:
            awaiting += task_at(R, i).awaits != 0
    for i in range(1, R.h.slots.used):
        s = rl_slot_at(R, i)
        if s.state != RL_FREE and s.job == R.job:
            idle += s.availability == RL_IDLE
            starting += s.availability == RL_STARTING
            coming += s.availability == RL_RUNG
            awaiting += s.awaits != 0
            if s.awaits and s.blocked <= s.lent:
                return wrong(f, b"slots: awaits an object, but is not blocked", i, s.awaits, s.blocked)
            if s.lent > 1 or s.lent and (holding(s) == 0 or s.blocked == 0):
                return wrong(f, b"slots: lent without a task, or not blocked", i, s.blocked, s.lent)
            if s.thread_waits_forever > s.thread_waits or s.state == RL_ALIVE and s.thread_waits and not R.j.threads_wait:
                return wrong(f, b"slots: waiting threads", i, s.thread_waits, s.thread_waits_forever)
    if awaiting != R.j.nawaiting:
        return wrong(f, b"slots: nawaiting", 0, awaiting, R.j.nawaiting)
    if starting != R.j.nstarting or coming != R.j.ncoming:
        return wrong(f, b"slots: starting, coming", coming, starting, R.j.nstarting)
    i = R.j.idle_first
    while i:
        n += 1
        if n > idle or rl_slot_at(R, i).availability != RL_IDLE or rl_slot_at(R, i).prev != prev or \
                rl_slot_at(R, i).job != R.job:
            return wrong(f, b"slots: idle list", i, idle, n)
        prev = i
        i = rl_slot_at(R, i).next
    if prev != R.j.idle_last:
        return wrong(f, b"slots: end of the idle list", prev, prev, R.j.idle_last)
    return wrong(f, b"slots: idle", 0, idle, n) if n != idle or n != R.j.nidle else 0


cdef int fsck_due(rl_region* R, rl_finding* f) noexcept nogil:
    """Checks that the job's list of actors that are due names those with the flag, and the count of those that wait."""
    cdef uint32_t due = 0
    cdef uint32_t n = 0
    cdef uint32_t wanting = 0
    cdef uint32_t a
    for a in range(1, R.h.actors.used):
        if actor_at(R, a).state != RL_FREE and actor_at(R, a).job == R.job:
            due += actor_at(R, a).flags & RL_DUE != 0
            wanting += actor_at(R, a).wants != 0
    if wanting != R.j.nwanting:
        return wrong(f, b"actors: nwanting", 0, wanting, R.j.nwanting)
    a = R.j.actors_due
    while a:
        n += 1
        if n > due or actor_at(R, a).state == RL_FREE or not actor_at(R, a).flags & RL_DUE:
            return wrong(f, b"actor: list of those that are due", a, due, n)
        a = actor_at(R, a).next
    return wrong(f, b"actor: due, but not listed", 0, due, n) if n != due else 0


cdef int fsck_ready(rl_region* R, rl_finding* f) noexcept nogil:
    """Checks how many tasks the job's queues have."""
    cdef uint32_t ready = 0
    cdef uint32_t q
    for q in range(1, R.h.queues.used):
        if queue_at(R, q).state and queue_at(R, q).job == R.job and queue_at(R, q).members == RL_TASKS:
            ready += queue_at(R, q).length
    return wrong(f, b"queues: total", 0, R.j.nready, ready) if ready != R.j.nready else 0


cdef int fsck_job(rl_region* R, rl_finding* f) noexcept nogil:
    """Checks the job of the region's view."""
    if R.j.state > RL_JOB_DROPPING:
        return wrong(f, b"job: state", R.job, RL_JOB_DROPPING, R.j.state)
    if fsck_ring(R, RL_TASKS, f) or fsck_ring(R, RL_TURNS, f) or fsck_ring(R, RL_LIVES, f):
        return 1
    return fsck_ready(R, f) or fsck_nesting(R, f) or fsck_slots(R, f) or fsck_due(R, f)


cdef bint is_job(rl_region* R, uint32_t i) noexcept nogil:
    return 0 < i < R.h.jobs.used and rl_job_at(R, i).state != RL_FREE


cdef int fsck_jobs(rl_region* R, rl_finding* f) noexcept nogil:
    """Checks all jobs, and that each queue, slot and actor has one."""
    cdef rl_region its = R[0]  # a copy: other threads of this process go on with R
    cdef uint32_t i
    for i in range(1, R.h.queues.used):
        if queue_at(R, i).state and not is_job(R, queue_at(R, i).job):
            return wrong(f, b"queue: job", i, 1, queue_at(R, i).job)
    for i in range(1, R.h.slots.used):
        if rl_slot_at(R, i).state and not is_job(R, rl_slot_at(R, i).job):
            return wrong(f, b"slots: job", i, 1, rl_slot_at(R, i).job)
    for i in range(1, R.h.actors.used):
        if actor_at(R, i).state and not is_job(R, actor_at(R, i).job):
            return wrong(f, b"actor: job", i, 1, actor_at(R, i).job)
    for i in range(1, R.h.jobs.used):
        if rl_job_at(R, i).state:
            rl_act_for(&its, i)
            if fsck_job(&its, f):
                return 1
    return 0
