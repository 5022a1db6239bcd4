"""Who may take room in a full store: a process that has waited for it goes first, for a while.

Each slot says since when its process waits.  Precedence ends after `room_precedence`, so that nobody waits for ever for a process
that waits for it, or is stopped.  Neighbour: objects.pyx asks before it takes a large block.
"""


cdef bint room_promised_to_others(rl_region* R) noexcept nogil:
    """Whether another process has waited for room longer, so that this one must not take what was freed for it. A turn ends, so
    that nobody waits for ever for one who waits for him, or is stopped."""
    cdef uint32_t i, since
    cdef uint32_t now = coarse_clock()
    cdef uint32_t on_own_stack = rl_load(&rl_slot_at(R, R.slot).waiting_for_room)
    cdef bint anybody = False
    if rl_load(&R.h.waiting_for_room) == 0:
        return False
    for i in range(1, R.h.slots.used):
        since = rl_load(&rl_slot_at(R, i).waiting_for_room)
        if since and i != R.slot and rl_slot_at(R, i).state == RL_ALIVE:
            anybody = True
            if now - since < R.h.room_precedence and (on_own_stack == 0 or now - since > now - on_own_stack or (since == on_own_stack and i < R.slot)):
                return True
    if not anybody and on_own_stack == 0:
        rl_store(&R.h.waiting_for_room, 0)  # one who comes just now says so again at his next look
    return False
