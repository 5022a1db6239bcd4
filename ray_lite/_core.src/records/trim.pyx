"""Trimming: large free runs of the arena are given to the kernel as memory, those of the spill file as disk space.

Only the node trims: its death ends the session.  It owns a run through an unsealed object, punches out the run's pages, and
ends the object.  Pages of huge-page arenas are reserved and stay.  Neighbour: memory/growth.pyx fills the holes that this
leaves.
"""
cdef enum:
    TRIM_MOST = 65536   # pages trimmed at once: punching them out takes some milliseconds


cdef void trim_count(rl_region* R, rl_space* S, int64_t size) noexcept nogil:
    """Lock held. Adds `size`, which may be negative, to the used bytes of a space."""
    cdef uint64_t* count = &R.h.used_bytes if S == &R.h.arena else &R.h.spilled_bytes
    rl_set64(R, count, count[0] + <uint64_t>size)


cdef int trim_take(rl_region* R, rl_space* S, const rl_origin* from_, uint32_t* out) noexcept nogil:
    """Makes a CREATING object of this process that owns a large free run. STALE: no run is worth trimming."""
    cdef int rc = DONE
    while True:
        if rl_lock(R):
            return EIO
        rc = trim_take_section(R, S, from_, out)
        if not section_repeats(R, &rc, 0):
            break
    if rc == DONE:
        rl_failpoint(R, b"trim.punch")
    return rc


cdef int trim_take_section(rl_region* R, rl_space* S, const rl_origin* from_, uint32_t* out) noexcept nogil:
    """Lock held. Takes a large free run (of the arena at most TRIM_MOST pages) for a new object. STALE: none is worth it."""
    cdef uint32_t x = run_largest(S)
    cdef int rc
    if x == 0 or extent_at(R, x).pages < R.h.trim_least or (S == &R.h.spill and extent_at(R, x).clas):
        return STALE
    rc = object_take(R, RL_CREATING, from_, out)
    if rc == DONE:
        run_unlink(R, S, x)
        if S == &R.h.arena and extent_at(R, x).pages > TRIM_MOST:
            rc = run_split(R, S, x, TRIM_MOST)
    if rc == DONE:
        rl_set32(R, &extent_at(R, x).state, RL_EXTENT_USED if S == &R.h.arena else RL_EXTENT_SPILLED)
        rl_set16(R, &object_at(R, out[0]).cell, 0)
        rl_set32(R, &object_at(R, out[0]).extent, x)
        trim_count(R, S, <int64_t>block_size(R, x))
    return rc


cdef int trim_finish(rl_region* R, rl_space* S, uint32_t i, bint gone) noexcept nogil:
    """Ends object `i`. Its run has no pages any more (`gone`), or, if they could not be trimmed, is free again."""
    cdef rl_object* o = object_at(R, i)
    cdef uint32_t x = o.extent
    cdef uint32_t pages = extent_at(R, x).pages
    if rl_lock(R):
        return EIO
    trim_count(R, S, -<int64_t>block_size(R, x))
    rl_set32(R, &o.extent, 0)
    if gone and S == &R.h.arena:
        rl_set32(R, &R.h.ntrims, R.h.ntrims + 1)
        rl_set32(R, &R.h.holes.committed, R.h.holes.committed + pages)
        x = run_give(R, &R.h.holes, x)
        rl_set32(R, &extent_at(R, x).clas, R.h.ntrims)
    else:
        x = run_give(R, S, x)
        if gone and S == &R.h.spill and extent_at(R, x).pages == pages:  # else it joined others, and is trimmed another time
            rl_set32(R, &extent_at(R, x).clas, 1)
    rl_commit(R)
    rl_failpoint(R, b"trim.release")
    return object_release(R, i)


cdef int64_t trim_one(rl_region* R, rl_space* S, int fd) noexcept nogil:
    """Trims one run and returns its bytes. 0: there is no run to trim, or the kernel refused. Negative: an error."""
    cdef uint8_t id[RL_ID_BYTES]
    cdef rl_origin nameless
    cdef uint32_t i = 0
    cdef uint64_t size
    cdef bint gone
    cdef int rc
    memset(id, 0, RL_ID_BYTES)  # no process will ever search for it
    nameless.id, nameless.site = id, 0
    rc = trim_take(R, S, &nameless, &i)
    if rc:
        return 0 if rc == STALE else rc
    size = block_size(R, object_at(R, i).extent)
    gone = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                     <int64_t>(extent_at(R, object_at(R, i).extent).start * <uint64_t>RL_PAGE), <int64_t>size) == 0
    rc = trim_finish(R, S, i, gone)
    return rc if rc else <int64_t>size if gone else 0
