"""Readers of an object's bytes, and moves of bytes that no process reads.

A process that reads bytes which may be spilled has a reader bit, in the second half of its row.  Private counts (`R.reads`) say
how often it reads them; its first read sets the bit, the end of its last clears it.  Bytes move only while no process reads
them.  To move them, a process makes an object of its own with a block at the destination, copies the bytes into it, and
exchanges the two blocks in one section.  Then its object ends, with the old block.  A death in between is that of an unsealed
object.  Neighbour: references.pyx (holder bits).  Must not touch files.
"""


cdef inline bint spillable(rl_region* R, rl_object* o) noexcept nogil:
    """Whether the bytes of a sealed object may be moved. The answer never changes."""
    return R.h.spill_least != 0 and o.size >= R.h.spill_least and rl_load16(&o.flags) & RL_JOB_PINNED == 0


cdef inline rl_block_info* block_info_of(rl_object* o) noexcept nogil:
    return <rl_block_info*>o.data


cdef inline uint64_t* reader_word(rl_region* R, uint32_t slot, uint32_t i) noexcept nogil:
    return <uint64_t*>(R.meta + R.h.rows + R.h.row_bytes * slot + R.h.reader_bits) + (i >> 6)


cdef inline bint reader_has(rl_region* R, uint32_t slot, uint32_t i) noexcept nogil:
    if R.h.spill_least == 0 or i >= rl_load(&rl_slot_at(R, slot).row_limit):
        return False
    return (reader_word(R, slot, i)[0] >> (i & 63)) & 1


cdef inline uint32_t coarse_clock() noexcept nogil:
    return <uint32_t>(rl_now() >> 20)


cdef inline bint is_spilled(rl_region* R, rl_object* o) noexcept nogil:
    """Lock held. Whether the object's bytes are in the spill file."""
    return o.extent != 0 and extent_at(R, o.extent).state == RL_EXTENT_SPILLED


cdef void block_info_reset(rl_region* R, uint32_t i) noexcept nogil:
    """Initializes the block info of an object under construction that has just got a block. No process reads it yet."""
    cdef rl_block_info* u = block_info_of(object_at(R, i))
    if R.h.spill_least:
        rl_fresh32(&u.readers, 0)
        rl_fresh32(&u.last_read, coarse_clock())
        rl_fresh64(&u.checksum, 0)
        rl_fresh32(&u.moves, 0)


cdef void reader_clear(rl_region* R, uint32_t slot, uint32_t i) noexcept nogil:
    """Lock held. Clears the reader bit of the slot's process."""
    cdef uint64_t* word = reader_word(R, slot, i)
    cdef rl_block_info* u = block_info_of(object_at(R, i))
    if reader_has(R, slot, i):
        rl_set64(R, word, word[0] & ~(<uint64_t>1 << (i & 63)))
        rl_set32(R, &u.readers, u.readers - 1)


cdef int read_begin(rl_region* R, uint32_t i) noexcept nogil:
    """Starts a read of a spillable object that this process holds, until `read_end`. DONE, or SPILLED: the bytes are
    spilled."""
    cdef rl_object* o = object_at(R, i)
    cdef uint64_t* word = reader_word(R, R.slot, i)
    if R.reads[i] == 0:
        if rl_lock(R):
            return EIO
        if is_spilled(R, o):
            rl_abort(R)
            return SPILLED
        if not reader_has(R, R.slot, i):  # else it is set already: a read of a fork's parent never ended
            rl_set64(R, word, word[0] | (<uint64_t>1 << (i & 63)))
            rl_set32(R, &block_info_of(o).readers, block_info_of(o).readers + 1)
        rl_set32(R, &block_info_of(o).last_read, coarse_clock())
        rl_commit(R)
        rl_failpoint(R, b"read.count")
    R.reads[i] += 1
    return DONE


cdef void read_again(rl_region* R, uint32_t i) noexcept nogil:
    """Counts one more read of an object that this process reads already."""
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
    """Exchanges the block of sealed object `i` and that of this process's unsealed object `own`, which has a copy of the bytes.
    STALE: meanwhile the bytes have moved, or another process reads them, so the copy is of no use."""
    cdef rl_object* o = object_at(R, i)
    cdef rl_object* mine = object_at(R, own)
    cdef uint32_t extent, cell
    cdef bint looked_at
    rl_failpoint(R, b"fill.exchange")
    if rl_lock(R):
        return EIO
    looked_at = not is_spilled(R, o) and (block_info_of(o).readers > 1 or R.reads[i] > 1)  # by others than the copying process
    if o.state != RL_SEALED or block_info_of(o).moves != turn or looked_at:
        rl_abort(R)
        return STALE
    extent, cell = o.extent, o.cell
    rl_set16(R, &o.cell, <uint16_t>(mine.cell))
    rl_set32(R, &o.extent, mine.extent)
    rl_set16(R, &mine.cell, <uint16_t>cell)
    rl_set32(R, &mine.extent, extent)
    rl_set32(R, &block_info_of(o).moves, turn + 1)
    rl_set32(R, &block_info_of(o).last_read, coarse_clock())
    rl_set64(R, &block_info_of(o).checksum, checksum)
    rl_commit(R)
    rl_failpoint(R, b"exchange.release")
    return DONE
