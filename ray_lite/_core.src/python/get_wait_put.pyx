"""get, wait and put of the hot path: decodes plain values; a Python function `load` gets all others.

A call that finds enough objects sealed registers nothing.  Neighbours: records/waiting.pyx; store/object_store.py (all other
values).
"""
cdef uint32_t stamps = 0
MISS = object()   # the fast path has no answer: the caller takes the slow path


cdef inline object decode_bytes(rl_region* R, uint32_t i):
    """The plain value in a sealed object, whether that holds it as its value or as an error."""
    cdef const char* at = object_data(R, i)
    R.users += 1  # the garbage collector may run here, and let another thread close the region
    try:
        return decode_plain(&at, at + object_at(R, i).size)
    finally:
        region_leave(R)


cdef object decode_object(rl_region* R, uint32_t i):
    """Value of a sealed object that is plain, or MISS."""
    return decode_bytes(R, i) if object_at(R, i).format == RL_PLAIN else MISS


def get_ready(Region region, x):
    """Value of one id if its object is sealed and plain, else MISS."""
    cdef rl_region* R = region.R
    if type(x) is ObjectID and (<ObjectID>x).R == R and is_usable(R) and is_sealed(R, (<ObjectID>x).index):
        return decode_object(R, (<ObjectID>x).index)
    return MISS


def get_many(Region region, list ids, load) -> list:
    """Values of sealed objects; `load(id)` gets those that are not plain."""
    cdef rl_region* R = region.R
    cdef list out = []
    check_region(R)
    R.users += 1
    try:
        for x in ids:
            value = decode_object(R, (<ObjectID>x).index)
            out.append(load(x) if value is MISS else value)
    finally:
        region_leave(R)
    return out


def put_plain(Region region, value):
    """A new ObjectID for a small plain value, else MISS."""
    cdef rl_region* R = region.R
    cdef uint8_t id[RL_ID_BYTES]
    cdef char data[RL_OBJECT_SMALL]
    cdef rl_origin origin
    cdef Py_ssize_t n
    cdef uint32_t i = 0
    cdef int64_t begin
    if not is_usable(R):
        return MISS
    begin = rl_now() if rl_traces_detail(R) else 0
    n = encode_plain(value, data, RL_OBJECT_SMALL)
    if n < 0:
        return MISS
    origin.id, origin.site = id, site_here()
    check_region(R)  # site_here may have run Python code
    next_id(PUT_INDEX, id)
    check(object_put_small(R, &origin, RL_PLAIN, data, <uint32_t>n, &i))
    if begin:
        rl_trace_span(R, RL_TRACE_PUT, id, begin)
    return make_id(R, i, object_at(R, i).generation, id)


def resolve_all(Region region, list ids):
    """Checks that every element is an ObjectID, and makes this process hold its object.

    Raises:
        TypeError: another type.  ObjectLostError: an object is gone, or never was.
    """
    check_region(region.R)
    for x in ids:
        if type(x) is not ObjectID:
            raise TypeError(f"expected ObjectIDs, got {type(x).__name__}")
        if (<ObjectID>x).R != region.R:
            resolve(region.R, x)


def announce(Region region, list ids):
    """Announces that this process waits for the resolved ids: other processes may run their tasks inline."""
    check_region(region.R)
    for x in ids:
        rl_announce(&object_at(region.R, (<ObjectID>x).index).waiter, region.R.slot,
                    &object_at(region.R, (<ObjectID>x).index).state)


def lacking(Region region, list ids) -> list:
    """Resolved ids whose objects are not sealed."""
    cdef rl_region* R = region.R
    check_region(R)
    return [x for x in ids if not is_sealed(R, (<ObjectID>x).index)]


