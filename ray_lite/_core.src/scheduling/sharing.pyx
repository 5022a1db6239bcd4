"""Sharing: the CPUs of a session among its jobs.

A worker takes the next task in the section in which it ends the last one, so a job whose queues are never empty would keep its
CPUs for ever.  If another job waits for CPUs and has had less than its share for a turn, such a worker leaves its CPUs to that
one.  A share is the number of CPUs, divided by the jobs that have tasks; where that is no whole number of workers, jobs take
turns.  Other resources go to whoever comes first, and the reservation keeps them for who has waited for long.
"""
cdef enum:
    LEAVE_LOG = 18     # log entries that leaving CPUs to another job writes at most, without those of the idle list
    SHARE_LOOK = 1000000  # ns between two looks of a worker at who waits


cdef bint can_use_cpus(rl_region* R, uint32_t job) noexcept nogil:
    """Lock held. Whether a job waits for CPUs alone, and has a worker for them."""
    cdef rl_job* j = rl_job_at(R, job)
    cdef uint32_t q = resource_at(R, RL_CPU).head
    cdef uint32_t _
    if j.state != RL_JOB_ALIVE or j.nready == 0 or j.nidle + j.ncoming == 0:
        return False
    if j.ready_ring and (lacking_resource(R, j.ready_ring) == 0 or lacking_resource(R, j.ready_ring) == RL_CPU):
        return True
    for _ in range(<uint32_t>SCAN_LIMIT):
        if q == 0 or queue_at(R, q).job == job:
            break
        q = queue_at(R, q).next
    return q != 0 and queue_at(R, q).job == job


cdef int64_t shares(rl_region* R, int64_t* used) noexcept nogil:
    """Lock held. The share of each job, in ten-thousandths of a CPU; `used`: how many CPUs the tasks of each job hold."""
    cdef rl_slot* s
    cdef uint32_t i
    cdef int64_t active = 0
    memset(used, 0, R.h.jobs.used * sizeof(int64_t))
    for i in range(1, R.h.slots.used):
        s = rl_slot_at(R, i)
        if s.state == RL_ALIVE and s.shape and s.blocked == 0:
            used[s.job] += queue_at(R, s.shape).cpus
    for i in range(1, R.h.jobs.used):
        if rl_job_at(R, i).state != RL_FREE and (rl_job_at(R, i).nready or used[i]):
            active += 1
    return resource_at(R, RL_CPU).total // max(active, <int64_t>1)


cdef bint has_its_share(rl_region* R) noexcept nogil:
    """Lock held. Whether the job's tasks hold its share of the CPUs, or more."""
    cdef int64_t used[RL_JOBS]
    cdef int64_t share = shares(R, used)
    return used[R.job] >= share


cdef uint32_t poorer_job(rl_region* R, int64_t* own, int64_t* share, int64_t* lacks) noexcept nogil:
    """Lock held. Another job that waits for CPUs and has less than its `share`, or 0. `own`: what this one's tasks hold;
    `lacks`: how many CPUs the other can take now."""
    cdef int64_t used[RL_JOBS]
    cdef rl_job* j
    cdef uint32_t i
    share[0] = shares(R, used)
    own[0] = used[R.job]
    for i in range(1, R.h.jobs.used):
        if i != R.job and used[i] < share[0] and can_use_cpus(R, i):
            j = rl_job_at(R, i)
            lacks[0] = min(share[0] - used[i], <int64_t>min(j.nready, j.nidle + j.ncoming) * RL_UNIT)
            return i
    return 0


cdef bint turn_is_up(rl_region* R, int64_t now) noexcept nogil:
    """Lock held. Whether the job has had more than its share for a turn, while another had less. Begins a turn."""
    if R.j.over_since == 0:
        rl_set64(R, <uint64_t*>&R.j.over_since, <uint64_t>now)
    return now - R.j.over_since >= R.h.job_turn


cdef void leave_cpus_to(rl_region* R, uint32_t job, int64_t now) noexcept nogil:
    """Lock held. Leaves CPUs, which are free now, to another job: the workers of this one take none for a while."""
    cdef uint32_t q = resource_at(R, RL_CPU).head
    cdef uint32_t _
    rl_set64(R, <uint64_t*>&R.j.yields_until, <uint64_t>(now + R.h.job_turn))
    rl_set64(R, <uint64_t*>&rl_job_at(R, job).yields_until, 0)
    for _ in range(<uint32_t>SCAN_LIMIT):
        if q == 0 or queue_at(R, q).job == job:
            break
        q = queue_at(R, q).next
    if q and queue_at(R, q).job == job and has_enough(R, q, RL_CPU, 1):
        unstall(R, q)
        ring_add(R, q)
    rl_owe_job(R, job)


cdef bint leaves_cpus(rl_region* R) noexcept nogil:
    """Lock held. Whether a worker, which holds nothing, leaves the next task to another job. It looks once in a while, and
    takes tasks as long as enough is free for both."""
    cdef int64_t now = rl_now()
    cdef int64_t own = 0
    cdef int64_t share = 0
    cdef int64_t lacks = 0
    cdef uint32_t poorer
    if now < R.share_look or R.j.ready_ring == 0 or queue_at(R, R.j.ready_ring).cpus == 0:
        return False
    poorer = poorer_job(R, &own, &share, &lacks)
    if poorer == 0:
        R.share_look = now + SHARE_LOOK
        if R.j.over_since:
            rl_set64(R, <uint64_t*>&R.j.over_since, 0)
        return False
    if resource_at(R, RL_CPU).free - queue_at(R, R.j.ready_ring).cpus >= lacks:
        return False
    if now < R.j.yields_until:
        return True
    if not turn_is_up(R, now):
        return False
    leave_cpus_to(R, poorer, now)
    if own < share:  # without this worker it has less than its share: the next turn begins when it has more again
        rl_set64(R, <uint64_t*>&R.j.over_since, 0)
    return True
