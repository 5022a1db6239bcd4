"""The end of a section: commit it, or undo it, supply what it lacked, and let the caller repeat it.

A step under the lock never waits and never allocates pages.  It returns what it lacks (a GROW_ code), and `section_repeats`
supplies that without the lock.  Neighbours: tables.pyx and growth.pyx do the growing.
"""


cdef int row_grow(rl_region* R) noexcept nogil:
    """Lock not held. Commits pages of this process's row for every object that can be taken now. Others read no bits beyond
    the limit in its slot: there may be no memory for them, and to read them could mean SIGBUS."""
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    cdef uint64_t limit = rl_load(&R.h.objects.limit)
    cdef uint64_t at = R.h.rows + R.h.row_bytes * R.slot
    if commit_pages(R.control_fd, at, at + limit // 8 + 8):
        return FULL_TABLE
    if R.h.spill_least and commit_pages(R.control_fd, at + R.h.reader_bits, at + R.h.reader_bits + limit // 8 + 8):
        return FULL_TABLE
    rl_failpoint(R, b"row.limit")
    if rl_lock(R):
        return EIO
    if me.row_limit < limit:
        rl_set32(R, &me.row_limit, <uint32_t>limit)
    R.row_limit = me.row_limit
    rl_commit(R)
    return DONE


cdef int grow(rl_region* R, int missing, uint64_t size) noexcept nogil:
    """Lock not held. Supplies what a step lacked; `size`: bytes of the block that it wanted. DONE: the step can be repeated."""
    if missing == GROW_ROW:
        return row_grow(R)
    if missing == GROW_ARENA:
        return space_grow(R, &R.h.arena, size, False)
    if missing == GROW_SPILL:
        return space_grow(R, &R.h.spill, size, False)
    if (missing == GROW_QUEUES or missing == GROW_DEMANDS) and table_of(R, missing).limit == table_of(R, missing).capacity:
        return FULL_SHAPES
    if GROW_SLOTS <= missing < 0 or GROW_JOBS <= missing <= GROW_DEMANDS:
        return table_grow(R, table_of(R, missing))
    return missing


cdef bint section_repeats(rl_region* R, int* rc, uint64_t size) noexcept nogil:
    """Lock held, afterwards not. Ends a section whose step returned `rc`.

    A step that is done (or wants MORE sections) is committed. Any other step is undone, and what it lacked is supplied (`size`:
    bytes of the block that it wanted). True: the step must be repeated; False: `rc` is the result of the whole operation.
    """
    if rc[0] >= DONE:
        rl_commit(R)
        return False
    rl_abort(R)
    rc[0] = grow(R, rc[0], size)
    return rc[0] == DONE
