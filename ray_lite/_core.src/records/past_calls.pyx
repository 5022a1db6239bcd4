"""Past calls: calls of an actor that have ended and are kept, since its next process may have to run them again.

They are on the actor's list `past`, in the order in which they ended; on `stale`, if a checkpoint has made them needless; or
in `rebuild`: its constructor's.  Their arguments stay pinned.  Neighbour: tasks/actor_restarts.pyx.  Must not decide whether
an actor has another process.
"""
cdef enum:
    SIZED_REFS = 64  # arguments whose sizes count as bytes of a call; it may have very many


cdef bint call_is_kept(rl_region* R, uint32_t t) noexcept nogil:
    """Lock held. Whether a call that ends in its actor's process is to be kept. One that was cancelled midway is not: its half
    of a change must not be repeated as a whole one."""
    cdef rl_task* k = task_at(R, t)
    cdef rl_actor* e = actor_at(R, k.actor)
    if e.state != RL_ACTOR_ALIVE or k.owner != e.slot:
        return False
    if t == e.creation:
        return e.max_restarts != 0 and e.checkpoint == 0
    return e.flags & (RL_KEEPS | RL_PAST_LOST) == RL_KEEPS and k.flags & RL_CANCEL_DELIVERED == 0


cdef uint64_t call_bytes(rl_region* R, rl_task* k) noexcept nogil:
    """Lock held. Bytes that a call's arguments take, about."""
    cdef uint64_t n = k.args_size
    cdef uint32_t r = k.refs
    cdef uint32_t _
    for _ in range(SIZED_REFS):
        if r == 0:
            break
        n += object_at(R, ref_at(R, r).object).size
        r = ref_at(R, r).next
    return n


cdef void past_add(rl_region* R, uint32_t t) noexcept nogil:
    """Lock held. Keeps a call that has ended, whose returns are let go. A mark that it did not see any more is gone."""
    cdef rl_task* k = task_at(R, t)
    cdef rl_actor* e = actor_at(R, k.actor)
    cdef uint16_t flags = <uint16_t>((k.flags | RL_REPLAY) & ~(RL_CANCELLED | RL_CANCEL_RECURSIVE))
    rl_task_become(R, k, RL_PAST)
    rl_set32(R, &k.owner, 0)
    rl_set32(R, &e.nkept, e.nkept + 1)
    if k.flags != flags:
        rl_set16(R, &k.flags, flags)
    if t == e.creation:
        rl_set32(R, &e.creation, 0)
        rl_set32(R, &e.rebuild, t)
    else:
        call_link(R, t, &e.past, &e.past_tail, False)
        rl_set64(R, &e.past_bytes, e.past_bytes + call_bytes(R, k))
    actor_end_if_unneeded(R, k.actor)


cdef void past_drop(rl_region* R, uint32_t a) noexcept nogil:
    """Lock held. Makes all past calls of an actor, which has no stale ones, needless."""
    cdef rl_actor* e = actor_at(R, a)
    rl_set32(R, &e.stale, e.past)
    rl_set32(R, &e.past, 0)
    rl_set32(R, &e.past_tail, 0)
    rl_set64(R, &e.past_bytes, 0)
    if e.rebuild:
        call_link(R, e.rebuild, &e.stale, NULL, True)
        rl_set32(R, &e.rebuild, 0)


cdef int stale_free(rl_region* R, uint32_t a) noexcept nogil:
    """Lock held. Frees a stale call, or a part of it; MORE as long as there may be others."""
    cdef uint32_t t = actor_at(R, a).stale
    if t == 0:
        return DONE
    if drop_refs(R, task_at(R, t)) and rl_log_used(R) <= RL_LOG_BUDGET - STEP_LOG:
        call_unlink(R, t, &actor_at(R, a).stale, NULL)
        rl_set32(R, &actor_at(R, a).nkept, actor_at(R, a).nkept - 1)
        task_free(R, t)
    return MORE
