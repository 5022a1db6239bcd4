"""Whether two copies of a control region say the same, word for word: what a roll-back must restore.

Stricter than `digest`: every word whose writer is `lock` counts.  Left out are atomic words, and what layout.h calls
fresh: words of free entries, and the payload of objects that are not sealed.
"""
ctypedef bint (*entry_same)(const char* a, const char* b) noexcept nogil


cdef inline uint32_t entry_state(const char* p) noexcept nogil:
    return (<const uint32_t*>p)[0]


cdef inline bint piece_same(const char* a, const char* b, uint32_t start, uint32_t end) noexcept nogil:
    return memcmp(a + start, b + start, end - start) == 0


cdef bint slot_same(const char* a, const char* b) noexcept nogil:
    return entry_state(a) == RL_FREE or piece_same(a, b, 0, 64) and piece_same(a, b, 128, sizeof(rl_slot))


cdef bint queue_same(const char* a, const char* b) noexcept nogil:
    return entry_state(a) == RL_FREE or piece_same(a, b, 0, sizeof(rl_queue))


cdef bint resource_same(const char* a, const char* b) noexcept nogil:
    return piece_same(a, b, 0, sizeof(rl_resource))


cdef bint object_same(const char* a, const char* b) noexcept nogil:
    cdef bint sealed = entry_state(a) == RL_SEALED
    if not piece_same(a, b, 28, 32):  # the generation, of free entries too
        return False
    if entry_state(a) == RL_FREE:
        return True
    if not (piece_same(a, b, 8, 32) and piece_same(a, b, 36, 48) and piece_same(a, b, 56, 64)):
        return False
    if not piece_same(a, b, 68, 88):
        return False
    return not sealed or (piece_same(a, b, 32, 36) and piece_same(a, b, 48, 56) and piece_same(a, b, 88, 128))


cdef bint task_same(const char* a, const char* b) noexcept nogil:
    if not piece_same(a, b, 28, 32):
        return False
    if entry_state(a) == RL_FREE:
        return True
    if (<const rl_task*>a).extent and (<const rl_task*>a).cell != (<const rl_task*>b).cell:  # else it says nothing
        return False
    return piece_same(a, b, 8, 46) and piece_same(a, b, 48, sizeof(rl_task))


cdef bint ref_same(const char* a, const char* b) noexcept nogil:
    return entry_state(a) == RL_FREE or piece_same(a, b, 8, sizeof(rl_ref))


cdef bint extent_same(const char* a, const char* b) noexcept nogil:
    return entry_state(a) == RL_FREE or piece_same(a, b, 8, sizeof(rl_extent))


cdef bint actor_same(const char* a, const char* b) noexcept nogil:
    return piece_same(a, b, 8, 12) and (entry_state(a) == RL_FREE or piece_same(a, b, 8, sizeof(rl_actor)))


cdef bint lane_same(const char* a, const char* b) noexcept nogil:
    return entry_state(a) == RL_FREE or piece_same(a, b, 8, sizeof(rl_lane))


cdef uint64_t table_different(rl_region* a, rl_region* b, rl_table* t, entry_same same) noexcept nogil:
    """Offset of the first entry of `a` that `b` has otherwise, or 0."""
    cdef uint32_t i
    cdef uint64_t at
    for i in range(1, t.used):
        at = t.offset + <uint64_t>t.stride * i
        if not piece_same(a.meta + at, b.meta + at, 0, 8) or not same(a.meta + at, b.meta + at):
            return at
    return 0


cdef uint64_t different(rl_region* a, rl_region* b) noexcept nogil:
    """Where `b` differs from `a` in a word that only the lock's holder may write, as an offset, or 0."""
    cdef char* first = <char*>&a.h.objects
    cdef uint64_t begin = first - a.meta
    cdef uint64_t end = <char*>&a.h.lock - a.meta
    cdef uint64_t at
    if memcmp(a.meta + begin, b.meta + begin, end - begin):
        return begin
    if memcmp(a.meta + a.h.bucket_offset, b.meta + a.h.bucket_offset, a.h.buckets * 4):
        return a.h.bucket_offset
    for at in range(a.h.slots.used):
        if memcmp(a.meta + a.h.rows + at * a.h.row_bytes, b.meta + a.h.rows + at * a.h.row_bytes, ROW_BYTES):
            return a.h.rows + at * a.h.row_bytes
        if memcmp(a.meta + a.h.rows + at * a.h.row_bytes + a.h.reader_bits,
                  b.meta + a.h.rows + at * a.h.row_bytes + a.h.reader_bits, ROW_BYTES):
            return a.h.rows + at * a.h.row_bytes + a.h.reader_bits
    at = table_different(a, b, &a.h.slots, slot_same)
    at = at or table_different(a, b, &a.h.queues, queue_same) or table_different(a, b, &a.h.resources, resource_same)
    at = at or table_different(a, b, &a.h.objects, object_same)
    at = at or table_different(a, b, &a.h.tasks, task_same)
    at = at or table_different(a, b, &a.h.refs, ref_same)
    at = at or table_different(a, b, &a.h.actors, actor_same) or table_different(a, b, &a.h.lanes, lane_same)
    return at or table_different(a, b, &a.h.extents, extent_same)
