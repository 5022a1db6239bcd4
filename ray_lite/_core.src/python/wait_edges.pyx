"""Who waits for whom, as the node sees it: for each task that has waited for a while, the tasks of which it needs one to end.

    a process, or one of several calls, awaits an object
        -> the task that returns it -> it runs: that one, or what it waits for itself on the same stack
                                    -> it lacks an argument: that object, and so on
                                    -> it is a call in a mailbox, and its actor takes none: any that the actor runs

Each is found in sections of its own, so one look may show waits of different moments: policy/wait_cycles.py compares two looks.
Neighbours: tasks/blocking.pyx (`awaits`), tasks/inline.pyx (arguments of a waiting task).
"""
cdef enum:
    EDGE_HOPS = 16  # objects that are passed in one section
    EDGE_NEEDS = 10000  # calls that an actor runs at a time at most (options.CONCURRENCY_MOST)
    EDGE_SECTIONS = 1000

cdef struct rl_trail:
    # where the search is between two sections
    uint32_t object, generation
    rl_walk walk

cdef struct rl_edge:
    uint32_t slot     # of the process that waits
    uint32_t running  # the task that waits: the innermost one of its process, or one of several calls
    uint32_t serial   # of that task
    int64_t since     # when the wait began; 0: not known, as of one of several calls
    uint64_t object   # the awaited object, with its generation
    uint32_t awaited  # the task that returns it
    uint32_t* needs   # tasks of which one must end first: room for EDGE_NEEDS
    uint32_t nneeds   # 0: there is none, or it is not known
    bint direct       # the awaited task runs


cdef bint runs_several(rl_region* R, rl_slot* s) noexcept nogil:
    """Lock held. Whether a process may run several calls at a time."""
    return s.actor != 0 and actor_at(R, s.actor).most > 1


cdef uint32_t blocking_object(rl_region* R, uint32_t slot, uint32_t t) noexcept nogil:
    """Lock held. The object without which a process (`t` 0), or a call that it runs among others, can do nothing; 0: none."""
    cdef rl_slot* s = rl_slot_at(R, slot)
    if s.state != RL_ALIVE:
        return 0
    if t:
        return task_at(R, t).awaits if task_at(R, t).state == RL_RUNNING and task_at(R, t).owner == slot else 0
    return s.awaits if s.blocked > s.lent else 0


cdef bint takes_none(rl_actor* e) noexcept nogil:
    """Lock held. Whether an actor takes no call before it has ended one that it runs."""
    return e.state == RL_ACTOR_ALIVE and e.nrunning != 0 and (e.nrunning == e.most or e.creation != 0)


cdef uint32_t lacks_arguments(rl_region* R, uint32_t t) noexcept nogil:
    """Lock held. The task that must get its arguments before task `t` can run, which is not running; 0: none must."""
    cdef rl_task* k = task_at(R, t)
    cdef uint32_t creation = actor_at(R, k.actor).creation if k.actor else 0
    if creation and creation != t:
        return creation if task_at(R, creation).state == RL_WAITING else 0
    if k.state == RL_LANED and lane_at(R, k.owner).state == RL_LANE_STALLED:
        return lane_at(R, k.owner).head
    return t if k.state == RL_WAITING else 0


cdef uint32_t calls_copy(rl_region* R, uint32_t slot, bint all_await, uint32_t* out) noexcept nogil:
    """Lock held. Copies the calls that a process runs and that await an object; returns their number. `all_await`: 0 if any
    call awaits none, since that one goes on."""
    cdef uint32_t t = rl_slot_at(R, slot).running
    cdef uint32_t n = 0
    while t and n < EDGE_NEEDS:
        if task_at(R, t).awaits:
            out[n] = t
            n += 1
        elif all_await:
            return 0
        t = task_at(R, t).next
    return n


