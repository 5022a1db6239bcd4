"""Values that are not plain: a pickle stream, alone (RL_PICKLE) or followed by its buffers (RL_BUFFERS).

    RL_BUFFERS | count u64 | stream length u64 | (offset, length) u64 pairs | stream | 64-byte aligned buffers |

A pickle stream ends by itself; behind that of a task's result stands the name of its function, for the error of a `get` that
can't load it.  A buffer is copied once, straight into its place, and read as a view.  Reading checks all lengths: a crashed
worker may have written anything.  Neighbours: values/serialization.py makes and reads the parts.
"""
cdef enum:
    ALIGNMENT = 64
    LARGE_COPY = 65536    # from so many bytes on the GIL is dropped


cdef uint64_t payload_size(Py_ssize_t stream, list lengths):
    cdef uint64_t at
    if not lengths:
        return stream
    at = 16 + 16 * len(lengths) + stream
    for n in lengths:
        at = up(at, ALIGNMENT) + <uint64_t>n
    return at


cdef int copy_in(char* to, object source, uint64_t length) except -1:
    """Copies a contiguous buffer, or lets a gatherer (an object with `copy_to`) write itself."""
    cdef Py_buffer view
    if hasattr(source, "copy_to"):
        source.copy_to(PyMemoryView_FromMemory(to, <Py_ssize_t>length, PyBUF_WRITE))
        return 0
    PyObject_GetBuffer(source, &view, PyBUF_SIMPLE)
    if <uint64_t>view.len != length:
        PyBuffer_Release(&view)
        raise ValueError("a buffer changed its length while it was stored")
    if view.len >= LARGE_COPY:
        with nogil:
            rl_copy(to, <const char*>view.buf, view.len)
    else:
        memcpy(to, view.buf, view.len)
    PyBuffer_Release(&view)
    return 0


cdef int payload_fill(char* to, object stream, list buffers, list lengths) except -1:
    cdef uint64_t* head = <uint64_t*>to
    cdef uint64_t at = 16 + 16 * len(lengths)
    cdef Py_ssize_t k
    if not lengths:
        return copy_in(to, stream, len(stream))
    head[0] = len(lengths)
    head[1] = len(stream)
    copy_in(to + at, stream, len(stream))
    at += len(stream)
    for k in range(len(lengths)):
        at = up(at, ALIGNMENT)
        head[2 + 2 * k] = at
        head[3 + 2 * k] = lengths[k]
        copy_in(to + at, buffers[k], lengths[k])
        at += <uint64_t>lengths[k]
    return 0


cdef int contain(rl_region* R, uint32_t i, list contained) except -1:
    cdef uint32_t* targets
    cdef Py_ssize_t k
    cdef int rc
    if not contained:
        return 0
    for x in contained:
        resolve(R, x)
    targets = <uint32_t*>malloc(len(contained) * sizeof(uint32_t))
    if targets == NULL:
        raise MemoryError(f"no memory for {len(contained):,} ids")
    for k in range(len(contained)):
        targets[k] = (<ObjectID>contained[k]).index
    rc = object_contain(R, i, targets, len(contained))
    free(targets)
    return check(rc)


def set_copy_policy(uint32_t threads, uint64_t large, uint64_t uncached, uint64_t mapped) -> tuple:
    """Sets how this process copies buffers; returns the former (threads, large, uncached, mapped).

    Buffers of `large` bytes and more are copied by up to `threads` threads, those of `uncached` bytes and more past the caches.
    Writable ones of `mapped` bytes and more are private mappings of the store's pages.
    """
    before = rl_copying.threads, rl_copying.large, rl_copying.uncached, rl_copying.mapped
    rl_copying.threads, rl_copying.large, rl_copying.uncached = max(1, threads), max(1, large), uncached
    rl_copying.mapped = mapped
    return before


def copy_buffer(uint8_t[::1] target, source):
    """Copies a contiguous buffer to a writable one of as many bytes.

    Raises:
        ValueError: the lengths differ.
    """
    if target.shape[0]:
        copy_in(<char*>&target[0], source, <uint64_t>target.shape[0])


