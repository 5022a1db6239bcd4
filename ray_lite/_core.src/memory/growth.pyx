"""Pages for a space: growth behind its last run, and filling of holes.

A free run of the arena has its pages, so a store into it never fails.  A hole has no pages, and is filled before it is used.
Only the node makes holes (records/trim.pyx).  Each hole has a number: it shows a process that fills the hole whether the pages
were trimmed again meanwhile.  Free runs of the spill file need no pages.  Neighbour: arena.pyx (runs).
"""


cdef uint32_t step_pages(rl_region* R, bint reserve) noexcept nogil:
    """Number of pages by which, or by a multiple of which, the arena grows."""
    return <uint32_t>(R.h.page_bytes if reserve else max(R.h.commit_bytes, R.h.page_bytes)) // RL_PAGE


cdef uint32_t run_largest(rl_space* S) noexcept nogil:
    """Lock held. A run of the largest class that has one, or 0."""
    cdef uint32_t f
    if S.first_map == 0:
        return 0
    f = 31 - __builtin_clz(S.first_map)
    return S.heads[f * RL_SECOND + 31 - __builtin_clz(S.second_map[f])]


cdef int run_append(rl_region* R, rl_space* S, uint32_t first, uint32_t pages) noexcept nogil:
    """Lock held. Adds a free run of `pages` behind the last run, unless the space no longer ends at page `first`."""
    cdef uint32_t x
    cdef rl_extent* e
    if S.committed != first:
        return DONE
    x = table_take(R, &R.h.extents)
    if x == 0:
        return GROW_EXTENTS
    e = extent_at(R, x)
    rl_set32(R, &e.state, RL_EXTENT_USED)
    rl_set32(R, &e.start, first)
    rl_set32(R, &e.pages, pages)
    rl_set32(R, &e.left, S.last)
    rl_set32(R, &e.right, 0)
    if S.last:
        rl_set32(R, &extent_at(R, S.last).right, x)
    rl_set32(R, &S.last, x)
    rl_set32(R, &S.committed, first + pages)
    run_give(R, S, x)
    if S == &R.h.arena and not R.h.grew and not (R.job == RL_HOST_JOB and rl_slot_at(R, R.slot).role == RL_NODE):
        rl_set32(R, &R.h.grew, 1)
        rl_owe_node_of(RL_HOST_JOB)
    return DONE


cdef int space_extend(rl_region* R, rl_space* S, uint32_t first, uint32_t pages) noexcept nogil:
    """Lock not held. Adds [first, first + pages) to the free runs, unless another process let the space grow meanwhile."""
    cdef int rc
    while True:
        if rl_lock(R):
            return EIO
        if run_append(R, S, first, pages) == DONE:
            rl_commit(R)
            return DONE
        rl_abort(R)
        rc = table_grow(R, &R.h.extents)
        if rc:
            return rc


cdef int tail_grow(rl_region* R, rl_space* S, uint32_t pages, bint reserve) noexcept nogil:
    """Lock not held. Adds pages behind the last extent; together with a free last extent they are at least `pages`."""
    cdef uint32_t first, missing
    cdef uint32_t last = S.pages
    cdef uint32_t step = 1
    cdef bint arena = S == &R.h.arena
    if rl_lock(R):
        return EIO
    first = S.committed
    missing = pages
    if S.last and extent_at(R, S.last).state == RL_EXTENT_FREE:
        missing = pages - min(pages, extent_at(R, S.last).pages)
    rl_abort(R)
    missing = max(missing, 1)  # the last run may be long enough, but behind more of its class than run_find tries
    if arena:
        step = step_pages(R, reserve)
        last -= 0 if reserve else R.h.reserve
    pages = (missing // step + (1 if missing % step else 0)) * step
    pages = min(pages, last - first if first < last else 0)
    if pages < missing or pages == 0:
        return FULL_ARENA if arena else FULL_SPILL
    if arena and commit_pages(R.arena_fd, first * <uint64_t>RL_PAGE, (first + pages) * <uint64_t>RL_PAGE):
        return FULL_FILE
    rl_failpoint(R, b"pages.extend")
    return space_extend(R, S, first, pages)


cdef int hole_filled(rl_region* R, uint32_t x, uint32_t start, uint32_t pages, uint32_t number) noexcept nogil:
    """Lock not held. Makes the first `pages` of a filled hole free; does nothing if the hole has changed meanwhile."""
    cdef rl_extent* e = extent_at(R, x)
    cdef int rc
    while True:
        if rl_lock(R):
            return EIO
        if e.state != RL_EXTENT_HOLE or e.start != start or e.clas != number or e.pages < pages:
            rl_abort(R)
            return DONE
        run_unlink(R, &R.h.holes, x)
        rc = run_split(R, &R.h.holes, x, pages)
        if rc == DONE:
            rl_set32(R, &R.h.holes.committed, R.h.holes.committed - pages)
            rl_set32(R, &e.state, RL_EXTENT_USED)
            run_give(R, &R.h.arena, x)
            rl_commit(R)
            return DONE
        rl_abort(R)
        rc = table_grow(R, &R.h.extents)
        if rc:
            return rc


cdef int hole_fill(rl_region* R, uint32_t pages, bint whole, bint reserve) noexcept nogil:
    """Lock not held. Commits pages for the front of a hole, or (`whole`) for all of one that may be too small. MORE: no
    hole."""
    cdef uint32_t x, start, number
    cdef uint32_t step = step_pages(R, reserve)
    if rl_lock(R):
        return EIO
    x = run_largest(&R.h.holes) if whole else run_find(R, &R.h.holes, pages)
    start, number = extent_at(R, x).start, extent_at(R, x).clas
    pages = extent_at(R, x).pages if whole else min(extent_at(R, x).pages, (pages + step - 1) // step * step)
    rl_abort(R)
    if x == 0:
        return MORE
    if commit_pages(R.arena_fd, start * <uint64_t>RL_PAGE, (start + pages) * <uint64_t>RL_PAGE):
        return FULL_FILE
    rl_failpoint(R, b"pages.fill")
    return hole_filled(R, x, start, pages, number)


cdef int space_grow(rl_region* R, rl_space* S, uint64_t size, bint reserve) noexcept nogil:
    """Lock not held. Supplies pages for a block of `size`; those of the arena are committed. FULL_ARENA or FULL_SPILL: the
    space has no more pages. FULL_FILE: no memory for them, or no space in the file system."""
    cdef bint arena = S == &R.h.arena
    cdef uint32_t pages = slab_pages(class_of(size)) if arena and size <= LARGEST_CELL else pages_of(size)
    cdef bint found
    cdef int rc = MORE
    if rl_lock(R):
        return EIO
    found = run_find(R, S, pages) or (arena and size <= LARGEST_CELL and R.h.partial[class_of(size)])
    rl_abort(R)
    if found:
        return DONE  # another process freed room meanwhile
    if arena:
        rc = hole_fill(R, pages, False, reserve)
    if rc == MORE:
        rc = tail_grow(R, S, pages, reserve)
    if rc == FULL_ARENA:
        rc = hole_fill(R, pages, True, reserve)  # together with free runs beside it, it may be enough
        return FULL_ARENA if rc == MORE else rc
    return rc