cdef void edge_to(rl_region* R, rl_edge* e, uint32_t t) noexcept nogil:
    """Lock held. Says that task `t` must end first, which runs, or what waits on the same stack."""
    cdef rl_slot* s = rl_slot_at(R, task_at(R, t).owner)
    e.needs[0] = t if runs_several(R, s) else s.running
    e.nneeds = 1
    e.direct = t == e.awaited


cdef void edge_to_calls(rl_region* R, rl_edge* e, uint32_t slot) noexcept nogil:
    """Lock held. Says that any of the calls that an actor's process runs must end first."""
    if runs_several(R, rl_slot_at(R, slot)) and rl_slot_at(R, slot).awaits == 0:  # else its constructor runs
        e.nneeds = calls_copy(R, slot, True, e.needs)
    else:
        e.needs[0], e.nneeds = rl_slot_at(R, slot).running, 1


cdef int edge_section(rl_region* R, rl_trail* at, rl_edge* e) noexcept nogil:
    """Lock held. Follows what an object needs. DONE: `e.needs` is known; MORE: another section goes on."""
    cdef uint32_t t, _
    cdef rl_task* k
    for _ in range(<uint32_t>EDGE_HOPS):
        t = object_at(R, at.object).task
        if t == 0 or object_at(R, at.object).state != RL_PENDING:
            return DONE
        k = task_at(R, t)
        if k.state == RL_RUNNING:
            edge_to(R, e, t)
            return DONE
        t = lacks_arguments(R, t)
        if t == 0:
            if (k.state == RL_MAILED or k.state == RL_LANED) and takes_none(actor_at(R, k.actor)):
                edge_to_calls(R, e, actor_at(R, k.actor).slot)
            return DONE
        if unready_argument(R, t, &at.walk, &at.object) == MORE:
            break
        if at.object == 0:
            return DONE
    at.generation = object_at(R, at.object).generation
    return MORE


cdef int edge_find(rl_region* R, uint32_t slot, uint32_t t, rl_edge* e) noexcept nogil:
    """Fills in what a process needs, or, if `t` is not 0, a call that it runs among others."""
    cdef rl_slot* s = rl_slot_at(R, slot)
    cdef rl_trail at
    cdef uint32_t i, _
    cdef int rc = MORE
    memset(&at, 0, sizeof(at))
    e.nneeds, e.direct = 0, False
    for _ in range(<uint32_t>EDGE_SECTIONS):
        if rl_lock(R):
            return EIO
        i = blocking_object(R, slot, t) if at.object == 0 else 0
        if i:
            at.object, at.generation = i, object_at(R, i).generation
            e.slot, e.awaited = slot, object_at(R, i).task
            e.object = <uint64_t>at.generation << 32 | i
            e.running = t if t else s.running
            e.since = 0 if t else s.since
            e.serial = task_at(R, e.running).serial
        rc = DONE
        if at.object and object_at(R, at.object).generation == at.generation:
            rc = edge_section(R, &at, e)
        rl_commit(R)
        if rc == DONE:
            break
    return DONE


cdef int awaiting_calls(rl_region* R, uint32_t slot, uint32_t* out) noexcept nogil:
    """Copies the calls that a process runs and that await an object; their number, or -1: the lock is not to be had."""
    cdef int n
    if rl_lock(R):
        return -1
    n = <int>calls_copy(R, slot, False, out)
    rl_commit(R)
    return n


cdef list edges_of(rl_region* R, uint32_t slot, rl_edge* e, uint32_t* calls):
    """The edges of a process, or of the calls that it runs. `calls`: scratch memory, as large as that of the edge."""
    cdef list out = []
    cdef uint32_t k
    cdef int i
    cdef int n = 1
    calls[0] = 0
    if rl_load(&rl_slot_at(R, slot).awaits) == 0:
        n = awaiting_calls(R, slot, calls)
        check(EIO if n < 0 else DONE)
    for i in range(n):
        check(edge_find(R, slot, calls[i], e))
        if e.nneeds:
            needs = tuple([e.needs[k] for k in range(e.nneeds)])
            out.append((e.running, e.serial, e.slot, e.since, e.object, needs, e.awaited, e.direct))
    return out


