"""Spilling, the core's part: where spilled bytes are, objects that move bytes, and the exchange of blocks.

Neighbours: records/readers.pyx does the work; store/spill.py reads and writes the file, store/backpressure.py decides when.
"""


def wait_for_room(Region region, bint begun):
    """Says that this process waits for room (`begun`), or that it no longer does.

    It goes before others for `room_precedence`, then others go first for as long.  To be called before each attempt.
    """
    cdef rl_region* R = region.R
    cdef uint32_t* mine
    check_region(R)
    mine = &rl_slot_at(R, R.slot).waiting_for_room
    if not begun:
        rl_store(mine, 0)
        return
    if rl_load(mine) == 0 or coarse_clock() - rl_load(mine) >= 2 * R.h.room_precedence:  # others first
        rl_store(mine, coarse_clock() or 1)
    rl_store(&R.h.waiting_for_room, 1)


def hold_object(Region region, uint32_t index, uint32_t generation):
    """ObjectID of a live object, or None if it is gone."""
    check_region(region.R)
    if generation != object_at(region.R, index).generation:
        return None
    try:
        return hold_id(region.R, index, generation)
    except ObjectLostError:
        return None


def movable_bytes(Region region, ObjectID x):
    """(view of all bytes of a sealed object, count of its moves), or None if they have readers or are spilled."""
    cdef rl_region* R = region.R
    cdef rl_object* o
    check_region(R)
    o = object_at(R, x.index)
    if o.state != RL_SEALED or not spillable(R, o) or block_info_of(o).readers or is_spilled(R, o):
        return None
    moves = block_info_of(o).moves
    if read_begin(R, x.index) == SPILLED:
        return None
    try:
        return make_view(x, object_data(R, x.index), o.size), moves
    finally:
        read_end(R, x.index)


def spilled_place(Region region, ObjectID x):
    """Place of a spilled object's bytes: (offset in the spill file, size, checksum, count of its moves); None: not spilled."""
    cdef rl_region* R = region.R
    cdef rl_object* o
    cdef uint64_t at = 0
    cdef uint64_t checksum
    cdef uint32_t moves
    check_region(R)
    o = object_at(R, x.index)
    if rl_lock(R):
        check(EIO)
    if is_spilled(R, o):
        at = 1 + extent_at(R, o.extent).start * <uint64_t>RL_PAGE
        checksum, moves = block_info_of(o).checksum, block_info_of(o).moves
    rl_commit(R)
    return (at - 1, o.size, checksum, moves) if at else None


def create_nameless(Region region, uint64_t size, bint spilled) -> ObjectID:
    """An unsealed object of this process that only moves bytes: `size` bytes of the spill file (`spilled`) or of the arena.

    Raises:
        ObjectStoreFullError: no entry, no room in the arena, or the file can't grow.
    """
    cdef uint32_t i = 0
    check_region(region.R)
    check(object_create(region.R, NULL, size, RL_NAMELESS | (IN_SPILL_FILE if spilled else 0), &i))
    return make_id(region.R, i, object_at(region.R, i).generation, object_at(region.R, i).id)


def file_offset(Region region, ObjectID x) -> int:
    """Offset in the spill file of the bytes of an object that `create_nameless` made there."""
    check_region(region.R)
    return extent_at(region.R, object_at(region.R, x.index).extent).start * <uint64_t>RL_PAGE


def unsealed_bytes(Region region, ObjectID x) -> memoryview:
    """Writable bytes of an unsealed object of this process; the object must outlive the memoryview."""
    cdef rl_region* R = region.R
    check_region(R)
    return PyMemoryView_FromMemory(object_data(R, x.index), <Py_ssize_t>object_at(R, x.index).size, PyBUF_WRITE)


def exchange_blocks(Region region, ObjectID x, ObjectID own, uint32_t moves, uint64_t checksum) -> bool:
    """Exchanges the blocks of `x` and of the unsealed object `own`, into which the bytes of `x` were copied.

    Args:
        moves: count of moves of the bytes that were copied, as `movable_bytes` or `spilled_place` returned it.
        checksum: of these bytes, kept while they are spilled.

    Returns:
        False: the bytes of `x` have moved meanwhile, or have readers; nothing has changed.
    """
    cdef int rc
    check_region(region.R)
    rc = blocks_exchange(region.R, x.index, own.index, moves, checksum)
    if rc == STALE:
        return False
    check(rc)
    return True
