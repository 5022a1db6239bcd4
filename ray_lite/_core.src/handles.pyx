"""ObjectID, and View: the two Python objects that keep a stored object alive.

A process has one bit an object, however many handles it has: the handles are counted privately, under the GIL, and the
first sets the bit, the last clears it.  An ObjectID made from bare bytes holds nothing until it is used.  A handle of an
ended session, or of the parent of a fork, does nothing when it goes.  `__dealloc__` never drops the GIL between the count
and the bit.  Neighbours: objects.pyx; refs.py pickles ids inside values.
"""
cdef rl_region* current = NULL     # the region that bare ids and unpickled ids belong to: a process has at most one


cdef inline bint mine_to_use(rl_region* R) noexcept:
    return R != NULL and not R.closed and R.fork_generation == rl_generation


cdef inline bint usable(rl_region* R) noexcept:
    """The fast paths may work; `check_region` says why not."""
    return mine_to_use(R) and not rl_node_died(R)


cdef inline void handle_add(rl_region* R, uint32_t i) noexcept:
    """One handle more, for an object whose bit is set."""
    R.shared += R.handles[i] != 0
    R.handles[i] += 1


cdef void handle_drop(rl_region* R, uint32_t i) noexcept:
    """One handle fewer; the last one's bit goes."""
    if mine_to_use(R):
        R.handles[i] -= 1
        if R.handles[i] == 0:
            object_release(R, i)
        else:
            R.shared -= 1


cdef class ObjectID:
    """The id of an object: 20 bytes, and a hold on the object while this handle lives.

    Args:
        binary: the 20 bytes of an id, as `binary()` gave them. It holds the object if this process's session knows it;
            else it is looked for again when it is used.

    Raises:
        TypeError: not bytes.  ValueError: not 20 of them.
    """

    def __init__(self, binary):
        if not isinstance(binary, bytes):
            raise TypeError(f"ObjectID takes 20 bytes, not {type(binary).__name__}")
        if len(binary) != RL_ID_BYTES:
            raise ValueError(f"ObjectID takes 20 bytes, got {len(binary)}")
        if self.R == NULL:
            memcpy(self.raw, PyBytes_AS_STRING(binary), RL_ID_BYTES)
            if usable(current):
                adopt_bare(current, self, False)

    def __dealloc__(self):
        if self.R != NULL:
            handle_drop(self.R, self.index)

    @staticmethod
    def from_hex(hex):
        """The id that `hex()` wrote.

        Raises:
            TypeError: not a string.  ValueError: not 40 hexadecimal digits.
        """
        if not isinstance(hex, str):
            raise TypeError(f"from_hex takes a string of 40 hexadecimal digits, not {type(hex).__name__}")
        return ObjectID(bytes.fromhex(hex))

    def binary(self):
        """The 20 bytes. They hold nothing: keep the ObjectID as long as the object is needed."""
        if self.index and not self.exposed and usable(self.R):
            check(object_expose(self.R, self.index))
            self.exposed = True
        return self.raw[:RL_ID_BYTES]

    def id(self):
        """The 20 bytes, as in Ray of 2018."""
        return self.binary()

    def hex(self):
        """The id as 40 hexadecimal digits."""
        return self.binary().hex()

    def __repr__(self):
        return f"ObjectID({self.hex()})"

    def __hash__(self):
        cdef int64_t h
        memcpy(&h, self.raw, 8)
        return h if h != -1 else -2

    def __eq__(self, other):
        if type(other) is not ObjectID:
            return NotImplemented
        return memcmp(self.raw, (<ObjectID>other).raw, RL_ID_BYTES) == 0

    def __reduce__(self):
        return ObjectID, (self.binary(),)


cdef ObjectID make_id(rl_region* R, uint32_t index, uint32_t generation, const uint8_t* id):
    """A handle for an object whose bit this process has set already, or sets by holding another handle."""
    cdef ObjectID x = ObjectID.__new__(ObjectID)
    memcpy(x.raw, id, RL_ID_BYTES)
    x.index = index
    x.generation = generation
    handle_add(R, index)
    x.R = R
    return x


cdef ObjectID hold_id(rl_region* R, uint32_t index, uint32_t generation):
    """A handle for a live object that something else keeps alive during this call."""
    if R.handles[index] == 0:
        check(object_hold(R, index, generation))
    elif object_at(R, index).generation != generation:
        check(STALE)
    return make_id(R, index, generation, object_at(R, index).id)


