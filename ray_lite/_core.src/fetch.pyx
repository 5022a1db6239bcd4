"""get, wait and put of the hot path: plain values are decoded here, everything else goes to a Python `load`.

A call that finds enough ready registers nothing.  Neighbours: readyset.pyx (waiting), store.py (other values).
"""
cdef uint32_t stamps = 0
MISS = object()   # the fast path has no answer: take the slow one


cdef object decode_object(rl_region* R, uint32_t i):
    """The value of a sealed plain object, or MISS."""
    cdef rl_object* o = object_at(R, i)
    cdef const char* at
    if o.kind != RL_PLAIN:
        return MISS
    at = object_data(R, i)
    return decode_plain(&at, at + o.size)


def get_ready(Region region, x):
    """The value of one id if it is sealed and plain, else MISS."""
    cdef rl_region* R = region.R
    if type(x) is ObjectID and (<ObjectID>x).R == R and usable(R) and ready(R, (<ObjectID>x).index):
        return decode_object(R, (<ObjectID>x).index)
    return MISS


def get_many(Region region, list ids, load) -> list:
    """The values of sealed objects; `load(id)` for those that are not plain."""
    cdef rl_region* R = region.R
    cdef list out = []
    for x in ids:
        value = decode_object(R, (<ObjectID>x).index)
        out.append(load(x) if value is MISS else value)
    return out


def put_plain(Region region, value):
    """A new ObjectID for a small plain value, else MISS."""
    cdef rl_region* R = region.R
    cdef uint8_t id[RL_ID_BYTES]
    cdef char data[RL_OBJECT_INLINE]
    cdef Py_ssize_t n
    cdef uint32_t i = 0
    if not usable(R):
        return MISS
    n = encode_plain(value, data, RL_OBJECT_INLINE)
    if n < 0:
        return MISS
    next_id(PUT_INDEX, id)
    check(object_put_inline(R, id, RL_PLAIN, data, <uint32_t>n, &i))
    return make_id(R, i, object_at(R, i).generation, id)


def resolve_all(Region region, list ids):
    """Every element is an ObjectID whose object this process holds from now on.

    Raises:
        TypeError: another type.  ObjectLostError: an object is gone, or never was.
    """
    check_region(region.R)
    for x in ids:
        if type(x) is not ObjectID:
            raise TypeError(f"expected ObjectIDs, got {type(x).__name__}")
        if (<ObjectID>x).R != region.R:
            resolve(region.R, x)


def lacking(Region region, list ids) -> list:
    """Those of the resolved ids that are not sealed."""
    cdef rl_region* R = region.R
    check_region(R)
    return [x for x in ids if not ready(R, (<ObjectID>x).index)]


def wait_for_ids(Region region, list ids, uint64_t allowed, times, uint32_t looks) -> bool:
    """Waits until no more than `allowed` of the resolved ids are lacking.

    Args:
        times: (deadline, spin, park) in nanoseconds of CLOCK_MONOTONIC; deadline -1: none.
        looks: how many sleeps before the call returns anyway, so that the caller can look around.

    Returns:
        Whether that came true. Signal handlers run in between.
    """
    cdef rl_region* R = region.R
    cdef rl_wait w
    cdef uint32_t* lack
    cdef Py_ssize_t k
    cdef int rc
    check_region(R)
    lack = <uint32_t*>malloc((len(ids) + 1) * sizeof(uint32_t))
    if lack == NULL:
        raise MemoryError(f"no memory to wait for {len(ids):,} objects")
    for k in range(len(ids)):
        lack[k] = (<ObjectID>ids[k]).index
    w.lack, w.n, w.allowed, w.marked = lack, len(ids), allowed, False
    w.deadline, w.spin, w.park = times
    R.users += 1
    try:
        with nogil:
            rc = wait_for(R, &w, looks)
            wait_end(R, &w)
    finally:
        free(lack)
        region_leave(R)
    PyErr_CheckSignals()
    return rc == DONE


cdef int unique(rl_region* R, list ids) except -1:
    """Raises unless all are ObjectIDs, held, and different: a stamp a handle, and a set only where handles share objects."""
    cdef bint shared = False
    cdef ObjectID x
    cdef PyObject* p
    cdef Py_ssize_t k
    global stamps
    stamps += 1
    for k in range(PyList_GET_SIZE(ids)):
        p = PyList_GET_ITEM(ids, k)
        if type(<object>p) is not ObjectID:
            raise TypeError(f"wait takes a list of ObjectIDs, element {k} is of type {type(<object>p).__name__}")
        x = <ObjectID>p
        if x.R != R:
            resolve(R, x)
        if x.stamp == stamps:
            raise ValueError(f"wait takes unique ids; {x!r} is there twice")
        x.stamp = stamps
        shared |= R.handles[x.index] > 1
    if shared and len({(<ObjectID>y).index for y in ids}) != PyList_GET_SIZE(ids):
        raise ValueError("wait takes unique ids; two of them name the same object")
    return 0


def split_ready(Region region, list ids, Py_ssize_t wanted, bint all_there_is):
    """The two lists of `wait`, in input order, if `wanted` are ready (or `all_there_is`: as many as are), else None.

    Raises:
        TypeError, ValueError: not ObjectIDs, or one of them twice.
    """
    cdef rl_region* R = region.R
    cdef Py_ssize_t n = PyList_GET_SIZE(ids)
    cdef Py_ssize_t k = 0
    cdef Py_ssize_t found = 0
    cdef list is_ready = []
    cdef list rest
    check_region(R)
    unique(R, ids)
    for k in range(n):
        x = <object>PyList_GET_ITEM(ids, k)
        if ready(R, (<ObjectID>x).index):
            is_ready.append(x)
            found += 1
            if found == wanted:
                break
    if found < wanted and not all_there_is:
        return None
    if wanted == 1 and found == 1:  # the usual drain: a copy less one element, which stands at k
        rest = ids[:]
        del rest[k]
    else:
        rest = without(ids, is_ready)
    return is_ready, rest


cdef list without(list ids, list taken):
    """`ids` less `taken`, which is a subsequence of it."""
    cdef list rest = []
    cdef Py_ssize_t at = 0
    for x in ids:
        if at < PyList_GET_SIZE(taken) and x is <object>PyList_GET_ITEM(taken, at):
            at += 1
        else:
            rest.append(x)
    return rest