def create_object(Region region, bytes binary, uint64_t size, bint for_job) -> ObjectID:
    """An unsealed object of this process with room for `size` bytes; `for_job`: kept until the session ends.

    Raises:
        ObjectStoreFullError: there is no room.
    """
    cdef rl_origin origin
    cdef uint32_t i = 0
    check_region(region.R)
    origin.id = <const uint8_t*>PyBytes_AS_STRING(binary)
    origin.site = 0 if for_job else site_here()
    check_region(region.R)  # site_here may have run Python code
    check(object_create(region.R, &origin, size, RL_JOB_PINNED if for_job else 0, &i))
    return make_id(region.R, i, object_at(region.R, i).generation, object_at(region.R, i).id)


def find_object(Region region, bytes binary):
    """ObjectID of a live object whose id was exposed by `binary()`, or None: searches only the index."""
    cdef ObjectID x = ObjectID.__new__(ObjectID)
    check_region(region.R)
    memcpy(x.raw, PyBytes_AS_STRING(binary), RL_ID_BYTES)
    return x if adopt_bare(region.R, x, False) else None


def fill_object(Region region, uint32_t i, int flag, pickled):
    """Takes room for a value and puts it into an object that this process owns; the object stays unsealed.

    Args:
        i: index of the object.
        flag: 0, or RL_ERROR for an exception, which may use the arena's reserve.
        pickled: (stream, buffers, lengths, contained ids).

    Raises:
        ObjectStoreFullError: there is no room.
    """
    stream, buffers, lengths, contained = pickled
    cdef uint64_t size = payload_size(len(stream), lengths)
    check_region(region.R)
    check(object_room(region.R, i, size, flag != 0))
    region.R.users += 1
    try:
        payload_fill(object_data(region.R, i), stream, buffers, lengths)
        contain(region.R, i, contained)
        rl_fresh32(&object_at(region.R, i).format, (RL_BUFFERS if lengths else RL_PICKLE) | flag)
    finally:
        region_leave(region.R)  # another thread may have ended the session meanwhile: then the memory is gone now


def fill_bare_error(Region region, uint32_t i, facts):
    """Stores an error in the object's entry itself, for which the store needs no room; `facts`: what a reader learns of it.

    Raises:
        ValueError: `facts` is no plain value of at most RL_OBJECT_SMALL bytes.
    """
    cdef rl_object* o = object_at(region.R, i)
    cdef Py_ssize_t n
    check(object_room(region.R, i, 0, True))
    n = encode_plain(facts, <char*>o.data, RL_OBJECT_SMALL)
    if n < 0:
        raise ValueError(f"a bare error has room for {RL_OBJECT_SMALL} bytes of plain values, not for {facts!r}")
    rl_fresh64(&o.size, <uint64_t>n)
    rl_fresh32(&o.format, RL_PLAIN | RL_ERROR)


def seal_object(Region region, ObjectID x):
    """Seals an object that was made by `create_object` and filled."""
    check_region(region.R)
    check(object_seal(region.R, x.index, object_at(region.R, x.index).format))


def abandon_object(Region region, ObjectID x):
    """Abandons an object that was made by `create_object` and will not be filled; it ends with its handle."""
    check_region(region.R)
    check(object_abandon(region.R, x.index))


def object_index(ObjectID x) -> int:
    """Index of the object of a resolved id in the table."""
    return x.index


cdef object part_at(ObjectID x, char* data, uint64_t at, uint64_t n, object private):
    return make_view(x, data + at, n) if private is None else private[at:at + n]


