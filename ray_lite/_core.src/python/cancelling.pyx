"""Cancelling, as Python sees it: for the process that cancels, for the node, and for the worker that is told."""


def task_of(Region region, ObjectID x) -> tuple:
    """(record, serial) of the live task that returns an object; (0, 0): the task has ended, or the object was put."""
    cdef rl_region* R = region.R
    check_region(R)
    resolve(R, x)
    if rl_lock(R):
        check(EIO)
    t = object_at(R, x.index).task if object_at(R, x.index).state == RL_PENDING else 0
    serial = task_at(R, t).serial if t else 0
    rl_commit(R)
    return t, serial


def descendants(Region region, list ancestors) -> list:
    """(record, serial) of the live tasks that descend from any of the ancestors, which are such pairs, too, and may have ended.

    Locks for 1,024 records at a time.
    """
    cdef rl_region* R = region.R
    cdef uint32_t i, end
    cdef uint32_t start = 1
    cdef list found = []
    check_region(R)
    cdef uint32_t n = rl_load(&R.h.tasks.used)
    cdef uint64_t* serials = <uint64_t*>calloc(n, sizeof(uint64_t))
    if serials == NULL:
        raise MemoryError("no memory to search for the tasks that a task submitted")
    try:
        for t, serial in ancestors:
            serials[<uint32_t>t] = <uint64_t>serial + 1
        while start < rl_load(&R.h.tasks.used):
            picked = []
            if rl_lock(R):
                check(EIO)
            end = min(start + 1024, R.h.tasks.used)
            for i in range(start, end):
                if task_at(R, i).state != RL_FREE and descends(R, i, serials, n):
                    picked.append((i, task_at(R, i).serial))
            rl_commit(R)
            found += picked
            start = end
    finally:
        free(serials)
    return found


def cancel(Region region, uint32_t t, uint32_t serial, bint force, bint recursive=False) -> int:
    """Cancels a task. 0: it has ended (or can't be cancelled now), 1: it was queued, 2: it runs, and will be told.

    `force`: the node kills the worker that runs it.  `recursive`: tasks that it submits from now on end at once.
    """
    cdef int found = 0
    cdef uint32_t how = (RL_CANCEL_FORCED if force else 0) | (RL_CANCEL_RECURSIVE if recursive else 0)
    check_region(region.R)
    check(task_cancel(region.R, t, serial, how, &found))
    return found


def take_cancelled_queued(Region region) -> int:
    """Moves a cancelled task that was queued to this process, the node; the record, or 0 when there is none."""
    cdef uint32_t t = 0
    check_region(region.R)
    check(cancelled_queued_take(region.R, &t))
    return t


def cancel_count(Region region) -> int:
    """Number of cancellations of running tasks. If it is stale, the node checks the slots later, when the doorbell rings."""
    return rl_load(&region.R.h.cancels)


def cancel_marks(Region region) -> list:
    """(slot, whether the innermost task is marked and not told yet, whether one of its tasks is to be killed) of each worker.

    Only workers that run such tasks are listed.
    """
    cdef rl_region* R = region.R
    cdef list out = []
    cdef uint32_t s, t, forced
    check_region(R)
    for s in range(1, rl_load(&R.h.slots.used)):
        found = forced = 0
        if rl_lock(R):
            check(EIO)
        t = rl_slot_at(R, s).running if rl_slot_at(R, s).state == RL_ALIVE and s != R.slot else 0
        found = t != 0 and is_undelivered(task_at(R, t)) and not runs_beside_others(R, task_at(R, t))
        while t:
            forced |= task_at(R, t).flags & RL_CANCEL_FORCED
            t = task_at(R, t).next
        rl_commit(R)
        if found or forced:
            out.append((s, bool(found), forced != 0))
    return out


def running_calls(Region region, uint32_t slot) -> list:
    """(record, serial) of the tasks or calls that a process runs."""
    cdef list out = []
    cdef uint32_t t
    check_region(region.R)
    if rl_lock(region.R):
        check(EIO)
    t = rl_slot_at(region.R, slot).running
    while t:
        out.append((t, task_at(region.R, t).serial))
        t = task_at(region.R, t).next
    rl_commit(region.R)
    return out


def is_cancelled(Region region) -> bool:
    """Whether the innermost task of this process is marked as cancelled and was not told yet."""
    cdef uint32_t t = rl_slot_at(region.R, region.R.slot).running
    return t != 0 and is_undelivered(task_at(region.R, t))


def cancel_delivered(Region region):
    """Notes that the innermost task of this process is told of its cancellation: once, unless it is cancelled again."""
    check_region(region.R)
    check(cancel_told(region.R, rl_slot_at(region.R, region.R.slot).running))
