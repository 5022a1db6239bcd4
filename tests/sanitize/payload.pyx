"""What is in an object: its bytes tell its id, and hand over the ids that it contains.

    first byte of the id, 3 times 0, count u32 | (index, generation) u32 pairs | first byte of the id, ...

Some are moved into a file and back (moving.pyx, here).  Payloads are written and read by plain stores and loads with no lock,
as serialization does: that they are complete when the state says so is what TSAN is to judge.
"""
cdef enum:
    HEAD = 8
    CONTENTS = 12


cdef bint all_equal(const char* data, uint64_t n, uint8_t value) noexcept nogil:
    """By memcmp, which sanitizers know: one check for the whole range."""
    return n == 0 or (<uint8_t>data[0] == value and memcmp(data, data + 1, n - 1) == 0)


cdef void fill(rl_process* p, uint32_t i, const uint32_t* contents, uint32_t n) noexcept nogil:
    """The payload of an object that this process owns."""
    cdef rl_object* o = object_at(&p.R, i)
    cdef char* data = object_data(&p.R, i)
    cdef uint32_t k
    memset(data, o.id[0], o.size)
    if o.size < HEAD:
        return
    memset(data + 1, 0, 3)
    memcpy(data + 4, &n, 4)
    for k in range(n):
        memcpy(data + HEAD + 8 * k, &contents[k], 4)
        memcpy(data + HEAD + 8 * k + 4, &object_at(&p.R, contents[k]).generation, 4)


cdef uint32_t inspect(rl_process* p, uint32_t i) noexcept nogil:
    """Reads a sealed object whole; how many ids it contains."""
    cdef rl_object* o = object_at(&p.R, i)
    cdef const char* data = object_data(&p.R, i)
    cdef uint32_t n = 0
    if o.format & RL_ERROR or o.format == RL_HANDLE_VALUE:
        return 0
    if o.size < HEAD:
        if not all_equal(data, o.size, o.id[0]):
            broken(b"a small payload", i, o.id[0], <uint8_t>data[0])
        return 0
    memcpy(&n, data + 4, 4)
    if <uint8_t>data[0] != o.id[0] or n > CONTENTS or HEAD + 8 * n > o.size:
        broken(b"the head of a payload", i, o.id[0], n)
    if not all_equal(data + HEAD + 8 * n, o.size - HEAD - 8 * n, o.id[0]):
        broken(b"a payload", i, o.id[0], n)
    return n


cdef bint begin_read(rl_process* p, uint32_t i) noexcept nogil:
    """A held, sealed object's bytes are here, and stay until `end_read`; False: there is no room for them."""
    cdef int rc
    while spillable(&p.R, object_at(&p.R, i)):
        rc = read_begin(&p.R, i)
        if rc == DONE:
            break
        if rc != SPILLED:
            broken(b"the begin of a read", i, SPILLED, <uint64_t>rc)
        count(p, MET_SPILLED)
        if not move_back(p, i):
            return False
    return True


cdef void end_read(rl_process* p, uint32_t i) noexcept nogil:
    if spillable(&p.R, object_at(&p.R, i)):
        read_end(&p.R, i)


cdef void read(rl_process* p, uint32_t i) noexcept nogil:
    """`get`: a held, sealed object is read, and sometimes what it contains becomes known here."""
    if begin_read(p, i):
        read_here(p, i)
        end_read(p, i)


cdef void read_here(rl_process* p, uint32_t i) noexcept nogil:
    cdef uint32_t token[2]
    cdef uint32_t n = inspect(p, i)
    cdef uint64_t full = p.counts[<int>FULL]
    cdef uint32_t k
    count(p, READ)
    if n == 0 or roll(p, 2) or p.nheld + n > HELD - HELD_SPARE:
        return
    for k in range(n):
        memcpy(token, object_data(&p.R, i) + HEAD + 8 * k, 8)
        if not hold(p, token[0], token[1]) and p.counts[<int>FULL] == full:
            broken(b"a content that is gone", i, token[0], token[1])


cdef uint64_t any_size(rl_process* p) noexcept nogil:
    """A number of bytes: inline, cells, runs; rarely more than the arena has."""
    cdef uint32_t bits = 1 + roll(p, 17 if roll(p, 50) else 24)
    return 1 + roll(p, <uint32_t>1 << bits)
