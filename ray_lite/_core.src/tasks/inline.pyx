"""Inline tasks: which queued task a waiting process may run itself, in place.

It may run only descendants of its own running task: the awaited task, or the first READY task among the arguments of a WAITING
one, or, if another process runs the awaited task already, a task that the other process waits for.  A task that was interrupted
while it ran another task inline runs none inline again, and a task that holds GPUs never does.  A call of an actor runs in the
actor's process alone, and runs nothing inline.  Neighbours:
workers/inline_tasks.py decides when to run a task inline, and keeps the two tasks apart.
"""
cdef enum:
    INLINE_DEPTH = 64
    INLINE_LOOKS = 16  # queued tasks examined to find one that an awaited task waits for
    INLINE_REFS = 64   # arguments examined in one section

cdef struct rl_walk:
    # up to which ref the arguments of a waiting task were found sealed: they stay sealed
    uint32_t task, serial, ref
cdef rl_walk walks[INLINE_DEPTH]  # the last walk, by depth


cdef int unready_argument(rl_region* R, uint32_t t, rl_walk* walk, uint32_t* out) noexcept nogil:
    """Lock held. Finds the first argument that a WAITING task waits for, or 0. MORE: another section must go on searching."""
    cdef rl_task* k = task_at(R, t)
    cdef uint32_t _
    if walk.task != t or walk.serial != k.serial:
        walk.task, walk.serial, walk.ref = t, k.serial, k.refs
    for _ in range(<uint32_t>INLINE_REFS):
        if walk.ref == 0 or ref_at(R, walk.ref).linked:
            out[0] = ref_at(R, walk.ref).object if walk.ref else 0
            return DONE
        walk.ref = ref_at(R, walk.ref).next
    return MORE


cdef bint on_own_stack(rl_region* R, uint32_t parent, uint32_t serial) noexcept nogil:
    """Lock held. Whether the task of record `parent` with this serial is on this process's stack."""
    cdef uint32_t t = rl_slot_at(R, R.slot).running
    cdef uint32_t _
    for _ in range(<uint32_t>INLINE_DEPTH + 1):
        if t == 0:
            return False
        if t == parent:
            return task_at(R, t).serial == serial
        t = task_at(R, t).next
    return False


cdef bint on_stack_above(rl_region* R, uint32_t t, uint32_t outer) noexcept nogil:
    """Lock held. Whether running task `t` is `outer`, or runs inline on top of it."""
    cdef uint32_t at = rl_slot_at(R, task_at(R, t).owner).running
    cdef bint met = False
    cdef uint32_t _
    for _ in range(<uint32_t>INLINE_DEPTH + 1):
        met |= at == t
        if at == 0 or at == outer:
            return met and at == outer
        at = task_at(R, at).next
    return False


cdef uint32_t awaited_in(rl_region* R, uint32_t q, uint32_t outer, uint32_t* looks) noexcept nogil:
    """Lock held. A READY task of a queue that the process of running task `outer` waits for on behalf of `outer`, or 0.

    `looks`: how many tasks may still be examined; counted down.
    """
    cdef uint32_t slot = task_at(R, outer).owner
    cdef uint32_t t = queue_at(R, q).head
    cdef uint32_t waiter
    cdef rl_task* k
    while t and looks[0]:
        looks[0] -= 1
        k = task_at(R, t)
        waiter = rl_load(&object_at(R, k.returns).waiter) if k.returns else RL_NOBODY
        if (waiter == slot or waiter == RL_MANY) and not k.flags & RL_NO_INLINE:
            if task_at(R, k.parent).serial == k.parent_serial and task_at(R, k.parent).state == RL_RUNNING:
                if task_at(R, k.parent).owner == slot and on_stack_above(R, k.parent, outer):
                    return t
        t = k.next
    return 0


cdef uint32_t awaited_by(rl_region* R, uint32_t outer) noexcept nogil:
    """Lock held. A task that `awaited_in` finds in the deeper queues of the shape of `outer`, where a recursion's tasks are."""
    cdef uint32_t depth = queue_at(R, task_at(R, outer).queue).depth
    cdef uint32_t q = queue_at(R, task_at(R, outer).queue).base
    cdef uint32_t looks = INLINE_LOOKS
    cdef uint32_t found = 0
    while q and not found:
        if queue_at(R, q).depth > depth or queue_at(R, q).depth == RL_DEPTHS - 1:
            found = awaited_in(R, q, outer, &looks)
        q = queue_at(R, q).sibling
    return found


cdef uint32_t inline_candidate(rl_region* R, uint32_t i, int* rc) noexcept nogil:
    """Lock held. The READY descendant that must end before object `i` is sealed; 0: none, or (MORE) not found yet.

    It is the object's own task, or the first one under that task's arguments.  If another process runs the object's task
    already, it is a task that the other process waits for: otherwise this worker would sleep, its CPU would go to a new worker,
    and a recursion would grow the pool.
    """
    cdef uint32_t held = rl_slot_at(R, R.slot).shape
    cdef uint32_t n, t
    cdef rl_task* k
    t = rl_slot_at(R, R.slot).running
    if t == 0 or task_at(R, t).flags & RL_INTERRUPTED or task_at(R, t).actor:
        return 0
    for n in range(<uint32_t>INLINE_DEPTH):
        t = object_at(R, i).task
        if t == 0:
            return 0
        k = task_at(R, t)
        if k.actor or k.flags & RL_NO_INLINE or not on_own_stack(R, k.parent, k.parent_serial):
            return 0
        if k.state == RL_READY:
            return t if fits_within(R, k.queue, held) else 0
        if k.state == RL_RUNNING and k.owner != R.slot:
            t = awaited_by(R, t)
            return t if t and fits_within(R, task_at(R, t).queue, held) else 0
        if k.state != RL_WAITING:
            return 0
        rc[0] = unready_argument(R, t, &walks[n], &i)
        if rc[0] == MORE or i == 0:
            return 0
    return 0


cdef int lock_inline_candidate(rl_region* R, uint32_t i, uint32_t* out) noexcept nogil:
    """Lock not held. Takes the lock and keeps it unless it returns EIO. `out`: the task to run in place for an object, or 0."""
    cdef int rc = MORE
    out[0] = 0
    while rc == MORE:
        rc = DONE
        if rl_lock(R):
            return EIO
        if object_at(R, i).state == RL_PENDING:
            out[0] = inline_candidate(R, i, &rc)
        if rc == MORE:
            rl_abort(R)
    return DONE


cdef int inline_take(rl_region* R, uint32_t i, uint32_t* out) noexcept nogil:
    """Takes the task that an awaited object needs, to run it in place. DONE, or STALE if there is none."""
    cdef uint32_t q
    if lock_inline_candidate(R, i, out):
        return EIO
    if out[0]:
        q = task_at(R, out[0]).queue
        queue_remove(R, out[0])
        run_begin(R, out[0])
        if queue_at(R, q).stalled_since:
            rl_set64(R, <uint64_t*>&queue_at(R, q).stalled_since, 0)
        if queue_at(R, q).listed:  # no resource was released, and the queue stays where it was
            q = 0
        rl_commit(R)
        return recheck_owed(R, q)
    rl_abort(R)
    return STALE
