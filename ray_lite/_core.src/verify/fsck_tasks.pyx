"""fsck of tasks and slots: every record is in exactly one place, and the counts add up."""


cdef int fsck_task(rl_region* R, uint32_t t, rl_finding* f) noexcept nogil:
    cdef rl_task* k = task_at(R, t)
    cdef uint32_t linked = 0
    cdef uint32_t n = 0
    cdef uint32_t i = k.returns
    while i:
        n += 1
        if n > k.nreturns or i >= R.h.objects.used or object_at(R, i).task != t:
            return wrong(f, b"task: returns", t, k.nreturns, i)
        i = object_at(R, i).next
    n = 0
    i = k.refs
    while i:
        n += 1
        if n > k.nrefs or ref_at(R, i).state != RL_REF_ARGUMENT or ref_at(R, i).owner != t:
            return wrong(f, b"task: refs", t, k.nrefs, i)
        linked += ref_at(R, i).linked
        i = ref_at(R, i).next
    if linked != (k.ndeps if k.state != RL_RUNNING else 0):
        return wrong(f, b"task: ndeps", t, linked, k.ndeps)
    if k.state == RL_RUNNING and k.awaits and k.actor == 0:
        return wrong(f, b"task: runs with unready arguments", t, 0, k.awaits)
    if k.flags & RL_IN_CYCLE and (k.state != RL_RUNNING or k.awaits == 0):
        return wrong(f, b"task: its wait is to end, but it does not wait", t, k.state, k.awaits)
    if rl_task_rules[k.state].facts & RL_OWNED and (k.owner == 0 or rl_slot_at(R, k.owner).state == RL_FREE):
        return wrong(f, b"task: running or building, and no process owns it", t, 1, k.owner)
    if k.ndeps and k.state != RL_RUNNING and not rl_task_rules[k.state].facts & RL_MAY_LACK:
        return wrong(f, b"task: runs with unready arguments", t, 0, k.ndeps)
    if rl_task_rules[k.state].facts & RL_LACKS and k.ndeps == 0:
        return wrong(f, b"task: waits for nothing", t, 1, 0)
    return 0


cdef int fsck_stacks(rl_region* R, uint32_t s, uint32_t* counts, uint32_t* running, uint32_t* building,
                     rl_finding* f) noexcept nogil:
    """Checks the records that a slot runs and builds; `running`, `building`: grow by their numbers."""
    cdef uint32_t t, prev
    t = rl_slot_at(R, s).running
    prev = 0
    while t:
        running[0] += 1
        if task_at(R, t).actor and task_at(R, t).prev != prev:
            return wrong(f, b"slot: running list, backwards", s, prev, t)
        prev = t
        if running[0] > counts[RL_RUNNING] or task_at(R, t).state != RL_RUNNING or task_at(R, t).owner != s:
            return wrong(f, b"slot: running list", s, counts[RL_RUNNING], t)
        t = task_at(R, t).next
    t = rl_slot_at(R, s).building
    while t:
        building[0] += 1
        if building[0] > counts[RL_BUILDING] or task_at(R, t).state != RL_BUILDING or task_at(R, t).owner != s:
            return wrong(f, b"slot: building list", s, counts[RL_BUILDING], t)
        t = task_at(R, t).next
    return 0


cdef int fsck_tasks(rl_region* R, rl_finding* f) noexcept nogil:
    """Checks records against the slots' lists and the jobs' lists of cancelled tasks; `fsck_queue` checks READY ones."""
    cdef uint32_t counts[RL_PAST + 1]
    cdef uint32_t running = 0
    cdef uint32_t building = 0
    cdef uint32_t cancelled = 0
    cdef uint32_t ready = 0
    cdef uint32_t t, s
    memset(counts, 0, sizeof(counts))
    for t in range(1, R.h.tasks.used):
        if task_at(R, t).state > RL_PAST:
            return wrong(f, b"task: state", t, RL_PAST, task_at(R, t).state)
        counts[task_at(R, t).state] += 1
        if task_at(R, t).state != RL_FREE and fsck_task(R, t, f):
            return 1
    for s in range(1, R.h.slots.used):
        if rl_slot_at(R, s).state != RL_FREE and fsck_stacks(R, s, counts, &running, &building, f):
            return 1
    for s in range(1, R.h.jobs.used):
        t = rl_job_at(R, s).cancelled_queued if rl_job_at(R, s).state else 0
        while t:
            cancelled += 1
            if cancelled > counts[RL_CANCELLED_QUEUED] or task_at(R, t).state != RL_CANCELLED_QUEUED:
                return wrong(f, b"task: list of the cancelled", t, counts[RL_CANCELLED_QUEUED], cancelled)
            t = task_at(R, t).next
    if cancelled != counts[RL_CANCELLED_QUEUED]:
        return wrong(f, b"task: ends outside the list", 0, counts[RL_CANCELLED_QUEUED], cancelled)
    if running != counts[RL_RUNNING] or building != counts[RL_BUILDING]:
        return wrong(f, b"task: running or building outside the lists", running, counts[RL_RUNNING], building)
    for t in range(1, R.h.queues.used):
        ready += queue_at(R, t).length if queue_at(R, t).state and queue_at(R, t).members == RL_TASKS else 0
    return wrong(f, b"queues: READY tasks", 0, counts[RL_READY], ready) if counts[RL_READY] != ready else 0
