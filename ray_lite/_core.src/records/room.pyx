"""Room in a full store: a process that has waited for it goes first, for a while.

Each slot says since when its process waits.  Precedence ends after `room_precedence`, so that no process waits for ever for
another that waits for it, or is stopped.  Neighbour: objects.pyx asks before it takes a large block.
"""


cdef bint room_promised_to_others(rl_region* R) noexcept nogil:
    """Whether another process has waited longer for room, so that this one must not take what was freed for it. Precedence
    ends, so that no process waits for ever for another that waits for it, or is stopped."""
    cdef uint32_t i, since
    cdef uint32_t now = coarse_clock()
    cdef uint32_t mine = rl_load(&rl_slot_at(R, R.slot).waiting_for_room)
    cdef bint anybody = False
    cdef bint longer
    if rl_load(&R.h.waiting_for_room) == 0:
        return False
    for i in range(1, R.h.slots.used):
        since = rl_load(&rl_slot_at(R, i).waiting_for_room)
        if since and i != R.slot and rl_slot_at(R, i).state == RL_ALIVE:
            anybody = True
            longer = mine == 0 or now - since > now - mine or (since == mine and i < R.slot)
            if longer and now - since < R.h.room_precedence:
                return True
    if not anybody and mine == 0:
        rl_store(&R.h.waiting_for_room, 0)  # a process that starts to wait just now says so again when it next tries
    return False