def wait_edges(Region region) -> list:
    """Which tasks need each other: (the task that waits, its serial, its slot, since when it waits or 0, a number of the object
    that it awaits, tasks of which it needs one to end, the task that returns the object, whether that one runs). Each task is
    named by its record."""
    cdef rl_region* R = region.R
    cdef list out = []
    cdef rl_edge e
    cdef uint32_t* room
    cdef uint32_t i
    check_region(R)
    room = <uint32_t*>malloc(2 * EDGE_NEEDS * sizeof(uint32_t))
    if room == NULL:
        raise MemoryError("no memory for waiting calls")
    memset(&e, 0, sizeof(e))
    e.needs = room
    try:
        for i in range(1, rl_load(&R.h.slots.used)):
            if rl_load(&rl_slot_at(R, i).awaits) or rl_slot_at(R, i).actor:
                out += edges_of(R, i, &e, room + EDGE_NEEDS)
    finally:
        free(room)
    return out


def await_first(Region region, list ids, uint32_t call=0):
    """Says that the main thread of this process waits for all of the resolved ids, without a timeout; or a call (its record)
    that it runs among others does."""
    cdef rl_region* R = region.R
    check_region(R)
    for x in ids:
        if not is_sealed(R, (<ObjectID>x).index):
            check(call_awaits(R, call, (<ObjectID>x).index) if call else await_object(R, (<ObjectID>x).index))
            return


cdef bint call_condemn(rl_region* R, uint32_t t, uint32_t serial) noexcept nogil:
    """Lock held. Marks a call that waits among others: its wait is to end; whether it still waits."""
    cdef rl_task* k = task_at(R, t)
    if k.state != RL_RUNNING or k.serial != serial or k.awaits == 0:
        return False
    rl_set16(R, &k.flags, k.flags | RL_IN_CYCLE)
    return True


def break_cycle(Region region, uint32_t slot, int64_t since, uint32_t call=0, uint32_t serial=0):
    """Tells the main thread of a process, if it is still in the wait that began then, that it waits in a cycle; or, if `since`
    is 0, a call (record and serial) that the process runs among others."""
    cdef rl_region* R = region.R
    cdef rl_slot* s
    cdef bint told
    check_region(R)
    s = rl_slot_at(R, slot)
    if s.job != R.job:
        return  # its own node sees the cycle, too
    if rl_lock(R):
        check(EIO)
    if since:
        told = blocking_object(R, slot, 0) and s.since == since and rl_cas(&s.deadlock_flag, RL_WAITS_FOREVER, RL_CYCLE)
    else:
        told = call_condemn(R, call, serial)
    rl_commit(R)
    if told:
        rl_add(&s.arrived, 1)
        rl_futex_wake(&s.arrived)


cdef int call_pardon(rl_region* R, uint32_t t) noexcept nogil:
    """Ends the mark of a call: it was told."""
    if rl_lock(R):
        return EIO
    rl_set16(R, &task_at(R, t).flags, task_at(R, t).flags & ~RL_IN_CYCLE)
    rl_commit(R)
    return DONE


def take_cycle(Region region, uint32_t call=0) -> bool:
    """Whether `break_cycle` chose the present wait of this process's main thread, or of a call (its record) that it runs among
    others; True only once for each such choice."""
    cdef rl_region* R = region.R
    check_region(R)
    if call == 0:
        return rl_cas(&rl_slot_at(R, R.slot).deadlock_flag, RL_CYCLE, RL_WAITS_FOREVER) != 0
    if not rl_load16(&task_at(R, call).flags) & RL_IN_CYCLE:
        return False
    check(call_pardon(R, call))
    return True
