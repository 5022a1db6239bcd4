"""Buffers of sealed objects that may be written: private memory of this process; the object stays as it is.

A large one is a private mapping of the arena's own pages, so that nothing is copied but what is written, page by page; it
holds the object, whose pages the unwritten ones are.  Anything else, and all on huge pages, is copied at once.
Neighbours: handles.pyx (views); store.py decides from which size on a mapping pays.
"""


@cython.no_gc_clear  # the end of the mapping comes before that of its source
cdef class Private:
    """Private bytes, 64-byte aligned."""

    def __init__(self):
        raise TypeError("private buffers are made by the store")

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.data, self.size, 0, flags)

    def __len__(self):
        return self.size

    def __dealloc__(self):
        if self.mapped:
            munmap(self.base, self.mapped)
        else:
            free(self.base)


def writable(View source, uint64_t least) -> Private:
    """The bytes of a view, to be written.

    Args:
        least: from so many bytes on they are mapped instead of copied.

    Raises:
        MemoryError: no memory, or no address space, for them.
    """
    cdef Private p = Private.__new__(Private)
    cdef rl_region* R = source.owner.R
    cdef uint64_t at = <uint64_t>(source.data - R.arena)
    cdef uint64_t skip = at % RL_PAGE
    p.size = source.size
    if source.data < R.arena or at >= R.h.arena_bytes or p.size < least or R.h.page_bytes != RL_PAGE:
        if posix_memalign(&p.base, ALIGNMENT, p.size or 1):
            p.base = NULL
            raise MemoryError(f"no memory for a writable copy of {p.size:,} bytes")
        p.data = <char*>p.base
        copy_in(p.data, source, p.size)
        return p
    check_region(R)  # its file is closed with it
    p.base = mmap(NULL, skip + p.size, PROT_READ | PROT_WRITE, MAP_PRIVATE, R.arena_fd, <int64_t>(at - skip))
    if p.base == MAP_FAILED:
        p.base = NULL
        raise MemoryError(f"no address space for a writable view of {p.size:,} bytes")
    p.mapped = skip + p.size
    madvise(p.base, p.mapped, MADV_DONTDUMP)
    p.data = <char*>p.base + skip
    p.source = source
    return p
