"""Trimming: large free runs of the arena are given to the kernel as memory, those of the spill file as disk space.

Only the node trims, and its death ends the session.  It takes a run off the free ones, punches out the run's pages, and makes
it a hole; meanwhile the header names the run, which counts neither as free nor as used.  Pages of huge-page arenas are
reserved and stay.  Neighbour: memory/growth.pyx fills the holes that this leaves.
"""
cdef enum:
    TRIM_MOST = 65536   # pages trimmed at once: punching them out takes some milliseconds


cdef int trim_take(rl_region* R, rl_space* S) noexcept nogil:
    """Takes a large free run off the free ones; the header names it. STALE: no run is worth trimming."""
    cdef int rc
    while True:
        if rl_lock(R):
            return EIO
        rc = trim_take_section(R, S)
        if not section_repeats(R, &rc, 0):
            break
    if rc == DONE:
        rl_failpoint(R, b"trim.punch")
    return rc


cdef int trim_take_section(rl_region* R, rl_space* S) noexcept nogil:
    """Lock held. Takes a large free run (of the arena at most TRIM_MOST pages). STALE: none is worth it."""
    cdef uint32_t x = run_largest(S)
    cdef int rc = DONE
    if x == 0 or extent_at(R, x).pages < R.h.trim_least or (S == &R.h.spill and extent_at(R, x).clas):
        return STALE
    run_unlink(R, S, x)
    if S == &R.h.arena and extent_at(R, x).pages > TRIM_MOST:
        rc = run_split(R, S, x, TRIM_MOST)
    if rc == DONE:
        rl_set32(R, &extent_at(R, x).state, RL_EXTENT_TRIMMING)
        rl_set32(R, &R.h.trimming, x)
    return rc


cdef int trim_finish(rl_region* R, rl_space* S, bint gone) noexcept nogil:
    """Ends the trim of a run: it has no pages any more (`gone`), or, if they could not be trimmed, is free again."""
    cdef uint32_t x = R.h.trimming
    cdef uint32_t pages = extent_at(R, x).pages
    if rl_lock(R):
        return EIO
    rl_set32(R, &R.h.trimming, 0)
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
    return DONE


cdef int64_t trim_one(rl_region* R, rl_space* S, int fd) noexcept nogil:
    """Trims one run and returns its bytes. 0: there is no run to trim, or the kernel refused. Negative: an error."""
    cdef uint64_t start, size
    cdef bint gone
    cdef int rc = trim_take(R, S)
    if rc:
        return 0 if rc == STALE else rc
    start = extent_at(R, R.h.trimming).start * <uint64_t>RL_PAGE
    size = extent_at(R, R.h.trimming).pages * <uint64_t>RL_PAGE
    gone = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, <int64_t>start, <int64_t>size) == 0
    rc = trim_finish(R, S, gone)
    return rc if rc else <int64_t>size if gone else 0
