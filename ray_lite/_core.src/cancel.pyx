"""Cancelling: a queued task is taken out of its queue and left to the node, which ends it; a running one is marked.

A mark takes effect when the task is innermost in its process: the node sends a signal, and the worker looks for the mark
before and after it runs something.  Neighbours: tasks.pyx (records), node.py (ends them, sends signals), worker.py (raises).
Must not raise anything in a task.
"""
cdef enum:
    NOT_THERE = 0  # what a call of `cancel` found: no such task any more
    WAS_QUEUED = 1
    IS_RUNNING = 2


cdef void ending_add(rl_region* R, uint32_t t) noexcept nogil:
    """Lock held. The record is nobody's but the node's."""
    rl_set32(R, &task_at(R, t).state, RL_ENDING)
    rl_set32(R, &task_at(R, t).next, R.h.ending)
    rl_set32(R, &R.h.ending, t)


cdef int cancel_section(rl_region* R, uint32_t t, uint32_t how, uint32_t* owed) noexcept nogil:
    """Lock held. What became of a live record."""
    cdef rl_task* k = task_at(R, t)
    if k.state == RL_READY:
        queue_remove(R, t)
        ending_add(R, t)
        owed[0] = 0 if queue_at(R, k.queue).listed else k.queue
    elif k.state == RL_WAITING:
        ending_add(R, t)
    elif k.state == RL_RUNNING:
        rl_set16(R, &k.flags, <uint16_t>((k.flags | RL_CANCELLED | how) & ~RL_CANCEL_TOLD))
        rl_set32(R, &R.h.cancels, R.h.cancels + 1)
    else:
        return NOT_THERE
    rl_owe_node()
    return IS_RUNNING if k.state == RL_RUNNING else WAS_QUEUED


cdef int task_cancel(rl_region* R, uint32_t t, uint32_t serial, uint32_t how, int* found) noexcept nogil:
    """Cancels the task of a record, if it is still that one. `how`: RL_CANCEL_FORCED, RL_CANCEL_ALL or both."""
    cdef uint32_t owed = 0
    found[0] = NOT_THERE
    if rl_lock(R):
        return EIO
    if t and task_at(R, t).serial == serial:
        found[0] = cancel_section(R, t, how, &owed)
    rl_commit(R)
    rl_failpoint(R, b"cancel.ring")
    return look_owed(R, owed)


cdef int ending_section(rl_region* R, uint32_t t) noexcept nogil:
    """Lock held. Arguments are waited for no more, then the record is this slot's. MORE: the log is full."""
    cdef rl_task* k = task_at(R, t)
    cdef uint32_t r = k.refs
    while k.ndeps:
        if rl_log_used(R) > RL_LOG_BUDGET - 16:
            return MORE
        if ref_at(R, r).linked:
            edge_unlink(R, r)
            rl_set32(R, &k.ndeps, k.ndeps - 1)
        r = ref_at(R, r).next
    if rl_log_used(R) > RL_LOG_BUDGET - 16:
        return MORE
    rl_set32(R, &R.h.ending, k.next)
    rl_set32(R, &k.next, rl_slot_at(R, R.slot).running)
    rl_set32(R, &rl_slot_at(R, R.slot).running, t)
    rl_set32(R, &k.owner, R.slot)
    rl_set32(R, &k.state, RL_RUNNING)
    return DONE


cdef int ending_take(rl_region* R, uint32_t* out) noexcept nogil:
    """The node adopts a cancelled task that was queued, to fail it; 0 when there is none."""
    cdef int rc = MORE
    while rc == MORE:
        if rl_lock(R):
            return EIO
        out[0] = R.h.ending
        rc = ending_section(R, out[0]) if out[0] else DONE
        rl_commit(R)
        rl_failpoint(R, b"ending.adopt")
    return DONE


cdef bint descends(rl_region* R, uint32_t t, uint32_t ancestor, uint32_t serial) noexcept nogil:
    """Lock held. Whether a task was submitted by another, or by one that was, as far as those in between still run."""
    cdef uint32_t parent = task_at(R, t).parent
    cdef uint32_t its_serial = task_at(R, t).parent_serial
    cdef uint32_t _
    for _ in range(R.h.tasks.live):
        if parent == 0 or task_at(R, parent).serial != its_serial or task_at(R, parent).state == RL_FREE:
            return False
        if parent == ancestor:
            return its_serial == serial
        its_serial = task_at(R, parent).parent_serial
        parent = task_at(R, parent).parent
    return False