cdef uint64_t fill_lack(rl_region* R, list ids, uint32_t* lack):
    """Writes the objects of the ids to `lack`, each once; how many they are.

    The sleeper counts arrivals, and an object arrives once.
    """
    cdef uint64_t n = 0
    cdef ObjectID x
    cdef set seen = set() if R.shared else None
    global stamps
    stamps += 1
    for x in ids:
        if x.stamp == stamps or (seen is not None and x.index in seen):
            continue
        x.stamp = stamps
        lack[n] = x.index
        n += 1
        if seen is not None:
            seen.add(x.index)
    return n


def wait_for_ids(Region region, list ids, uint64_t allowed, times, uint32_t looks) -> bool:
    """Waits until at most `allowed` of the resolved ids have no sealed object.

    Args:
        times: (deadline, spin, park) in nanoseconds of CLOCK_MONOTONIC; deadline -1: none.
        looks: number of steps, each with at most one sleep, after which the call returns, so that the caller can look around.

    Returns:
        Whether that is so. Signal handlers run before the call returns.
    """
    cdef rl_region* R = region.R
    cdef rl_wait w
    cdef uint32_t* lack
    cdef int rc
    check_region(R)
    lack = <uint32_t*>malloc((len(ids) + 1) * sizeof(uint32_t))
    if lack == NULL:
        raise MemoryError(f"no memory to wait for {len(ids):,} objects")
    w.lack, w.n, w.allowed, w.marked = lack, fill_lack(R, ids, lack), allowed, False
    w.deadline, w.spin, w.park = times
    R.users += 1
    try:
        with nogil:
            rc = wait_for(R, &w, looks)
    finally:
        free(lack)
        region_leave(R)
    PyErr_CheckSignals()
    return rc == DONE


cdef int check_unique(list ids) except -1:
    """Raises if two ids name the same object. Needed where handles share objects: then two handles may have the same id."""
    if len({(<ObjectID>x).index for x in ids}) != PyList_GET_SIZE(ids):
        raise ValueError("wait takes unique ids; two of them name the same object")
    return 0


cdef object fill_split(rl_region* R, list ids, list rest, Py_ssize_t wanted):
    """Checks each id in one pass; puts it among the ready ones (up to `wanted`) or into `rest`: (ready ones, length of rest).

    `rest` is `len(ids)` long and empty (NULLs) beforehand; the caller cuts it to its length.  A stamp in each handle proves
    that none is in the list twice: writing it costs nothing, since taking a reference dirties the same cache line.
    """
    cdef list found = []
    cdef Py_ssize_t kept = 0
    cdef Py_ssize_t k
    cdef PyObject* p   # borrowed, not a reference: this loop is the cost of draining a list by wait(1)
    cdef uint32_t stamp
    global stamps
    stamps += 1
    stamp = stamps
    for k in range(PyList_GET_SIZE(ids)):
        p = PyList_GET_ITEM(ids, k)
        if type(<object>p) is not ObjectID:
            raise TypeError(f"wait takes a list of ObjectIDs, element {k} is of type {type(<object>p).__name__}")
        if (<ObjectID>p).R != R:
            resolve(R, <ObjectID>p)
        if (<ObjectID>p).stamp == stamp:
            raise ValueError(f"wait takes unique ids; {<object>p!r} is there twice")
        (<ObjectID>p).stamp = stamp
        if wanted and is_sealed(R, (<ObjectID>p).index):
            found.append(<object>p)
            wanted -= 1
        else:
            Py_INCREF(<object>p)
            PyList_SET_ITEM(rest, kept, <object>p)
            kept += 1
    if R.shared:
        check_unique(ids)
    return found, kept


def split_ready(Region region, list ids, Py_ssize_t wanted, bint all_there_is):
    """The two lists of `wait`, in input order, if `wanted` objects are ready (or with `all_there_is`), else None.

    Raises:
        TypeError, ValueError: not ObjectIDs, or one of them twice.
    """
    cdef list rest
    check_region(region.R)
    rest = PyList_New(PyList_GET_SIZE(ids))
    found, kept = fill_split(region.R, ids, rest, wanted)
    if PyList_GET_SIZE(found) < wanted and not all_there_is:
        return None
    del rest[kept:]
    return found, rest