cdef tuple parts_of(rl_region* R, ObjectID x, char* data, object private):
    """The parts of an object, as `payload` returns them; its bytes at `data` must not move during this call."""
    cdef rl_object* o = object_at(R, x.index)
    cdef uint64_t* head
    cdef uint64_t k, count, length, at, n  # read once: whoever wrote a damaged object may still write
    if o.format & 0xff == RL_PLAIN:
        return (o.format & RL_ERROR) != 0, None, decode_bytes(R, x.index)
    if o.format & 0xff == RL_PICKLE:
        return (o.format & RL_ERROR) != 0, part_at(x, data, 0, o.size, private), ()
    head = <uint64_t*>data
    count = rl_load64(&head[0]) if o.size >= 16 else ~<uint64_t>0
    if count > o.size // 16 - 1:
        raise RaySystemError(f"{x!r} is damaged: its parts are longer than it is")
    length = rl_load64(&head[1])
    if length > o.size - 16 - 16 * count:
        raise RaySystemError(f"{x!r} is damaged: its parts are longer than it is")
    views = []
    for k in range(count):
        at, n = rl_load64(&head[2 + 2 * k]), rl_load64(&head[3 + 2 * k])
        if at > o.size or n > o.size - at:
            raise RaySystemError(f"{x!r} is damaged: a buffer lies outside of it")
        views.append(part_at(x, data, at, n, private))
    return (o.format & RL_ERROR) != 0, part_at(x, data, 16 + 16 * count, length, private), views


cdef ObjectID alias_target(rl_region* R, ObjectID x):
    """The object that a sealed one, which has no payload itself, refers to."""
    cdef uint32_t i = ref_at(R, object_at(R, x.index).contents).object
    return hold_id(R, i, object_at(R, i).generation)


def payload(Region region, ObjectID x) -> tuple:
    """What a sealed object holds, or the one to which it refers.

    Returns:
        (is an error, stream view, buffer views), or (is an error, None, value) for a plain value or a bare error. A value of
        MISS says that the bytes are spilled, which those of kept objects never are.

    Raises:
        RaySystemError: the object's lengths make no sense.
    """
    cdef rl_region* R = region.R
    cdef rl_object* o
    cdef int rc
    check_region(R)
    if object_at(R, x.index).format & RL_ALIAS:
        x = alias_target(R, x)
    o = object_at(R, x.index)
    if not spillable(R, o):
        return parts_of(R, x, object_data(R, x.index), None)
    rc = read_begin(R, x.index)
    if rc == SPILLED:
        return False, None, MISS
    check(rc)
    try:
        return parts_of(R, x, object_data(R, x.index), None)
    finally:
        read_end(R, x.index)


def private_payload(Region region, ObjectID x, private) -> tuple:
    """What `payload` returns, of a spilled object; `private`: a read-only memoryview of a copy of its bytes in this process."""
    cdef Py_buffer bytes_there
    check_region(region.R)
    PyObject_GetBuffer(private, &bytes_there, PyBUF_SIMPLE)
    try:
        return parts_of(region.R, x, <char*>bytes_there.buf, private)
    finally:
        PyBuffer_Release(&bytes_there)


def writable(source):
    """A buffer with the same bytes that this process may write, and that no other process sees.

    Args:
        source: a View, which is copied or mapped (`set_copy_policy`); another buffer that can't be written, which is copied; or
            one that can, which is returned.

    Raises:
        MemoryError: no memory, or no address space, for them.
    """
    if type(source) is View:
        return private(<View>source)
    return bytearray(source) if memoryview(source).readonly else source


cdef Private private(View source):
    cdef Private p = Private.__new__(Private)
    cdef rl_region* R = source.owner.R
    cdef uint64_t at = <uint64_t>(source.data - R.arena)
    cdef uint64_t skip = at % RL_PAGE
    p.size = source.size
    if source.data < R.arena or at >= R.h.arena_bytes or p.size < rl_copying.mapped or R.h.page_bytes != RL_PAGE:
        if posix_memalign(&p.base, ALIGNMENT, p.size or 1):
            p.base = NULL
            raise MemoryError(f"no memory for a writable copy of {p.size:,} bytes")
        p.data = <char*>p.base
        copy_in(p.data, source, p.size)
        return p
    check_region(R)  # the arena's file is closed with the region
    p.base = mmap(NULL, skip + p.size, PROT_READ | PROT_WRITE, MAP_PRIVATE, R.arena_fd, <int64_t>(at - skip))
    if p.base == MAP_FAILED:
        p.base = NULL
        raise MemoryError(f"no address space for a writable view of {p.size:,} bytes")
    p.mapped = skip + p.size
    madvise(p.base, p.mapped, MADV_DONTDUMP)
    p.data = <char*>p.base + skip
    p.source = source
    return p
