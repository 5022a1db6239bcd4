"""Which processes read an object's bytes now, and moving bytes that nobody reads.

A process that reads bytes which may be spilled has a reader bit, in the second half of its row; private counts (`R.reads`) say
how often it reads, and the first and the last read set and clear the bit.  Bytes move only while nobody reads them.  Whoever
moves them makes an object of its own with a block at the destination, fills that, and exchanges the two blocks in one section;
then its object goes, with the old block.  A death in between is that of an unsealed object.  Neighbour: references.pyx (holder
bits).  Must not touch files.
"""


cdef inline bint spillable(rl_region* R, rl_object* o) noexcept nogil:
    """Of a sealed object: whether its bytes may be moved. That never changes."""
    return R.h.spill_least != 0 and o.size >= R.h.spill_least and rl_load16(&o.flags) & RL_JOB_PINNED == 0


cdef inline rl_block_info* block_info_of(rl_object* o) noexcept nogil:
    return <rl_block_info*>o.data


cdef inline uint64_t* reader_word(rl_region* R, uint32_t slot, uint32_t i) noexcept nogil:
    return <uint64_t*>(R.meta + R.h.rows + R.h.row_bytes * slot + R.h.reader_bits) + (i >> 6)


cdef inline bint reader_has(rl_region* R, uint32_t slot, uint32_t i) noexcept nogil:
    return R.h.spill_least != 0 and (reader_word(R, slot, i)[0] >> (i & 63)) & 1


cdef inline uint32_t coarse_clock() noexcept nogil:
    return <uint32_t>(rl_now() >> 20)


cdef inline bint is_spilled(rl_region* R, rl_object* o) noexcept nogil:
    """Lock held."""
    return o.extent != 0 and extent_at(R, o.extent).state == RL_EXTENT_SPILLED


cdef void block_info_reset(rl_region* R, uint32_t i) noexcept nogil:
    """Of an object under construction that has just got a block: nobody looks at it yet."""
    cdef rl_block_info* u = block_info_of(object_at(R, i))
    if R.h.spill_least:
        rl_fresh32(&u.readers, 0)
        rl_fresh32(&u.last_read, coarse_clock())
        rl_fresh64(&u.checksum, 0)
        rl_fresh32(&u.moves, 0)


cdef void reader_clear(rl_region* R, uint32_t slot, uint32_t i) noexcept nogil:
    """Lock held. The slot's process looks no more."""
    cdef uint64_t* word = reader_word(R, slot, i)
    cdef rl_block_info* u = block_info_of(object_at(R, i))
    if reader_has(R, slot, i):
        rl_set64(R, word, word[0] & ~(<uint64_t>1 << (i & 63)))
        rl_set32(R, &u.readers, u.readers - 1)


cdef int read_begin(rl_region* R, uint32_t i) noexcept nogil:
    """This process, which holds the spillable object, looks at its bytes until `read_end`. DONE, or SPILLED: they are not here."""
    cdef rl_object* o = object_at(R, i)
    cdef uint64_t* word = reader_word(R, R.slot, i)
    if R.reads[i] == 0:
        if rl_lock(R):
            return EIO
        if is_spilled(R, o):
            rl_abort(R)
            return SPILLED
        if not reader_has(R, R.slot, i):  # else a fork's parent never ended it
            rl_set64(R, word, word[0] | (<uint64_t>1 << (i & 63)))
            rl_set32(R, &block_info_of(o).readers, block_info_of(o).readers + 1)
        rl_set32(R, &block_info_of(o).last_read, coarse_clock())
        rl_commit(R)
        rl_failpoint(R, b"use.look")
    R.reads[i] += 1
    return DONE


cdef void read_again(rl_region* R, uint32_t i) noexcept nogil:
    """One look more of this process, which looks already."""
    R.reads[i] += 1


cdef int read_end(rl_region* R, uint32_t i) noexcept nogil:
    R.reads[i] -= 1
    if R.reads[i] == 0:
        if rl_lock(R):
            return EIO
        reader_clear(R, R.slot, i)
        rl_commit(R)
    return DONE


cdef int blocks_exchange(rl_region* R, uint32_t i, uint32_t own, uint32_t turn, uint64_t checksum) noexcept nogil:
    """The bytes of sealed object `i`, copied into the block of this process's unsealed object `own`, are there from now on.
    STALE: meanwhile they moved, or somebody looks at those that would go: the copy is of no use."""
    cdef rl_object* o = object_at(R, i)
    cdef rl_object* on_own_stack = object_at(R, own)
    cdef uint32_t extent, cell
    cdef bint looked_at
    rl_failpoint(R, b"fill.exchange")
    if rl_lock(R):
        return EIO
    looked_at = not is_spilled(R, o) and (block_info_of(o).readers > 1 or R.reads[i] > 1)  # by more than whoever copied them
    if o.state != RL_SEALED or block_info_of(o).moves != turn or looked_at:
        rl_abort(R)
        return STALE
    extent, cell = o.extent, o.cell
    rl_set16(R, &o.cell, <uint16_t>(on_own_stack.cell))
    rl_set32(R, &o.extent, on_own_stack.extent)
    rl_set16(R, &on_own_stack.cell, <uint16_t>cell)
    rl_set32(R, &on_own_stack.extent, extent)
    rl_set32(R, &block_info_of(o).moves, turn + 1)
    rl_set32(R, &block_info_of(o).last_read, coarse_clock())
    rl_set64(R, &block_info_of(o).checksum, checksum)
    rl_commit(R)
    rl_failpoint(R, b"exchange.release")
    return DONE
