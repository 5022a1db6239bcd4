"""Growing ahead: the node commits pages of the arena before somebody needs them, so that a `put` rarely has to wait for any.

It begins when another process had to grow the arena itself, and never on huge pages, which are reserved anyway, nor while there
are holes: memory that was given back is not wanted.  Neighbours: growth.pyx (pages), node.py (when).
"""


cdef int grow_ahead(rl_region* R, uint32_t pages, bint* more) noexcept nogil:
    """One step towards `pages` free ones behind the last run in use. An error of the machine's is none here: who needs the
    memory will meet it."""
    cdef rl_space* S = &R.h.arena
    cdef uint32_t step = step_pages(R)
    cdef uint32_t free = 0
    cdef uint32_t first
    more[0] = False
    if rl_lock(R):
        return EIO
    first = S.committed
    if S.last and extent_at(R, S.last).state == RL_EXTENT_FREE:
        free = extent_at(R, S.last).pages
    if free >= pages or R.h.holes.committed or first + step + R.h.reserve > S.pages:
        rl_set32(R, &R.h.grown, 0)
        rl_commit(R)
        return DONE
    rl_abort(R)
    if commit_pages(R.arena_fd, first * <uint64_t>RL_PAGE, (first + step) * <uint64_t>RL_PAGE):
        if rl_lock(R):
            return EIO
        rl_set32(R, &R.h.grown, 0)
        rl_commit(R)
        return DONE
    rl_failpoint(R, b"ahead.extend")
    more[0] = True
    return space_extend(R, S, first, step)


def has_grown(Region region) -> bool:
    """Whether another process had to let the arena grow since `ahead` had done enough."""
    return not region.R.closed and region.R.h.grown != 0


def ahead(Region region, uint64_t size) -> bool:
    """Commits a step of pages if fewer than `size` bytes are free behind the last run in use; whether more is to be done."""
    cdef bint more = False
    check_region(region.R)
    if region.R.h.page_bytes == RL_PAGE:
        check(grow_ahead(region.R, <uint32_t>(min(size, region.R.h.arena_bytes // 16) // RL_PAGE), &more))
    elif region.R.h.grown:
        check(grow_ahead(region.R, 0, &more))
    return more
