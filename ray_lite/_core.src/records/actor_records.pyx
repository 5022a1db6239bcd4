"""Actors: their entries, their mailboxes, and the list of those for which the node has something to do.

region/states.h has the states.  Neighbours: lanes.pyx (calls that must wait for others of their caller), tasks/actor_calls.pyx
(which call is next), scheduling/actor_turns.pyx (what an actor waits for).  Must not decide when an actor ends.
"""


cdef inline rl_actor* actor_at(rl_region* R, uint32_t a) noexcept nogil:
    return <rl_actor*>(R.meta + R.h.actors.offset) + a


cdef void actor_due(rl_region* R, uint32_t a) noexcept nogil:
    """Lock held. Leaves the actor to the node, which does what its state asks for."""
    cdef rl_actor* e = actor_at(R, a)
    if e.flags & RL_DUE == 0:
        rl_set32(R, &e.flags, e.flags | RL_DUE)
        rl_set32(R, &e.next, rl_job_at(R, e.job).actors_due)
        rl_set32(R, &rl_job_at(R, e.job).actors_due, a)
    rl_owe_node_of(e.job)


cdef void due_remove(rl_region* R, uint32_t a) noexcept nogil:
    """Lock held. Takes an actor off its job's list of those that are due."""
    cdef uint32_t* at = &rl_job_at(R, actor_at(R, a).job).actors_due
    while at[0] and at[0] != a:
        at = &actor_at(R, at[0]).next
    if at[0]:
        rl_set32(R, at, actor_at(R, a).next)
    rl_set32(R, &actor_at(R, a).flags, actor_at(R, a).flags & ~<uint32_t>RL_DUE)


cdef void call_link(rl_region* R, uint32_t t, uint32_t* head, uint32_t* tail, bint front) noexcept nogil:
    """Lock held. Adds a call to a list, behind or (`front`) before the others. `tail`: NULL if the list has none."""
    cdef rl_task* k = task_at(R, t)
    cdef uint32_t before = 0 if front else tail[0]
    cdef uint32_t after = head[0] if front else 0
    rl_set32(R, &k.prev, before)
    rl_set32(R, &k.next, after)
    rl_set32(R, &task_at(R, before).next if before else head, t)
    if after:
        rl_set32(R, &task_at(R, after).prev, t)
    elif tail != NULL:
        rl_set32(R, tail, t)


cdef void call_unlink(rl_region* R, uint32_t t, uint32_t* head, uint32_t* tail) noexcept nogil:
    """Lock held. Takes a call off its list."""
    cdef rl_task* k = task_at(R, t)
    list_remove(R, &task_at(R, k.prev).next if k.prev else head, &task_at(R, k.next).prev if k.next else tail, k.next, k.prev)


cdef void mail_add(rl_region* R, uint32_t t, bint front) noexcept nogil:
    """Lock held. Puts a call that can run into its actor's mailbox, behind the others or (`front`) as the next one to run,
    since it has begun before."""
    cdef rl_task* k = task_at(R, t)
    cdef rl_actor* e = actor_at(R, k.actor)
    if rl_traces_detail(R):
        rl_trace_span(R, RL_TRACE_QUEUED, k.id, rl_now())
    rl_task_become(R, k, RL_MAILED)
    rl_set32(R, &k.owner, e.nmailed)
    if t == e.creation:  # it is in no list: nothing else runs before it
        return
    if not front:
        rl_set32(R, &e.nmailed, e.nmailed + 1)
    else:
        rl_set16(R, &k.flags, k.flags | RL_AGAIN)
        rl_set32(R, &e.nagain, e.nagain + 1)
    call_link(R, t, &e.head, &e.tail, front)
    rl_set32(R, &e.length, e.length + 1)


cdef void mail_remove(rl_region* R, uint32_t t) noexcept nogil:
    """Lock held. Takes a MAILED call out of its actor's mailbox, at any place in it."""
    cdef rl_actor* e = actor_at(R, task_at(R, t).actor)
    if t == e.creation:
        return
    call_unlink(R, t, &e.head, &e.tail)
    rl_set32(R, &e.length, e.length - 1)
    if task_at(R, t).flags & RL_AGAIN:
        rl_set16(R, &task_at(R, t).flags, task_at(R, t).flags & <uint16_t>~<uint32_t>RL_AGAIN)
        rl_set32(R, &e.nagain, e.nagain - 1)


cdef uint32_t calls_pending(rl_region* R, rl_actor* e) noexcept nogil:
    """Lock held. Calls that were made and have not begun yet, the constructor's not counted."""
    cdef bint makes = e.creation != 0 and task_at(R, e.creation).state != RL_RUNNING
    return e.ncalls - e.nrunning - e.nkept - e.nagain - makes


cdef inline uint32_t* names_of(rl_region* R, const uint8_t* name) noexcept nogil:
    return &R.h.names[name[0] & (RL_NAMES - 1)]


cdef uint32_t name_find(rl_region* R, const uint8_t* name) noexcept nogil:
    """Lock held. The actor that has a name, or 0."""
    cdef uint32_t a = names_of(R, name)[0]
    while a and memcmp(&actor_at(R, a).name[0], name, RL_ID_BYTES):
        a = actor_at(R, a).name_next
    return a


cdef void name_give(rl_region* R, uint32_t a, const uint8_t* name) noexcept nogil:
    """Lock held. Gives a new actor a name that no other has."""
    cdef rl_actor* e = actor_at(R, a)
    cdef uint32_t* first = names_of(R, name)
    memcpy(e.name, name, RL_ID_BYTES)
    rl_fresh32(&e.name_next, first[0])
    rl_fresh32(&e.flags, e.flags | RL_NAMED)
    rl_set32(R, first, a)


cdef void name_free(rl_region* R, uint32_t a) noexcept nogil:
    """Lock held. Takes the name of an actor that ends, if it has one: another may have it now."""
    cdef rl_actor* e = actor_at(R, a)
    cdef uint32_t* at = names_of(R, &e.name[0])
    if e.flags & RL_NAMED == 0:
        return
    while at[0] != a:
        at = &actor_at(R, at[0]).name_next
    rl_set32(R, at, e.name_next)
    rl_set32(R, &e.flags, e.flags & ~<uint32_t>RL_NAMED)
