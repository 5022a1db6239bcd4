"""Preallocation: the node commits pages of the arena before a process needs them, so that a `put` rarely waits for pages.

It begins when another process had to grow the arena itself.  It never runs on huge pages, which are reserved anyway, nor while
there are holes: memory that was trimmed is not wanted.  Neighbour: growth.pyx (pages).
"""


cdef int preallocate_step(rl_region* R, uint32_t pages, bint* more) noexcept nogil:
    """One step towards `pages` free pages behind the last run in use; `more`: another step may be needed. A lack of memory is
    no error here: a process that needs the memory will meet it."""
    cdef rl_space* S = &R.h.arena
    cdef uint32_t step = step_pages(R, False)
    cdef uint32_t free = 0
    cdef uint32_t first
    more[0] = False
    if rl_lock(R):
        return EIO
    first = S.committed
    if S.last and extent_at(R, S.last).state == RL_EXTENT_FREE:
        free = extent_at(R, S.last).pages
    if free >= pages or R.h.holes.committed or first + step + R.h.reserve > S.pages:
        rl_set32(R, &R.h.grew, 0)
        rl_commit(R)
        return DONE
    rl_abort(R)
    if commit_pages(R.arena_fd, first * <uint64_t>RL_PAGE, (first + step) * <uint64_t>RL_PAGE):
        if rl_lock(R):
            return EIO
        rl_set32(R, &R.h.grew, 0)
        rl_commit(R)
        return DONE
    rl_failpoint(R, b"preallocate.extend")
    more[0] = True
    return space_extend(R, S, first, step)
