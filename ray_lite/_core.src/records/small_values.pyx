"""Small values: up to RL_OBJECT_SMALL bytes are kept in the object's record itself, without a block.

Neighbours: objects.pyx (larger values; object_data finds the bytes of both), python/codec.pyx (which values are so small).
"""


cdef int object_put_small(rl_region* R, const rl_origin* from_, uint32_t format, const char* data, uint32_t n,
                          uint32_t* out) noexcept nogil:
    """Makes a small sealed object in one section. It is invisible before the commit, so nothing is published."""
    cdef int rc = DONE
    while True:
        if rl_lock(R):
            return EIO
        rc = object_take(R, RL_SEALED, from_, out)
        if rc == DONE:
            rl_fresh32(&object_at(R, out[0]).format, format)
            rl_fresh64(&object_at(R, out[0]).size, n)
            memcpy(object_at(R, out[0]).data, data, rl_length_mutant(n, RL_OBJECT_SMALL))
        if not section_repeats(R, &rc, 0):
            return rc