cdef bint adopt_bare(rl_region* R, ObjectID x, bint thorough):
    """Bare bytes become a handle if the object is found; `thorough`: also among those whose bytes were never shown."""
    cdef uint32_t index = 0
    cdef uint32_t generation = 0
    if object_find(R, x.raw, thorough, &index, &generation):
        return False
    handle_add(R, index)
    x.index = index
    x.generation = generation
    x.exposed = not thorough  # a thorough look finds what is in no index, too
    x.R = R
    return True


cdef int resolve(rl_region* R, ObjectID x) except -1:
    """The handle belongs to this region and holds its object; bare bytes are looked up."""
    check_region(R)
    if x.R == R:
        return 0
    if x.R != NULL:
        raise ObjectLostError(f"ObjectID({(<bytes>x.raw[:RL_ID_BYTES]).hex()}) belongs to an earlier session")
    if not adopt_bare(R, x, True):
        raise ObjectLostError(f"ObjectID({(<bytes>x.raw[:RL_ID_BYTES]).hex()}): the object is gone, or never was")
    return 0


def id_token(ObjectID x):
    """(index, generation, id) of a handle, for our own pickles: the container pins the object, so the pair stays true."""
    resolve(current, x)
    return x.index, x.generation, x.raw[:RL_ID_BYTES]


def id_from_token(index, generation, binary):
    """The handle that `id_token` described, holding its object in this process."""
    check_region(current)
    cdef uint32_t i = index
    if i >= rl_load(&current.h.objects.used) or object_at(current, i).generation != <uint32_t>generation:
        return ObjectID(binary)
    return hold_id(current, i, generation)


def derive_id(bytes parent, uint64_t x, uint64_t y) -> bytes:
    """H(parent, x, y), 20 bytes."""
    cdef uint8_t out[RL_ID_BYTES]
    if len(parent) != RL_ID_BYTES:
        raise ValueError("a parent id has 20 bytes")
    id_derive(<const uint8_t*>PyBytes_AS_STRING(parent), x, y, out)
    return out[:RL_ID_BYTES]


def digest_id(bytes name) -> bytes:
    """H(name), 20 bytes."""
    cdef uint8_t out[RL_ID_BYTES]
    id_digest(<const uint8_t*>PyBytes_AS_STRING(name), len(name), out)
    return out[:RL_ID_BYTES]


@cython.no_gc_clear  # the end of a view needs its owner, also when the collector breaks a cycle
cdef class View:
    """Read-only bytes of a sealed object; keeps the object, and the mapping, as long as anything looks at it."""

    def __init__(self):
        raise TypeError("views are made by the store")

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.data, self.size, 1, flags)

    def __len__(self):
        return self.size

    def __dealloc__(self):
        if self.owner is None:
            return
        forget_view(self)
        if self.used and mine_to_use(self.owner.R):
            use_end(self.owner.R, self.owner.index)
        region_leave(self.owner.R)


cdef PyObject* views = NULL    # the last made of this process


cdef void list_view(View v) noexcept:
    global views
    cdef View last
    v.before = views
    if views:
        last = <View>views
        last.after = <PyObject*>v
    views = <PyObject*>v


cdef void forget_view(View v) noexcept:
    global views
    cdef View other
    if v.before:
        other = <View>v.before
        other.after = v.after
    if v.after:
        other = <View>v.after
        other.before = v.before
    else:
        views = v.before


def keep_views_for_child():
    """Before a fork: objects with a view stay until this process ends, since the child will look and holds no bit."""
    cdef PyObject* v = views
    while v:
        if mine_to_use((<View>v).owner.R):
            handle_add((<View>v).owner.R, (<View>v).owner.index)
            if (<View>v).used:
                use_on((<View>v).owner.R, (<View>v).owner.index)
        v = (<View>v).before


cdef View make_view(ObjectID owner, char* data, uint64_t size):
    """A view of bytes that stay where they are: those of an object that can't be spilled, or that this process uses now."""
    cdef View v = View.__new__(View)
    if data < owner.R.arena or data + size > owner.R.arena + owner.R.h.arena_bytes:
        if data < owner.R.meta or data + size > owner.R.meta + owner.R.h.control_bytes:
            raise RaySystemError("an object lies outside the region")
    v.used = spillable(owner.R, object_at(owner.R, owner.index))
    if v.used:
        check(use_begin(owner.R, owner.index))
    v.owner = owner
    list_view(v)
    v.data = data
    v.size = <Py_ssize_t>size
    owner.R.users += 1
    return v
