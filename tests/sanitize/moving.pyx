"""Bytes of objects into a file and back, as store/spill.py asks the core to move them; and pages back to the kernel, as the
node does.

The copy is made outside the lock, while others read or move the same object, or drop it.
"""
cdef extern from "unistd.h" nogil:
    Py_ssize_t pread(int fd, void* to, size_t n, int64_t at)
    Py_ssize_t pwrite(int fd, const void* from_, size_t n, int64_t at)


cdef uint64_t sum_of(const char* data, uint64_t n) noexcept nogil:
    cdef uint64_t total = n
    cdef uint64_t k
    for k in range(0, n, 61):
        total = total * 31 + <uint8_t>data[k]
    return total


cdef bint move_back(rl_process* p, uint32_t i) noexcept nogil:
    """Whether its bytes are here, or elsewhere than they were; False: there is no room."""
    cdef rl_region* R = &p.R
    cdef rl_object* o = object_at(R, i)
    cdef uint32_t own = 0
    cdef uint32_t moves
    cdef uint64_t at, checksum
    cdef bint good
    if rl_lock(R):
        broken(b"poisoned", 0, 0, R.h.poison)
    good = is_spilled(R, o)
    moves, checksum = block_info_of(o).moves, block_info_of(o).checksum
    at = extent_at(R, o.extent).start * <uint64_t>RL_PAGE
    rl_commit(R)
    if not good:
        return True
    if did(p, CREATE, object_create(R, NULL, o.size, RL_NAMELESS, &own)):
        return False
    pread(world.file, object_data(R, own), o.size, <int64_t>at)
    good = sum_of(object_data(R, own), o.size) == checksum  # else it was moved meanwhile, and its place is another's
    if blocks_exchange(R, i, own, moves, 0) == DONE:
        count(p, BACK)
        if not good:
            broken(b"spilled bytes", i, checksum, 0)
    did(p, RELEASE, object_release(R, own))
    return True


cdef void move_out(rl_process* p, uint32_t i) noexcept nogil:
    """The bytes of a held object, which this process reads, go into the file, unless somebody else reads too."""
    cdef rl_region* R = &p.R
    cdef rl_object* o = object_at(R, i)
    cdef uint32_t own = 0
    cdef uint32_t moves
    cdef int rc
    if rl_lock(R):
        broken(b"poisoned", 0, 0, R.h.poison)
    moves = block_info_of(o).moves
    rl_commit(R)
    if did(p, CREATE, object_create(R, NULL, o.size, RL_NAMELESS | IN_SPILL_FILE, &own)):
        return
    pwrite(world.file, object_data(R, i), o.size, <int64_t>(extent_at(R, object_at(R, own).extent).start * <uint64_t>RL_PAGE))
    rc = blocks_exchange(R, i, own, moves, sum_of(object_data(R, i), o.size))
    count(p, MOVED if rc == DONE else KEPT_HERE)
    did(p, RELEASE, object_release(R, own))


cdef void move_some(rl_process* p) noexcept nogil:
    cdef uint32_t i = p.held[roll(p, p.nheld)] if p.nheld else 0
    cdef int rc
    if i == 0 or not is_sealed(&p.R, i) or not spillable(&p.R, object_at(&p.R, i)):
        return
    rc = read_begin(&p.R, i)
    if rc == DONE:
        move_out(p, i)
        read_end(&p.R, i)
    elif rc != SPILLED:
        broken(b"a read before a move", i, SPILLED, <uint64_t>rc)


cdef void trim_some(rl_process* p) noexcept nogil:
    """By the node."""
    cdef int64_t trimmed = trim_one(&p.R, &p.R.h.arena, p.R.arena_fd)
    if trimmed < 0 and trimmed != FULL_TABLE:
        broken(b"trim", 0, 0, <uint64_t>-trimmed)
    if trimmed > 0:
        count(p, TRIM)
