"""fsck of the arena and the spill file: runs tile committed pages, free runs are listed, each block has exactly one owner."""


cdef bint belongs(rl_region* R, rl_space* S, uint32_t state) noexcept nogil:
    """Whether a space may have extents of this state."""
    if state == RL_EXTENT_FREE or state == RL_EXTENT_TRIMMING:
        return True
    return (state == RL_EXTENT_SPILLED) == (S == &R.h.spill) and RL_EXTENT_USED <= state <= RL_EXTENT_HOLE


cdef int fsck_tiling(rl_region* R, rl_space* S, uint32_t* count, rl_finding* f) noexcept nogil:
    """Checks a space from right to left: neighbours name each other, runs tile [0, committed), no two free ones or holes touch.

    `count`: grows by the number of extents.
    """
    cdef uint32_t end = S.committed
    cdef uint32_t right = 0
    cdef uint32_t x = S.last
    cdef uint32_t n = 0
    cdef rl_extent* e
    while x:
        e = extent_at(R, x)
        n += 1
        if x >= R.h.extents.used or n > R.h.extents.live or not belongs(R, S, e.state):
            return wrong(f, b"extent: tiling", x, R.h.extents.live, n)
        if e.right != right or e.pages == 0 or e.start + e.pages != end:
            return wrong(f, b"extent: neighbours", x, end, e.start + e.pages)
        if right and e.state == extent_at(R, right).state and (e.state == RL_EXTENT_FREE or e.state == RL_EXTENT_HOLE):
            return wrong(f, b"extent: two free runs touch", x, 0, right)
        end = e.start
        right = x
        x = e.left
    count[0] += n
    if end or S.committed > S.pages:
        return wrong(f, b"extent: not all committed pages tiled", end, S.pages, S.committed)
    return 0


cdef int fsck_runs(rl_region* R, rl_finding* f) noexcept nogil:
    """Checks that every extent is in one of the two spaces that are tiled."""
    cdef uint32_t n = 0
    if fsck_tiling(R, &R.h.arena, &n, f) or fsck_tiling(R, &R.h.spill, &n, f):
        return 1
    return wrong(f, b"extent: not all tiled", 0, R.h.extents.live, n) if n != R.h.extents.live else 0


