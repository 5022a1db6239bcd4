"""Who may take room in a full store: a process that has waited for it goes first, for a while.

Each slot says since when its process waits.  Precedence ends after `room_precedence`, so that nobody waits for ever for a process
that waits for it, or is stopped.  Neighbour: objects.pyx asks before it takes a large block.
"""


cdef bint others_first(rl_region* R) noexcept nogil:
    """Whether another process has waited for room longer, so that this one must not take what was freed for it. A turn ends, so
    that nobody waits for ever for one who waits for him, or is stopped."""
    cdef uint32_t i, since
    cdef uint32_t now = use_clock()
    cdef uint32_t mine = rl_load(&rl_slot_at(R, R.slot).hungry)
    cdef bint anybody = False
    if rl_load(&R.h.hungry) == 0 or R.emergency:
        return False
    for i in range(1, R.h.slots.used):
        since = rl_load(&rl_slot_at(R, i).hungry)
        if since and i != R.slot and rl_slot_at(R, i).state == RL_ALIVE:
            anybody = True
            if now - since < R.h.turn and (mine == 0 or now - since > now - mine or (since == mine and i < R.slot)):
                return True
    if not anybody and mine == 0:
        rl_store(&R.h.hungry, 0)  # one who comes just now says so again at his next look
    return False
