"""The allocator: slabs for blocks of up to 32 KiB, and a two-level segregated good fit for longer runs of pages.

All bookkeeping is in the control region; nothing lies between the payloads.  Every operation takes constant time.  The
segregated lists follow M. Masmano et al., "TLSF: a new dynamic memory allocator for real-time systems" (ECRTS 2004): the first
level is a power of two of pages, the second an eighth of it.  A freed run merges with both neighbours at once.  Lists are last
freed first, since touched pages are up to 60 times cheaper than fresh ones.  The section that takes a block also stores its
name, (extent, cell), in its owner's entry, so a crash can't lose the block.  There are two spaces: the arena, and the spill
file, which has runs only.  Neighbours: growth.pyx adds pages to a space.  Must not touch the bytes of a block.
"""
cdef enum:
    LARGEST_CELL = 32768
    SLAB_CELLS = 256
    RUNS_LOOKED_AT = 8   # runs of the wanted size's own class that are tried; every run of a higher class fits
    SLAB_BYTES = 131072


cdef inline uint32_t class_of(uint64_t size) noexcept nogil:
    """Slab class of a size in 1..32768: 64, 128, 192, 256, then two classes for each power of two."""
    cdef uint32_t k
    if size <= 256:
        return <uint32_t>((size + 63) // 64 - 1) if size else 0
    k = 63 - __builtin_clzll(size - 1)
    return 4 + (k - 8) * 2 + (1 if size > (<uint64_t>3 << (k - 1)) else 0)


cdef inline uint64_t class_size(uint32_t c) noexcept nogil:
    if c < 4:
        return 64 * (c + 1)
    return <uint64_t>(3 if (c & 1) == 0 else 4) << (7 + (c - 4) // 2)


cdef inline uint32_t slab_pages(uint32_t c) noexcept nogil:
    cdef uint64_t size = class_size(c) * SLAB_CELLS
    return <uint32_t>((size if size < SLAB_BYTES else SLAB_BYTES) // RL_PAGE)


cdef inline uint32_t slab_cells(uint32_t c) noexcept nogil:
    return <uint32_t>(slab_pages(c) * <uint64_t>RL_PAGE // class_size(c))


cdef inline uint32_t pages_of(uint64_t size) noexcept nogil:
    return <uint32_t>((size + RL_PAGE - 1) // RL_PAGE)


cdef inline uint32_t first_level(uint32_t pages) noexcept nogil:
    return 31 - __builtin_clz(pages)


cdef inline uint32_t second_level(uint32_t pages, uint32_t first) noexcept nogil:
    return ((pages >> (first - 3)) if first >= 3 else (pages << (3 - first))) & 7


cdef inline uint32_t free_state(rl_region* R, rl_space* S) noexcept nogil:
    """State of the free runs on a space's lists."""
    return RL_EXTENT_HOLE if S == &R.h.holes else RL_EXTENT_FREE


cdef inline rl_space* tiled_by(rl_region* R, rl_space* S) noexcept nogil:
    """The space whose pages the runs are in: holes are in the arena."""
    return &R.h.arena if S == &R.h.holes else S


cdef void extent_remove(rl_region* R, rl_extent* e, uint32_t* head) noexcept nogil:
    """Lock held. Takes an extent off the list of free runs, or of slabs, with this head."""
    list_remove(R, &extent_at(R, e.prev).next if e.prev else head, &extent_at(R, e.next).prev if e.next else NULL,
                e.next, e.prev)


cdef void run_unlink(rl_region* R, rl_space* S, uint32_t x) noexcept nogil:
    """Lock held. Takes a free run off its list."""
    cdef rl_extent* e = extent_at(R, x)
    cdef uint32_t f = first_level(e.pages)
    cdef uint32_t s = second_level(e.pages, f)
    cdef uint32_t* head = &S.heads[f * RL_SECOND + s]
    extent_remove(R, e, head)
    if head[0] == 0:
        rl_set32(R, &S.second_map[f], S.second_map[f] & ~(<uint32_t>1 << s))
        if S.second_map[f] == 0:
            rl_set32(R, &S.first_map, S.first_map & ~(<uint32_t>1 << f))


cdef void run_link(rl_region* R, rl_space* S, uint32_t x) noexcept nogil:
    """Lock held. Puts a run, as free or as a hole, on the list of its class."""
    cdef rl_extent* e = extent_at(R, x)
    cdef uint32_t f = first_level(e.pages)
    cdef uint32_t s = second_level(e.pages, f)
    cdef uint32_t* head = &S.heads[f * RL_SECOND + s]
    rl_set32(R, &e.state, free_state(R, S))
    rl_set32(R, &e.prev, 0)
    rl_set32(R, &e.next, head[0])
    if head[0]:
        rl_set32(R, &extent_at(R, head[0]).prev, x)
    rl_set32(R, head, x)
    if S.second_map[f] & (<uint32_t>1 << s) == 0:
        if S.second_map[f] == 0:
            rl_set32(R, &S.first_map, S.first_map | (<uint32_t>1 << f))
        rl_set32(R, &S.second_map[f], S.second_map[f] | (<uint32_t>1 << s))


cdef uint32_t run_find(rl_region* R, rl_space* S, uint32_t pages) noexcept nogil:
    """Lock held. A free run of at least `pages`, or 0: one of the first runs of its own class, else a good fit."""
    cdef uint32_t f = first_level(pages)
    cdef uint32_t s = second_level(pages, f)
    cdef uint32_t x = S.heads[f * RL_SECOND + s]
    cdef uint32_t fits
    cdef uint32_t _
    for _ in range(<uint32_t>RUNS_LOOKED_AT):
        if x == 0:
            break
        if extent_at(R, x).pages >= pages:
            return x
        x = extent_at(R, x).next
    fits = S.second_map[f] & ~((<uint32_t>2 << s) - 1)
    if fits == 0:
        fits = S.first_map & ~((<uint32_t>2 << f) - 1)
        if fits == 0:
            return 0
        f = __builtin_ctz(fits)
        fits = S.second_map[f]
    return S.heads[f * RL_SECOND + __builtin_ctz(fits)]


cdef int run_split(rl_region* R, rl_space* S, uint32_t x, uint32_t pages) noexcept nogil:
    """Lock held. Cuts an unlinked run after `pages`; the rest becomes a free run."""
    cdef rl_extent* e = extent_at(R, x)
    cdef rl_extent* rest
    cdef uint32_t r
    if e.pages == pages:
        return DONE
    r = table_take(R, &R.h.extents)
    if r == 0:
        return GROW_EXTENTS
    rest = extent_at(R, r)
    rl_set32(R, &rest.start, e.start + pages)
    rl_set32(R, &rest.pages, e.pages - pages)
    rl_set32(R, &rest.left, x)
    rl_set32(R, &rest.right, e.right)
    if e.right:
        rl_set32(R, &extent_at(R, e.right).left, r)
    else:
        rl_set32(R, &tiled_by(R, S).last, r)
    rl_set32(R, &e.right, r)
    rl_set32(R, &e.pages, pages)
    if S != &R.h.arena:
        rl_set32(R, &rest.clas, e.clas)
    run_link(R, S, r)
    return DONE


cdef int run_take(rl_region* R, rl_space* S, uint32_t pages, uint32_t* out) noexcept nogil:
    """Lock held. Takes a run of exactly `pages` and marks it used."""
    cdef uint32_t x = run_find(R, S, pages)
    cdef int rc
    if x == 0:
        return GROW_ARENA if S == &R.h.arena else GROW_SPILL
    run_unlink(R, S, x)
    rc = run_split(R, S, x, pages)
    if rc:
        return rc
    rl_set32(R, &extent_at(R, x).state, RL_EXTENT_USED)
    out[0] = x
    return DONE


cdef uint32_t run_merge(rl_region* R, rl_space* S, uint32_t left, uint32_t right) noexcept nogil:
    """Lock held. Joins `right` to `left`, both off their lists; returns the joined run, which is `left`."""
    cdef rl_extent* a = extent_at(R, left)
    cdef rl_extent* b = extent_at(R, right)
    rl_set32(R, &a.pages, a.pages + b.pages)
    rl_set32(R, &a.right, b.right)
    if b.right:
        rl_set32(R, &extent_at(R, b.right).left, left)
    else:
        rl_set32(R, &tiled_by(R, S).last, left)
    table_give(R, &R.h.extents, right)
    return left


cdef uint32_t run_give(rl_region* R, rl_space* S, uint32_t x) noexcept nogil:
    """Lock held. Frees a used run, which merges with free neighbours on both sides; returns the joined run."""
    cdef rl_extent* e = extent_at(R, x)
    cdef uint32_t like = free_state(R, S)
    if e.right and extent_at(R, e.right).state == like:
        run_unlink(R, S, e.right)
        run_merge(R, S, x, e.right)
    if e.left and extent_at(R, e.left).state == like:
        run_unlink(R, S, e.left)
        x = run_merge(R, S, e.left, x)
    if S == &R.h.spill and extent_at(R, x).clas:
        rl_set32(R, &extent_at(R, x).clas, 0)
    run_link(R, S, x)
    if S != &R.h.holes and R.h.trimmable == 0 and R.h.trim_least and extent_at(R, x).pages >= R.h.trim_least:
        rl_set32(R, &R.h.trimmable, 1)
        rl_owe_node_of(RL_HOST_JOB)
    return x


cdef int slab_new(rl_region* R, uint32_t c) noexcept nogil:
    """Lock held. Makes an empty slab the first on the list of its class."""
    cdef uint32_t x = 0
    cdef int rc = run_take(R, &R.h.arena, slab_pages(c), &x)
    cdef rl_extent* e
    cdef uint32_t i
    if rc:
        return rc
    e = extent_at(R, x)
    rl_set32(R, &e.state, RL_EXTENT_SLAB)
    rl_set32(R, &e.clas, c)
    rl_set32(R, &e.prev, 0)
    rl_set32(R, &e.next, 0)
    for i in range(4):
        rl_set64(R, &e.cells[i], 0)
    rl_set32(R, &R.h.partial[c], x)
    return DONE


cdef bint slab_full(rl_extent* e) noexcept nogil:
    cdef uint32_t n = 0
    cdef uint32_t i
    for i in range(4):
        n += __builtin_popcountll(e.cells[i])
    return n == slab_cells(e.clas)


cdef bint slab_empty(rl_extent* e) noexcept nogil:
    return e.cells[0] == 0 and e.cells[1] == 0 and e.cells[2] == 0 and e.cells[3] == 0


cdef void slab_unlink(rl_region* R, uint32_t x) noexcept nogil:
    extent_remove(R, extent_at(R, x), &R.h.partial[extent_at(R, x).clas])


cdef int cell_take(rl_region* R, uint32_t c, uint32_t* extent, uint32_t* cell) noexcept nogil:
    """Lock held. Takes the lowest free cell of the first slab with room."""
    cdef rl_extent* e
    cdef uint32_t i = 0
    cdef int rc
    if R.h.partial[c] == 0:
        rc = slab_new(R, c)
        if rc:
            return rc
    extent[0] = R.h.partial[c]
    e = extent_at(R, extent[0])
    while i < 3 and ~e.cells[i] == 0:
        i += 1
    cell[0] = i * 64 + __builtin_ctzll(~e.cells[i])
    rl_set64(R, &e.cells[i], e.cells[i] | (<uint64_t>1 << (cell[0] & 63)))
    if slab_full(e):
        slab_unlink(R, extent[0])
    return DONE


cdef void cell_give(rl_region* R, uint32_t x, uint32_t cell) noexcept nogil:
    """Lock held. Frees a cell. An empty slab becomes a free run, unless it is the last of its class with room."""
    cdef rl_extent* e = extent_at(R, x)
    cdef bint full = slab_full(e)
    cdef uint32_t head = R.h.partial[e.clas]
    rl_set64(R, &e.cells[cell >> 6], e.cells[cell >> 6] & ~(<uint64_t>1 << (cell & 63)))
    if full:
        rl_set32(R, &e.prev, 0)
        rl_set32(R, &e.next, head)
        if head:
            rl_set32(R, &extent_at(R, head).prev, x)
        rl_set32(R, &R.h.partial[e.clas], x)
    if slab_empty(e) and (e.next or e.prev):
        slab_unlink(R, x)
        run_give(R, &R.h.arena, x)


cdef inline uint64_t block_size(rl_region* R, uint32_t extent) noexcept nogil:
    cdef rl_extent* e = extent_at(R, extent)
    return class_size(e.clas) if e.state == RL_EXTENT_SLAB else e.pages * <uint64_t>RL_PAGE


cdef inline char* block_at(rl_region* R, uint32_t extent, uint32_t cell) noexcept nogil:
    """Address of a block. The caller holds the block, so its extent cannot change."""
    cdef rl_extent* e = extent_at(R, extent)
    cdef uint64_t at = e.start * <uint64_t>RL_PAGE
    return R.arena + (at + cell * class_size(e.clas) if e.state == RL_EXTENT_SLAB else at)


cdef int block_take(rl_region* R, uint64_t size, uint32_t* extent, uint32_t* cell) noexcept nogil:
    """Lock held. Takes a block of at least `size` bytes, 64-byte aligned. DONE, GROW_ARENA, GROW_EXTENTS or FULL_ARENA."""
    cdef int rc
    cell[0] = 0
    if size <= LARGEST_CELL:
        rc = cell_take(R, class_of(size), extent, cell)
    elif size > <uint64_t>R.h.arena.pages * RL_PAGE:
        return FULL_ARENA
    else:
        rc = run_take(R, &R.h.arena, pages_of(size), extent)
    if rc == DONE:
        rl_set64(R, &R.h.used_bytes, R.h.used_bytes + block_size(R, extent[0]))
        rl_block_taken(block_at(R, extent[0], cell[0]), size)
    return rc


cdef void block_give(rl_region* R, uint32_t extent, uint32_t cell) noexcept nogil:
    """Lock held. Frees a block of the arena or a run of the spill file."""
    if extent_at(R, extent).state == RL_EXTENT_SPILLED:
        rl_set64(R, &R.h.spilled_bytes, R.h.spilled_bytes - block_size(R, extent))
        run_give(R, &R.h.spill, extent)
        return
    rl_block_given(block_at(R, extent, cell), block_size(R, extent))
    rl_set64(R, &R.h.used_bytes, R.h.used_bytes - block_size(R, extent))
    if extent_at(R, extent).state == RL_EXTENT_SLAB:
        cell_give(R, extent, cell)
    else:
        run_give(R, &R.h.arena, extent)


cdef int spill_run_take(rl_region* R, uint64_t size, uint32_t* extent) noexcept nogil:
    """Lock held. Takes a run of the spill file for `size` bytes. DONE, GROW_SPILL or GROW_EXTENTS."""
    cdef int rc = run_take(R, &R.h.spill, pages_of(size), extent)
    if rc == DONE:
        rl_set32(R, &extent_at(R, extent[0]).state, RL_EXTENT_SPILLED)
        rl_set64(R, &R.h.spilled_bytes, R.h.spilled_bytes + block_size(R, extent[0]))
    return rc