cdef int fsck_listed(rl_region* R, rl_space* S, rl_finding* f) noexcept nogil:
    """Checks that a run is free exactly if it is on the list of its class, and that the bitmaps show which lists have runs."""
    cdef uint32_t n = 0
    cdef uint32_t free_runs = 0
    cdef uint32_t pages = 0
    cdef uint32_t c, prev
    cdef uint32_t like = free_state(R, S)
    cdef uint32_t x = tiled_by(R, S).last
    while x:
        if extent_at(R, x).state == like:
            free_runs += 1
            pages += extent_at(R, x).pages
        x = extent_at(R, x).left
    if S == &R.h.holes and pages != S.committed:
        return wrong(f, b"holes: sum", 0, pages, S.committed)
    for c in range(<uint32_t>RL_FIRST * RL_SECOND):
        x = S.heads[c]
        if ((S.second_map[c // RL_SECOND] >> (c % RL_SECOND)) & 1) != (x != 0):
            return wrong(f, b"free runs: second map", c, x != 0, S.second_map[c // RL_SECOND])
        prev = 0
        while x:
            n += 1
            if n > free_runs or extent_at(R, x).state != like or extent_at(R, x).prev != prev:
                return wrong(f, b"free runs: list", c, prev, x)
            if first_level(extent_at(R, x).pages) * RL_SECOND + second_level(
                    extent_at(R, x).pages, first_level(extent_at(R, x).pages)) != c:
                return wrong(f, b"free runs: class", x, c, extent_at(R, x).pages)
            prev = x
            x = extent_at(R, x).next
    for c in range(<uint32_t>RL_FIRST):
        if ((S.first_map >> c) & 1) != (S.second_map[c] != 0):
            return wrong(f, b"free runs: first map", c, S.second_map[c], S.first_map)
    return wrong(f, b"free runs: count", 0, free_runs, n) if n != free_runs else 0


cdef int fsck_free_runs(rl_region* R, rl_finding* f) noexcept nogil:
    return fsck_listed(R, &R.h.arena, f) or fsck_listed(R, &R.h.spill, f) or fsck_listed(R, &R.h.holes, f)


cdef int fsck_slabs(rl_region* R, rl_finding* f) noexcept nogil:
    """Checks that a slab is on its class's list exactly if it has room, and has no bit beyond its cells."""
    cdef uint32_t with_room = 0
    cdef uint32_t n = 0
    cdef uint32_t c, x, prev
    cdef rl_extent* e
    for x in range(1, R.h.extents.used):
        e = extent_at(R, x)
        if e.state == RL_EXTENT_SLAB:
            if e.clas >= RL_CLASSES or e.pages != slab_pages(e.clas):
                return wrong(f, b"slab: class", x, slab_pages(e.clas), e.pages)
            with_room += not slab_full(e)
            for c in range(slab_cells(e.clas), 256):
                if (e.cells[c >> 6] >> (c & 63)) & 1:
                    return wrong(f, b"slab: cell out of range", x, slab_cells(e.clas), c)
    for c in range(<uint32_t>RL_CLASSES):
        x = R.h.partial[c]
        prev = 0
        while x:
            n += 1
            e = extent_at(R, x)
            if n > with_room or e.state != RL_EXTENT_SLAB or e.clas != c or e.prev != prev or slab_full(e):
                return wrong(f, b"slab: list", x, c, n)
            prev = x
            x = e.next
    return wrong(f, b"slab: with room", 0, with_room, n) if n != with_room else 0


cdef int count_block(rl_region* R, uint32_t* owners, uint32_t x, uint32_t cell, rl_finding* f) noexcept nogil:
    cdef rl_extent* e
    if x == 0:
        return 0
    if x >= R.h.extents.used or not has_bytes(extent_at(R, x).state):
        return wrong(f, b"block: extent", x, RL_EXTENT_USED, cell)
    e = extent_at(R, x)
    if e.state == RL_EXTENT_SLAB and (cell >= slab_cells(e.clas) or not (e.cells[cell >> 6] >> (cell & 63)) & 1):
        return wrong(f, b"block: cell is free", x, 1, cell)
    owners[x] += 1
    return 0


cdef int fsck_blocks(rl_region* R, uint32_t* owners, rl_finding* f) noexcept nogil:
    """Checks that each used run and each used cell belongs to exactly one object or task.

    Also that used_bytes and spilled_bytes are the sums of their sizes, and that the header names the only run that is trimmed.
    `owners`: scratch memory, a word for each extent.
    """
    cdef uint64_t used = 0
    cdef uint64_t spilled = 0
    cdef uint32_t i, n, c
    memset(owners, 0, R.h.extents.used * sizeof(uint32_t))
    for i in range(1, R.h.objects.used):
        if object_at(R, i).state != RL_FREE and count_block(R, owners, object_at(R, i).extent, object_at(R, i).cell, f):
            return 1
    for i in range(1, R.h.tasks.used):
        if task_at(R, i).state != RL_FREE and count_block(R, owners, task_at(R, i).extent, task_at(R, i).cell, f):
            return 1
    for i in range(1, R.h.extents.used):
        if (extent_at(R, i).state == RL_EXTENT_TRIMMING) != (i == R.h.trimming):
            return wrong(f, b"trim: the run", i, R.h.trimming, extent_at(R, i).state)
        if extent_at(R, i).state == RL_EXTENT_USED or extent_at(R, i).state == RL_EXTENT_SPILLED:
            n = 1
        elif extent_at(R, i).state == RL_EXTENT_SLAB:
            n = 0
            for c in range(4):
                n += __builtin_popcountll(extent_at(R, i).cells[c])
        else:
            continue
        if extent_at(R, i).state == RL_EXTENT_SPILLED:
            spilled += block_size(R, i)
        else:
            used += n * block_size(R, i)
        if owners[i] != n:
            return wrong(f, b"block: owners", i, n, owners[i])
    if spilled != R.h.spilled_bytes:
        return wrong(f, b"spill: spilled_bytes", 0, spilled, R.h.spilled_bytes)
    return wrong(f, b"arena: used_bytes", 0, used, R.h.used_bytes) if used != R.h.used_bytes else 0
