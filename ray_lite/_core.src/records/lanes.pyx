"""Lanes: a caller's calls to an actor run in order, so those behind one that lacks arguments wait, and no other caller's do.

A caller gets a lane when it makes a call that lacks arguments; its later calls join it, until the lane is empty.  Its earlier
calls may be in the mailbox still: the lane's come after all that were there when it was made.  A lane is in one of two rings of
its actor: OPEN, if its first call can run, else STALLED.  All steps take constant time.  Neighbour: actor_records.pyx (the
mailbox, for callers without a lane).  Must not know who a caller is.
"""
cdef enum:
    LANE_LOG = 22  # log entries that adding a call to a lane, or taking one out, writes at most


cdef inline rl_lane* lane_at(rl_region* R, uint32_t lane) noexcept nogil:
    return <rl_lane*>(R.meta + R.h.lanes.offset) + lane


cdef inline uint32_t* lane_chain(rl_region* R, uint32_t a, uint64_t caller, uint32_t serial) noexcept nogil:
    """Lock held. The chain on which the lane of a caller would be."""
    return &R.h.lane_chains[rl_fold(caller ^ FOLD_A, (<uint64_t>a << 32 | serial) ^ FOLD_B) % RL_LANES]


cdef uint32_t lane_find(rl_region* R, uint32_t a, uint64_t caller, uint32_t serial) noexcept nogil:
    """Lock held. The lane of a caller's calls to an actor, or 0."""
    cdef uint32_t lane = lane_chain(R, a, caller, serial)[0]
    while lane and (lane_at(R, lane).actor != a or lane_at(R, lane).caller != caller or lane_at(R, lane).serial != serial):
        lane = lane_at(R, lane).chain
    return lane


cdef bint lane_may_run(rl_region* R, uint32_t lane) noexcept nogil:
    """Lock held. Whether no call that was in the mailbox when a lane was made is there still."""
    cdef uint32_t first = actor_at(R, lane_at(R, lane).actor).head
    return first == 0 or <int32_t>(task_at(R, first).owner - lane_at(R, lane).behind) >= 0


cdef uint32_t* lane_ring(rl_region* R, rl_lane* e) noexcept nogil:
    return &actor_at(R, e.actor).open if e.state == RL_LANE_OPEN else &actor_at(R, e.actor).stalled


cdef void lane_ring_add(rl_region* R, uint32_t lane) noexcept nogil:
    """Lock held. Adds a lane to the ring of its state, as the last to be served."""
    cdef rl_lane* e = lane_at(R, lane)
    cdef uint32_t* ring = lane_ring(R, e)
    cdef uint32_t first = ring[0]
    if first == 0:
        rl_set32(R, &e.next, lane)
        rl_set32(R, &e.prev, lane)
        rl_set32(R, ring, lane)
        return
    rl_set32(R, &e.next, first)
    rl_set32(R, &e.prev, lane_at(R, first).prev)
    rl_set32(R, &lane_at(R, e.prev).next, lane)
    rl_set32(R, &lane_at(R, first).prev, lane)


cdef void lane_ring_remove(rl_region* R, uint32_t lane) noexcept nogil:
    cdef rl_lane* e = lane_at(R, lane)
    cdef uint32_t* ring = lane_ring(R, e)
    if e.next == lane:
        rl_set32(R, ring, 0)
        return
    list_remove(R, &lane_at(R, e.prev).next, &lane_at(R, e.next).prev, e.next, e.prev)
    if ring[0] == lane:
        rl_set32(R, ring, e.next)


cdef void lane_settle(rl_region* R, uint32_t lane) noexcept nogil:
    """Lock held. Moves a lane to the ring that its first call asks for."""
    cdef rl_lane* e = lane_at(R, lane)
    cdef uint32_t state = RL_LANE_STALLED if task_at(R, e.head).ndeps else RL_LANE_OPEN
    if e.state != state:
        lane_ring_remove(R, lane)
        rl_lane_become(R, e, state)
        lane_ring_add(R, lane)


cdef uint32_t lane_make(rl_region* R, uint32_t a, uint64_t caller, uint32_t serial) noexcept nogil:
    """Lock held. A new lane, whose first call lacks arguments and is added next; 0: the table must grow."""
    cdef uint32_t lane = table_take(R, &R.h.lanes)
    cdef uint32_t* chain = lane_chain(R, a, caller, serial)
    cdef rl_lane* e = lane_at(R, lane)
    if lane == 0:
        return 0
    rl_lane_become(R, e, RL_LANE_STALLED)
    rl_fresh32(&e.actor, a)
    rl_fresh64(&e.caller, caller)
    rl_fresh32(&e.serial, serial)
    rl_fresh32(&e.behind, actor_at(R, a).nmailed)
    rl_fresh32(&e.head, 0)
    rl_fresh32(&e.tail, 0)
    rl_set32(R, &e.chain, chain[0])
    rl_set32(R, chain, lane)
    rl_set32(R, &actor_at(R, a).nlanes, actor_at(R, a).nlanes + 1)
    lane_ring_add(R, lane)
    return lane


cdef void lane_add(rl_region* R, uint32_t lane, uint32_t t) noexcept nogil:
    """Lock held. Adds a call to a lane, as the last one."""
    cdef rl_lane* e = lane_at(R, lane)
    rl_task_become(R, task_at(R, t), RL_LANED)
    rl_set32(R, &task_at(R, t).owner, lane)
    call_link(R, t, &e.head, &e.tail, False)


cdef void lane_free(rl_region* R, uint32_t lane) noexcept nogil:
    """Lock held. Frees an empty lane: its caller's next call goes to the mailbox."""
    cdef rl_lane* e = lane_at(R, lane)
    cdef uint32_t* at = lane_chain(R, e.actor, e.caller, e.serial)
    lane_ring_remove(R, lane)
    while at[0] != lane:
        at = &lane_at(R, at[0]).chain
    rl_set32(R, at, e.chain)
    rl_set32(R, &actor_at(R, e.actor).nlanes, actor_at(R, e.actor).nlanes - 1)
    if rl_lane_may(R, e, RL_FREE):
        table_give(R, &R.h.lanes, lane)


cdef void lane_remove(rl_region* R, uint32_t t) noexcept nogil:
    """Lock held. Takes a LANED call out of its lane, at any place in it."""
    cdef uint32_t lane = task_at(R, t).owner
    cdef rl_lane* e = lane_at(R, lane)
    call_unlink(R, t, &e.head, &e.tail)
    if e.head == 0:
        lane_free(R, lane)
    else:
        lane_settle(R, lane)
