"""Who waits for whom, as the node sees it: for each process whose task has waited for a while, the process that it needs.

    a slot awaits an object -> the task that returns it -> it runs: its slot
                                                        -> it lacks an argument: that object, and so on
                                                        -> it is a call in a mailbox: the slot of its actor, which runs another

Each is found in sections of its own, so one look may show waits of different moments: policy/wait_cycles.py compares two looks.
Neighbours: tasks/blocking.pyx (`awaits`), tasks/inline.pyx (arguments of a waiting task).
"""
cdef enum:
    EDGE_HOPS = 16  # objects that are passed in one section
    EDGE_SECTIONS = 1000

cdef struct rl_trail:
    # where the search is between two sections
    uint32_t object, generation
    rl_walk walk

cdef struct rl_edge:
    int64_t since     # when the wait began
    uint32_t needs    # the slot whose task must end first; 0: there is none, or it is not known
    uint32_t running  # the task that waits
    uint32_t awaited  # the task that returns the awaited object
    bint direct       # the awaited task runs in that slot


cdef bint is_awaiting(rl_region* R, rl_slot* s) noexcept nogil:
    """Lock held. Whether a process can do nothing before the object that it awaits is there. One that runs several calls at a
    time can."""
    return s.state == RL_ALIVE and s.awaits and s.blocked > s.lent and (s.actor == 0 or actor_at(R, s.actor).most == 1)


cdef uint32_t busy_slot(rl_region* R, uint32_t a) noexcept nogil:
    """Lock held. The slot of an actor that takes no call before it has ended the one that it runs, or 0."""
    cdef rl_actor* e = actor_at(R, a)
    return e.slot if e.state == RL_ACTOR_ALIVE and e.most == 1 and e.nrunning else 0


cdef uint32_t lacks_arguments(rl_region* R, uint32_t t) noexcept nogil:
    """Lock held. The task that must get its arguments before task `t` can run, which is not running; 0: none must."""
    cdef rl_task* k = task_at(R, t)
    cdef uint32_t creation = actor_at(R, k.actor).creation if k.actor else 0
    if creation and creation != t:
        return creation if task_at(R, creation).state == RL_WAITING else 0
    if k.state == RL_LANED and lane_at(R, k.owner).state == RL_LANE_STALLED:
        return lane_at(R, k.owner).head
    return t if k.state == RL_WAITING else 0


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
            e.needs, e.direct = k.owner, t == e.awaited
            return DONE
        t = lacks_arguments(R, t)
        if t == 0:
            e.needs = busy_slot(R, k.actor) if k.state == RL_MAILED or k.state == RL_LANED else 0
            return DONE
        if unready_argument(R, t, &at.walk, &at.object) == MORE:
            break
        if at.object == 0:
            return DONE
    at.generation = object_at(R, at.object).generation
    return MORE


cdef int edge_find(rl_region* R, uint32_t slot, rl_edge* e) noexcept nogil:
    """Fills in which process a process needs."""
    cdef rl_slot* s = rl_slot_at(R, slot)
    cdef rl_trail at
    cdef uint32_t _
    cdef int rc = MORE
    memset(&at, 0, sizeof(at))
    memset(e, 0, sizeof(rl_edge))
    for _ in range(<uint32_t>EDGE_SECTIONS):
        if rl_lock(R):
            return EIO
        if at.object == 0 and is_awaiting(R, s):
            at.object, e.since, e.running, e.awaited = s.awaits, s.since, s.running, object_at(R, s.awaits).task
            at.generation = object_at(R, at.object).generation
        rc = DONE
        if at.object and object_at(R, at.object).generation == at.generation:
            rc = edge_section(R, &at, e)
        rl_commit(R)
        if rc == DONE:
            break
    return DONE


def wait_edges(Region region) -> list:
    """Which processes need each other: (slot that waits, since when, slot that it needs, the task that waits, the task that it
    awaits, whether that one runs in the other slot)."""
    cdef rl_region* R = region.R
    cdef list out = []
    cdef rl_edge e
    cdef uint32_t i
    check_region(R)
    for i in range(1, rl_load(&R.h.slots.used)):
        if rl_load(&rl_slot_at(R, i).awaits):
            check(edge_find(R, i, &e))
            if e.needs:
                out.append((i, e.since, e.needs, e.running, e.awaited, e.direct))
    return out


def await_first(Region region, list ids):
    """Says that the main thread of this process waits for all of the resolved ids, without a timeout."""
    cdef rl_region* R = region.R
    check_region(R)
    for x in ids:
        if not is_sealed(R, (<ObjectID>x).index):
            check(await_object(R, (<ObjectID>x).index))
            return


def break_cycle(Region region, uint32_t slot, int64_t since):
    """Tells the main thread of a process, if it is still in the wait that began then, that it waits in a cycle."""
    cdef rl_region* R = region.R
    cdef rl_slot* s
    cdef bint told
    check_region(R)
    s = rl_slot_at(R, slot)
    if rl_lock(R):
        check(EIO)
    told = is_awaiting(R, s) and s.since == since and rl_cas(&s.deadlock_flag, RL_WAITS_FOREVER, RL_CYCLE)
    rl_commit(R)
    if told:
        rl_add(&s.arrived, 1)
        rl_futex_wake(&s.arrived)


def take_cycle(Region region) -> bool:
    """Whether `break_cycle` chose the present wait of this process's main thread; True only once for each such choice."""
    check_region(region.R)
    return rl_cas(&rl_slot_at(region.R, region.R.slot).deadlock_flag, RL_CYCLE, RL_WAITS_FOREVER) != 0
