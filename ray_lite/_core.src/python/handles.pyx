"""ObjectID: a handle that keeps a stored object alive.

A process has one holder bit per object, however many handles it has.  It counts its handles privately, under the GIL: the first
sets the bit, the last clears it.  An ObjectID made from bare bytes holds nothing until its object is found.  A handle of an
ended session, or of the parent of a fork, does nothing when it is destroyed.  `__dealloc__` never drops the GIL between the
count and the bit.  Neighbours: records/references.pyx; values/serialization.py pickles ids inside values.
"""


cdef inline void handle_add(rl_region* R, uint32_t i) noexcept:
    """Counts a new handle for an object whose holder bit is set."""
    R.shared += R.handles[i] != 0
    R.handles[i] += 1


cdef void handle_drop(rl_region* R, uint32_t i) noexcept:
    """Removes a handle from the count; the last one clears the holder bit."""
    if is_own(R):
        R.handles[i] -= 1
        if R.handles[i] == 0:
            object_release(R, i)
        else:
            R.shared -= 1


cdef class ObjectID:
    """Id of an object: 20 bytes, and a hold on the object while this handle lives.

    Args:
        binary: the 20 bytes of an id, as `binary()` returns them. The handle holds the object if this process's session
            knows the id; else the object is looked up again when the handle is used.

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
            if is_usable(current):
                adopt_bare(current, self, False)

    def __dealloc__(self):
        if self.R != NULL:
            handle_drop(self.R, self.index)

    @staticmethod
    def from_hex(hex):
        """The id for the digits that `hex()` returned.

        Raises:
            TypeError: not a string.  ValueError: not 40 hexadecimal digits.
        """
        if not isinstance(hex, str):
            raise TypeError(f"from_hex takes a string of 40 hexadecimal digits, not {type(hex).__name__}")
        return ObjectID(bytes.fromhex(hex))

    def binary(self):
        """The 20 bytes of the id. They hold nothing: keep the ObjectID as long as the object is needed."""
        if self.index and not self.exposed and is_usable(self.R):
            check(object_expose(self.R, self.index))
            self.exposed = True
        return self.raw[:RL_ID_BYTES]

    def id(self):
        """The 20 bytes of the id; this is the name of `binary()` in Ray of 2018."""
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
    """A new handle for an object whose holder bit this process has set, for this handle or for another one."""
    cdef ObjectID x = ObjectID.__new__(ObjectID)
    memcpy(x.raw, id, RL_ID_BYTES)
    x.index = index
    x.generation = generation
    handle_add(R, index)
    x.R = R
    return x


cdef ObjectID hold_id(rl_region* R, uint32_t index, uint32_t generation):
    """A new handle for a live object that something else keeps alive during this call."""
    if R.handles[index] == 0:
        check(object_hold(R, index, generation))
    elif object_at(R, index).generation != generation:
        check(STALE)
    return make_id(R, index, generation, object_at(R, index).id)


cdef bint adopt_bare(rl_region* R, ObjectID x, bint thorough):
    """Turns bare bytes into a handle; whether the object was found. `thorough`: also finds objects outside the index."""
    cdef uint32_t index = 0
    cdef uint32_t generation = 0
    if object_find(R, x.raw, thorough, &index, &generation):
        return False
    handle_add(R, index)
    x.index = index
    x.generation = generation
    x.exposed = not thorough  # a thorough search also finds objects that are not in the index
    x.R = R
    return True


cdef int resolve(rl_region* R, ObjectID x) except -1:
    """Ensures that a handle belongs to this region and holds its object; looks up bare bytes."""
    check_region(R)
    if x.R == R:
        return 0
    if x.R != NULL:
        raise ObjectLostError(f"ObjectID({(<bytes>x.raw[:RL_ID_BYTES]).hex()}) belongs to an earlier session")
    if not adopt_bare(R, x, True):
        raise ObjectLostError(f"ObjectID({(<bytes>x.raw[:RL_ID_BYTES]).hex()}): the object is gone, or never existed")
    return 0


def id_token(ObjectID x):
    """(index, generation, id) of a handle, for our own pickles: the container pins the object, so that these stay true."""
    resolve(current, x)
    return x.index, x.generation, x.raw[:RL_ID_BYTES]


def id_from_token(index, generation, binary):
    """The handle that `id_token` described, which holds its object in this process; bare bytes if the object is gone."""
    check_region(current)
    cdef uint32_t i = index
    if i >= rl_load(&current.h.objects.used) or object_at(current, i).generation != <uint32_t>generation:
        return ObjectID(binary)
    return hold_id(current, i, generation)


def derive_id(bytes parent, uint64_t x, uint64_t y) -> bytes:
    """The id derived from a parent id and two numbers: H(parent, x, y), 20 bytes."""
    cdef uint8_t out[RL_ID_BYTES]
    if len(parent) != RL_ID_BYTES:
        raise ValueError("a parent id has 20 bytes")
    id_derive(<const uint8_t*>PyBytes_AS_STRING(parent), x, y, out)
    return out[:RL_ID_BYTES]


def digest_id(bytes name) -> bytes:
    """The id of a name: H(name), 20 bytes."""
    cdef uint8_t out[RL_ID_BYTES]
    id_digest(<const uint8_t*>PyBytes_AS_STRING(name), len(name), out)
    return out[:RL_ID_BYTES]
