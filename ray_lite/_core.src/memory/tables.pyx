"""Tables of equal entries: taking an entry, freeing it, and committing pages for more.

Every structure of the region keeps its entries in such a table; python/region.pyx lays the tables out.  Must not know what an
entry means, only that its first word is a state (0: free) and its second a link.
"""
cdef enum:
    TABLES = 11  # objects, tasks, refs, extents, queues, slots, resources, demands, actors, lanes, jobs: in the header's order


cdef inline char* table_entry(rl_region* R, rl_table* t, uint32_t i) noexcept nogil:
    return R.meta + t.offset + <uint64_t>t.stride * i


cdef inline rl_object* object_at(rl_region* R, uint32_t i) noexcept nogil:
    return <rl_object*>(R.meta + R.h.objects.offset) + i


cdef inline rl_task* task_at(rl_region* R, uint32_t i) noexcept nogil:
    return <rl_task*>(R.meta + R.h.tasks.offset) + i


cdef inline rl_ref* ref_at(rl_region* R, uint32_t i) noexcept nogil:
    return <rl_ref*>(R.meta + R.h.refs.offset) + i


cdef inline rl_extent* extent_at(rl_region* R, uint32_t i) noexcept nogil:
    return <rl_extent*>(R.meta + R.h.extents.offset) + i


cdef inline rl_queue* queue_at(rl_region* R, uint32_t i) noexcept nogil:
    return <rl_queue*>(R.meta + R.h.queues.offset) + i


cdef uint32_t table_take(rl_region* R, rl_table* t) noexcept nogil:
    """Lock held. Takes an entry, or returns 0 when all committed ones are in use. The caller sets the fields."""
    cdef uint32_t i = t.free
    if i:
        if i >= t.used:
            rl_store(&R.h.poison, EUCLEAN)
            return 0
        rl_set32(R, &t.free, (<uint32_t*>table_entry(R, t, i))[1])
    elif t.used < t.limit:
        i = t.used
        rl_set32(R, &t.used, i + 1)
    else:
        return 0
    rl_set32(R, &t.live, t.live + 1)
    return i


cdef void table_give(rl_region* R, rl_table* t, uint32_t i) noexcept nogil:
    """Lock held. Frees an entry. The last freed is the first taken, since its cache lines are warm."""
    cdef uint32_t* words = <uint32_t*>table_entry(R, t, i)
    rl_set32(R, &words[0], RL_FREE)
    rl_set32(R, &words[1], t.free)
    rl_set32(R, &t.free, i)
    rl_set32(R, &t.live, t.live - 1)


cdef inline void list_remove(rl_region* R, uint32_t* link, uint32_t* back, uint32_t next, uint32_t prev) noexcept nogil:
    """Lock held. Takes an entry off a list that is linked both ways.

    `link`: the link to the entry, in the one before it or the list's head.  `back`: the link back to it, in the one behind it
    or the list's tail; NULL if there is neither.  `next`, `prev`: its own links.
    """
    rl_set32(R, link, next)
    if back != NULL:
        rl_set32(R, back, prev)


cdef rl_table* table_of(rl_region* R, int missing) noexcept nogil:
    if missing == GROW_OBJECTS:
        return &R.h.objects
    if missing == GROW_TASKS:
        return &R.h.tasks
    if missing == GROW_REFS:
        return &R.h.refs
    if missing == GROW_EXTENTS:
        return &R.h.extents
    if missing == GROW_QUEUES:
        return &R.h.queues
    if missing == GROW_DEMANDS:
        return &R.h.demands
    if missing == GROW_ACTORS:
        return &R.h.actors
    if missing == GROW_LANES:
        return &R.h.lanes
    if missing == GROW_JOBS:
        return &R.h.jobs
    return &R.h.slots


cdef int commit_pages(int fd, uint64_t start, uint64_t end) noexcept nogil:
    """Commits pages for [start, end) of a file, or returns FULL_FILE. Without this, missing memory would mean SIGBUS."""
    cdef int rc
    start -= start % RL_PAGE
    end += (RL_PAGE - end % RL_PAGE) % RL_PAGE
    while True:
        if fallocate(fd, 0, <int64_t>start, <int64_t>(end - start)) == 0:
            return DONE
        rc = errno
        if rc != EINTR:
            return FULL_FILE


cdef int table_grow(rl_region* R, rl_table* t) noexcept nogil:
    """Lock not held. Commits the next step of a table. Growing at the same time as another process is harmless."""
    cdef uint32_t limit = rl_load(&t.limit)
    cdef bint rare = t == &R.h.actors or t == &R.h.lanes or t == &R.h.jobs  # of few entries: their first step is a page
    cdef uint64_t step = (RL_PAGE if rare and limit == 0 else R.h.commit_bytes) // t.stride
    cdef uint64_t wanted = limit + (step if step else 1)
    if limit >= t.capacity:
        return FULL_TABLE
    if wanted > t.capacity:
        wanted = t.capacity
    if commit_pages(R.control_fd, t.offset + <uint64_t>t.stride * limit, t.offset + <uint64_t>t.stride * wanted):
        return FULL_TABLE
    rl_failpoint(R, b"pages.limit")
    if rl_lock(R):
        return EIO
    if t.limit < wanted:
        rl_set32(R, &t.limit, <uint32_t>wanted)
    rl_commit(R)
    return DONE
