"""An actor's next process: it continues from the last checkpoint, or from the constructor, with the calls since then.

    the process dies -> its calls back at the front of the mailbox -> PENDING -> a process -> checkpoint, past calls, new ones

An actor with checkpoints keeps the calls that have ended since the last one.  Its next process runs them again in their order;
their results stay as they are.  Neighbours: records/past_calls.pyx, actor_ends.pyx (the node's other steps).  Must not decide
whether an actor is started again: policy/actor_deaths.py does.
"""
cdef enum:
    REWIND_LOG = 24   # log entries that putting a past call into the mailbox writes at most
    RESTART_LOG = 32  # those of the last step of a restart
    OWN_REFS = 10_000  # references that are looked at for those of an actor to itself


cdef int stale_drain(rl_region* R, uint32_t a) noexcept nogil:
    """Frees all stale calls of an actor."""
    cdef int rc = MORE
    while rc == MORE:
        if rl_lock(R):
            return EIO
        rc = stale_free(R, a)
        rl_commit(R)
        rl_failpoint(R, b"stale.chunk")
    return garbage_drain(R)


cdef int actor_checkpoint(rl_region* R, uint32_t i) noexcept nogil:
    """Makes a sealed object, which this process holds, the checkpoint of its actor: earlier calls are never run again."""
    cdef uint32_t a = rl_slot_at(R, R.slot).actor
    cdef rl_actor* e = actor_at(R, a)
    cdef uint32_t old
    if stale_drain(R, a):  # of a process that died before it was through
        return EIO
    if rl_lock(R):
        return EIO
    old = e.checkpoint
    pin(R, i)
    rl_set32(R, &e.checkpoint, i)
    past_drop(R, a)
    rl_set32(R, &e.restarts, 0)
    if e.flags & RL_PAST_LOST:
        rl_set32(R, &e.flags, e.flags & ~<uint32_t>RL_PAST_LOST)
    if old:
        unpin(R, old)
    rl_commit(R)
    rl_failpoint(R, b"checkpoint.stale")
    return stale_drain(R, a)


cdef int actor_lose_past(rl_region* R) noexcept nogil:
    """Gives up the past calls of this process's actor: it can't have another process until it has a new checkpoint."""
    cdef uint32_t a = rl_slot_at(R, R.slot).actor
    cdef rl_actor* e = actor_at(R, a)
    if stale_drain(R, a):
        return EIO
    if rl_lock(R):
        return EIO
    past_drop(R, a)
    rl_set32(R, &e.flags, e.flags | RL_PAST_LOST)
    rl_commit(R)
    return stale_drain(R, a)


cdef int actor_forget(rl_region* R, uint32_t a) noexcept nogil:
    """Frees what a DEAD actor kept for another process."""
    cdef rl_actor* e = actor_at(R, a)
    cdef uint32_t old
    if e.nkept == 0 and e.checkpoint == 0:
        return DONE
    if stale_drain(R, a):
        return EIO
    if rl_lock(R):
        return EIO
    old = e.checkpoint
    past_drop(R, a)
    rl_set32(R, &e.checkpoint, 0)
    if old:
        unpin(R, old)
    rl_commit(R)
    return stale_drain(R, a)


cdef int rewind_section(rl_region* R, uint32_t a) noexcept nogil:
    """Lock held. Puts past calls, the last one first, at the front of the mailbox. MORE: the log is full."""
    cdef rl_actor* e = actor_at(R, a)
    cdef uint32_t t
    while e.past_tail:
        if rl_log_used(R) > RL_LOG_BUDGET - REWIND_LOG:
            return MORE
        t = e.past_tail
        call_unlink(R, t, &e.past, &e.past_tail)
        rl_set32(R, &e.nkept, e.nkept - 1)
        mail_add(R, t, True)
    return DONE


cdef int restart_section(rl_region* R, uint32_t a) noexcept nogil:
    """Lock held. Makes an actor PENDING whose process is gone, and which ran no call any more. MORE: the log is full. STALE: it
    was killed meanwhile."""
    cdef rl_actor* e = actor_at(R, a)
    if e.state != RL_ACTOR_ALIVE:
        return STALE
    if rewind_section(R, a) or rl_log_used(R) > RL_LOG_BUDGET - RESTART_LOG:
        return MORE
    if e.rebuild:
        rl_set32(R, &e.creation, e.rebuild)
        rl_set32(R, &e.rebuild, 0)
        rl_set32(R, &e.nkept, e.nkept - 1)
        mail_add(R, e.creation, False)
    rl_set64(R, &e.past_bytes, 0)
    rl_set32(R, &e.restarts, e.restarts + 1)
    rl_set32(R, &e.incarnation, e.incarnation + 1)
    rl_set32(R, &e.slot, 0)
    rl_actor_become(R, e, RL_ACTOR_PENDING)
    want(R, a, e.life, True)
    return DONE


cdef int actor_restart(rl_region* R, uint32_t a) noexcept nogil:
    """Lets an ALIVE actor have another process: between the sweep of the last one, whose calls were adopted, and
    `slot_free`. STALE: it was killed meanwhile, and is to end."""
    cdef uint32_t left = 0
    cdef int rc = MORE
    if stale_drain(R, a):
        return EIO
    while rc == MORE:
        if rl_lock(R):
            return EIO
        rc = restart_section(R, a)
        if rc == DONE:
            left = wake_workers(R, 0)
        rl_commit(R)
        rl_failpoint(R, b"restart.chunk")
    return rc or wake_workers_unlocked(R, left)


cdef uint32_t refs_to(rl_region* R, uint32_t r, uint32_t i, bint deep, uint32_t* left) noexcept nogil:
    """Lock held. References to object `i` in a list; `deep`: also in values that nobody else can reach. `left`: how many
    references may still be looked at."""
    cdef uint32_t n = 0
    cdef rl_object* o
    while r and left[0]:
        left[0] -= 1
        o = object_at(R, ref_at(R, r).object)
        if ref_at(R, r).object == i:
            n += 1
        elif deep and o.holders == 0 and o.pins == 1:
            n += refs_to(R, o.contents, i, False, left)
        r = ref_at(R, r).next
    return n


cdef bint is_its_own(rl_region* R, uint32_t a) noexcept nogil:
    """Lock held. Whether nobody can call an actor but its process, its past calls, and what its checkpoint makes."""
    cdef rl_actor* e = actor_at(R, a)
    cdef rl_object* o = object_at(R, e.handle)
    cdef rl_object* saved = object_at(R, e.checkpoint)
    cdef uint32_t left = OWN_REFS
    cdef uint32_t n = 1  # its own pin
    cdef uint32_t t
    if is_unheld(R, a):
        return True
    if not may_be_unheld(R, a):
        return False
    if e.checkpoint and saved.pins == 1 and saved.holders == 0:
        n += refs_to(R, saved.contents, e.handle, False, &left)
    if e.rebuild:
        n += refs_to(R, task_at(R, e.rebuild).refs, e.handle, True, &left)
    t = e.past
    while t and left:
        n += refs_to(R, task_at(R, t).refs, e.handle, True, &left)
        left -= left != 0
        t = task_at(R, t).next
    return n == o.pins
