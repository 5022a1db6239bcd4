"""Ids of 20 bytes: the hash that derives them, and the index that finds an object by its id.

An id can come back as bare bytes only if its bytes went out (`.binary()`, `.hex()`, a foreign pickle).  So an object enters the
index when that first happens, not when it is made, and the hot path pays nothing.  A thorough search that misses scans the
table, for programs that know an id from an earlier run with the same seed.  The hash is for distinctness, not for secrecy: 160
bits folded from 128-bit products, in the manner of the multiply-fold hashes (wyhash, W. Yi).
"""
cdef extern from * nogil:
    """
    static inline uint64_t rl_fold(uint64_t a, uint64_t b) { /* Cython has no 128-bit integers */
        unsigned __int128 p = (unsigned __int128)a * b;
        return (uint64_t)p ^ (uint64_t)(p >> 64);
    }
    """
    uint64_t rl_fold(uint64_t a, uint64_t b)
cdef uint64_t FOLD_A = 0x9e3779b97f4a7c15
cdef uint64_t FOLD_B = 0xd1b54a32d192ed03
cdef uint64_t FOLD_C = 0x8cb92ba72f3d8dd7


cdef void id_derive(const uint8_t* parent, uint64_t x, uint64_t y, uint8_t* out) noexcept nogil:
    """Computes out = H(parent id, x, y)."""
    cdef uint64_t p[3]
    cdef uint64_t a, b, c
    p[2] = 0
    memcpy(p, parent, RL_ID_BYTES)
    a = rl_fold(p[0] ^ FOLD_A, p[1] ^ FOLD_B ^ x)
    b = rl_fold(p[2] ^ FOLD_C ^ y, a ^ x ^ FOLD_A)
    c = rl_fold(b ^ FOLD_B ^ p[0], a ^ y ^ FOLD_C)
    a = rl_fold(a ^ c, FOLD_B ^ b)
    b = rl_fold(b ^ a, FOLD_C ^ p[2] ^ x)
    memcpy(out, &a, 8)
    memcpy(out + 8, &b, 8)
    memcpy(out + 16, &c, 4)


cdef void id_digest(const uint8_t* data, uint64_t n, uint8_t* out) noexcept nogil:
    """Computes out = H(bytes), the id of a name."""
    cdef uint8_t state[RL_ID_BYTES]
    cdef uint64_t w[2]
    cdef uint64_t at = 0
    memset(state, 0, RL_ID_BYTES)
    id_derive(state, n, FOLD_A, state)
    while at < n:
        w[0] = 0
        w[1] = 0
        memcpy(w, data + at, min(<uint64_t>16, n - at))
        id_derive(state, w[0], w[1], state)
        at += 16
    memcpy(out, state, RL_ID_BYTES)


cdef inline uint32_t* bucket_of(rl_region* R, const uint8_t* id) noexcept nogil:
    cdef uint64_t h
    memcpy(&h, id, 8)
    return <uint32_t*>(R.meta + R.h.bucket_offset) + (h & (R.h.buckets - 1))


cdef void index_add(rl_region* R, uint32_t i) noexcept nogil:
    """Lock held. Adds the object to the index, so that its id finds it."""
    cdef rl_object* o = object_at(R, i)
    cdef uint32_t* head = bucket_of(R, o.id)
    if o.flags & RL_INDEXED:
        return
    rl_set32(R, &o.hash_next, head[0])
    rl_set32(R, head, i)
    rl_set16(R, &o.flags, <uint16_t>(o.flags | RL_INDEXED))


cdef void index_remove(rl_region* R, uint32_t i) noexcept nogil:
    """Lock held. Takes the object out of the index, before its entry is freed."""
    cdef rl_object* o = object_at(R, i)
    cdef uint32_t* at = bucket_of(R, o.id)
    while at[0] and at[0] != i:
        at = &object_at(R, at[0]).hash_next
    if at[0] == i:
        rl_set32(R, at, o.hash_next)


cdef uint32_t index_find(rl_region* R, const uint8_t* id, bint thorough) noexcept nogil:
    """Lock held. The live object of an id, or 0. With `thorough`, a miss scans the table."""
    cdef uint32_t i = bucket_of(R, id)[0]
    while i:
        if memcmp(object_at(R, i).id, id, RL_ID_BYTES) == 0:
            return i
        i = object_at(R, i).hash_next
    for i in range(1, R.h.objects.used if thorough else 1):
        if object_at(R, i).state != RL_FREE and memcmp(object_at(R, i).id, id, RL_ID_BYTES) == 0:
            return i
    return 0
