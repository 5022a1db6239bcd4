"""Waits for what actors hold for life, as the node sees them: who is first in each queue, what it lacks, and who holds that.

Must not decide when that is worth a word: policy/long_waits.py does.
"""
cdef enum:
    HOLDERS_NAMED = 5

cdef struct rl_held_wait:
    uint32_t head    # a task, or an actor
    uint32_t serial  # with `head`, it names one wait
    uint32_t kind    # rl_members
    uint32_t length  # how many wait in the queue
    uint32_t lacks   # resource; 0: it lacks a process
    int64_t amount   # how much of it the first one demands
    int64_t total
    bint idle        # no task works that could release some


def can_start_actor(Region region) -> bool:
    """Whether an actor waits for a process alone."""
    cdef rl_region* R = region.R
    cdef bint found
    check_region(R)
    if rl_load(&R.j.life_ring) == 0:
        return False
    if rl_lock(R):
        check(EIO)
    found = R.j.life_ring != 0 and lacking_resource(R, R.j.life_ring) == 0
    rl_commit(R)
    return found


cdef int held_wait_read(rl_region* R, uint32_t q, rl_held_wait* w) noexcept nogil:
    """Fills in what the first member of a queue waits for; `head` 0: nothing."""
    cdef rl_queue* e = queue_at(R, q)
    memset(w, 0, sizeof(rl_held_wait))
    if rl_lock(R):
        return EIO
    w.lacks = lacking_resource(R, q) if e.head else 0
    if w.lacks or e.head and e.members == RL_LIVES:
        w.head, w.kind, w.length, w.idle = e.head, e.members, e.length, R.j.nworking == 0
        if e.members == RL_TASKS:
            w.serial = task_at(R, e.head).serial
        else:  # an actor waits for a turn again and again
            w.serial = actor_at(R, e.head).serial + <uint32_t>rl_slot_at(R, actor_at(R, e.head).slot).finished
        w.amount = demanded(R, q, w.lacks) if w.lacks else 0
        w.total = resource_at(R, w.lacks).total if w.lacks else 0
    rl_commit(R)
    return DONE


cdef list life_holders(rl_region* R, uint32_t k, int64_t* held):
    """Slots of actors that hold some of a resource for life, and how much all of them hold. Racy."""
    cdef list out = []
    cdef rl_slot* s
    cdef uint32_t i, q
    held[0] = 0
    for i in range(1, rl_load(&R.h.slots.used)):
        s = rl_slot_at(R, i)
        q = rl_load(&s.held)
        if s.state == RL_ALIVE and q and demanded(R, q, k) and (k != RL_CPU or s.blocked == 0):
            held[0] += demanded(R, q, k)
            out.append(i)
    return out


def held_waits(Region region) -> list:
    """Who waits for what actors hold for life, or for a process: of each queue the first member.

    A list of (task or actor, serial, "task", "turn" or "life", how many wait in the queue, resource or
    0 for a process, amount in ten-thousandths, [actors that hold it, at most 5], how many hold it).  Not listed is who lacks
    what tasks may release soon.
    """
    cdef rl_region* R = region.R
    cdef list out = []
    cdef rl_held_wait w
    cdef int64_t held = 0
    cdef uint32_t q
    check_region(R)
    for q in range(1, rl_load(&R.h.queues.used) if rl_load(&R.h.actors.live) else 0):
        if rl_load(&queue_at(R, q).head) == 0 or queue_at(R, q).job != R.job:
            continue
        check(held_wait_read(R, q, &w))
        holders = life_holders(R, w.lacks, &held) if w.head and w.lacks else []
        if w.head == 0 or w.lacks and (not holders or w.amount <= w.total - held and not w.idle):
            continue
        actors = [rl_slot_at(R, i).actor for i in holders[:HOLDERS_NAMED]]
        kind = ("task", "turn", "life")[w.kind]
        out.append((w.head, w.serial, kind, w.length, w.lacks, w.amount, actors, len(holders)))
    return out