def task_of(Region region, ObjectID x) -> tuple:
    """(record, serial) of the live task that returns an object; (0, 0): it has ended, or the object was put."""
    cdef rl_region* R = region.R
    check_region(R)
    resolve(R, x)
    if rl_lock(R):
        check(EIO)
    t = object_at(R, x.index).task if object_at(R, x.index).state == RL_PENDING else 0
    serial = task_at(R, t).serial if t else 0
    rl_commit(R)
    return t, serial


def descendants(Region region, uint32_t t, uint32_t serial) -> list:
    """(record, serial) of the live tasks that a task submitted, and these, and so on. Locks for 1,024 records at a time."""
    cdef rl_region* R = region.R
    cdef uint32_t i, end
    cdef uint32_t start = 1
    cdef list found = []
    check_region(R)
    while start < rl_load(&R.h.tasks.used):
        picked = []
        if rl_lock(R):
            check(EIO)
        end = min(start + 1024, R.h.tasks.used)
        for i in range(start, end):
            if task_at(R, i).state != RL_FREE and descends(R, i, t, serial):
                picked.append((i, task_at(R, i).serial))
        rl_commit(R)
        found += picked
        start = end
    return found


def cancel(Region region, uint32_t t, uint32_t serial, bint force, bint recursive=False) -> int:
    """Cancels a task. 0: it has ended, 1: it was queued, 2: it runs, and is told; if `recursive`, what it submits from now on
    ends at once."""
    cdef int found = 0
    check_region(region.R)
    check(task_cancel(region.R, t, serial, (RL_CANCEL_FORCED if force else 0) | (RL_CANCEL_ALL if recursive else 0), &found))
    return found


def take_ending(Region region) -> int:
    """In the node: a cancelled task that was queued is this process's now; 0 when there is none."""
    cdef uint32_t t = 0
    check_region(region.R)
    check(ending_take(region.R, &t))
    return t


def cancels(Region region) -> int:
    """How often a running task was cancelled. Stale: one look at the slots too late, after the doorbell."""
    return rl_load(&region.R.h.cancels)


def marks(Region region) -> list:
    """(slot, innermost task marked and not told, one marked to be forced) of the workers that run cancelled tasks."""
    cdef rl_region* R = region.R
    cdef list out = []
    cdef uint32_t s, t, forced
    check_region(R)
    for s in range(1, rl_load(&R.h.slots.used)):
        found = forced = 0
        if rl_lock(R):
            check(EIO)
        t = rl_slot_at(R, s).running if rl_slot_at(R, s).state == RL_ALIVE and s != R.slot else 0
        found = task_at(R, t).flags & (RL_CANCELLED | RL_CANCEL_TOLD) == RL_CANCELLED if t else 0
        while t:
            forced |= task_at(R, t).flags & RL_CANCEL_FORCED
            t = task_at(R, t).next
        rl_commit(R)
        if found or forced:
            out.append((s, bool(found), forced != 0))
    return out


cdef bint is_untold(rl_task* k) noexcept:
    return rl_load16(&k.flags) & (RL_CANCELLED | RL_CANCEL_TOLD) == RL_CANCELLED


def is_cancelled(Region region) -> bool:
    """Whether the innermost task of this process is marked, and was not told."""
    cdef uint32_t t = rl_slot_at(region.R, region.R.slot).running
    return t != 0 and is_untold(task_at(region.R, t))


def told(Region region):
    """The innermost task of this process is about to be told that it is cancelled: once, unless it is cancelled again."""
    cdef rl_region* R = region.R
    cdef uint32_t t
    check_region(R)
    if rl_lock(R):
        check(EIO)
    t = rl_slot_at(R, R.slot).running
    if t:
        rl_set16(R, &task_at(R, t).flags, task_at(R, t).flags | RL_CANCEL_TOLD)
    rl_commit(R)
