"""fsck of tables and objects: entries, holders, refs, contents, the garbage list, the id index, kept and nameless objects."""
cdef struct rl_finding:
    # the first violated invariant
    const char* what
    uint64_t where
    uint64_t expected
    uint64_t found


cdef inline int wrong(rl_finding* f, const char* what, uint64_t where, uint64_t expected, uint64_t found) noexcept nogil:
    f.what = what
    f.where = where
    f.expected = expected
    f.found = found
    return 1


cdef int fsck_table(rl_region* R, rl_table* t, rl_finding* f) noexcept nogil:
    """Checks that the free list names exactly the free entries below `used`, and that `live` counts the others."""
    cdef uint32_t busy = 0
    cdef uint32_t n = 0
    cdef uint32_t i
    if not (1 <= t.used <= t.limit <= t.capacity):
        return wrong(f, b"table: used <= limit <= capacity", t.offset, t.limit, t.used)
    for i in range(1, t.used):
        busy += (<uint32_t*>table_entry(R, t, i))[0] != RL_FREE
    if busy != t.live:
        return wrong(f, b"table: live entries", t.offset, busy, t.live)
    i = t.free
    while i:
        n += 1
        if i >= t.used or n > t.used or (<uint32_t*>table_entry(R, t, i))[0] != RL_FREE:
            return wrong(f, b"table: free list", t.offset, n, i)
        i = (<uint32_t*>table_entry(R, t, i))[1]
    if n + busy + 1 != t.used:
        return wrong(f, b"table: free entries", t.offset, t.used - 1 - busy, n)
    return 0


cdef uint32_t count_holders(rl_region* R, uint32_t i) noexcept nogil:
    cdef uint32_t n = 0
    cdef uint32_t s
    for s in range(1, R.h.slots.used):
        n += holder_has(R, s, i)
    return n


cdef int fsck_holders(rl_region* R, rl_finding* f) noexcept nogil:
    """Checks rows against counts: only slots in use have bits, no dead object has one, and each reader is a holder."""
    cdef uint32_t i, s, n, uses
    cdef rl_object* o
    for i in range(1, R.h.objects.used):
        o = object_at(R, i)
        n = count_holders(R, i)
        if o.state == RL_FREE or o.state == RL_GARBAGE:
            if n:
                return wrong(f, b"object: bit on a dead object", i, 0, n)
        elif n != o.holders:
            return wrong(f, b"object: holders", i, n, o.holders)
        uses = 0
        for s in range(1, R.h.slots.used):
            uses += reader_has(R, s, i)
            if reader_has(R, s, i) and not holder_has(R, s, i):
                return wrong(f, b"object: used by a process that does not hold it", i, 0, s)
        if R.h.spill_least and o.state == RL_SEALED and o.extent and uses != block_info_of(o).readers:
            return wrong(f, b"object: uses", i, uses, block_info_of(o).readers)
    for s in range(1, R.h.slots.used):
        if rl_slot_at(R, s).row_limit > R.h.objects.limit:
            return wrong(f, b"slot: row without objects", s, R.h.objects.limit, rl_slot_at(R, s).row_limit)
        if rl_slot_at(R, s).state == RL_FREE:
            for i in range(0, min(R.h.objects.used, rl_slot_at(R, s).row_limit), 64):
                if holder_word(R, s, i)[0]:
                    return wrong(f, b"slot: bit of a free slot", s, 0, i)
    return 0


cdef bint has_bytes(uint32_t state) noexcept nogil:
    """Whether an extent of this state belongs to objects or tasks."""
    return state == RL_EXTENT_USED or state == RL_EXTENT_SLAB or state == RL_EXTENT_SPILLED


cdef int fsck_object(rl_region* R, uint32_t i, rl_finding* f) noexcept nogil:
    cdef rl_object* o = object_at(R, i)
    cdef uint64_t room = RL_OBJECT_SMALL
    cdef uint32_t facts
    if o.state == RL_FREE:
        return 0
    if o.state == RL_GARBAGE:
        return wrong(f, b"garbage: still in use", i, 0, o.pins) if o.holders or o.pins or o.extent else 0
    if o.state > RL_GARBAGE:
        return wrong(f, b"object: state", i, RL_SEALED, o.state)
    if not (o.holders or o.pins or o.task):
        return wrong(f, b"object: leaked", i, 1, 0)
    facts = rl_object_rules[o.state].facts
    if facts & RL_HAS_TASK and (o.task == 0 or task_at(R, o.task).state == RL_FREE):
        return wrong(f, b"object: pending without a task", i, 1, o.task)
    if facts & RL_HAS_CREATOR and (rl_slot_at(R, o.owner).state == RL_FREE or not holder_has(R, o.owner, i)):
        return wrong(f, b"object: creating without a creator", i, 1, o.owner)
    if o.extent:
        if o.extent >= R.h.extents.used or not has_bytes(extent_at(R, o.extent).state):
            return wrong(f, b"object: block", i, RL_EXTENT_USED, o.extent)
        room = block_size(R, o.extent)
    if o.flags & RL_HANDLE and (o.state != RL_SEALED or handle_actor(R, i) >= R.h.actors.used or
                                actor_at(R, handle_actor(R, i)).handle != i):
        return wrong(f, b"object: handle of no actor", i, 0, o.state)
    if facts & RL_HAS_VALUE and o.size > room:
        return wrong(f, b"object: size", i, room, o.size)
    return 0


cdef int fsck_refs(rl_region* R, uint32_t* pins, rl_finding* f) noexcept nogil:
    """Checks that pins are the refs that name an object (and one for a kept object, and those of its actor).

    Also that a linked ref is in its object's edge list exactly once.  `pins`: scratch memory, a word for each object.
    """
    cdef uint32_t linked = 0
    cdef uint32_t n = 0
    cdef uint32_t i, r
    memset(pins, 0, R.h.objects.used * sizeof(uint32_t))
    for r in range(1, R.h.refs.used):
        if ref_at(R, r).state != RL_FREE:
            if ref_at(R, r).object >= R.h.objects.used:
                return wrong(f, b"ref: object", r, 0, ref_at(R, r).object)
            pins[ref_at(R, r).object] += 1
            linked += ref_at(R, r).linked
    for i in range(1, R.h.actors.used):
        if actor_at(R, i).state != RL_FREE:
            pins[actor_at(R, i).handle] += actor_at(R, i).state != RL_ACTOR_DEAD
            pins[actor_at(R, i).cause] += 1
            pins[actor_at(R, i).checkpoint] += 1
            if actor_at(R, i).flags & RL_ORPHAN and actor_at(R, i).facts < R.h.objects.used:
                pins[actor_at(R, i).facts] += 1
    for i in range(1, R.h.objects.used):
        if object_at(R, i).state == RL_FREE:
            continue
        pins[i] += (object_at(R, i).flags & RL_JOB_PINNED) != 0
        if object_at(R, i).pins != pins[i]:
            return wrong(f, b"object: pins", i, pins[i], object_at(R, i).pins)
        r = object_at(R, i).edges
        while r:
            n += 1
            if n > linked or not ref_at(R, r).linked or ref_at(R, r).object != i:
                return wrong(f, b"object: edges", i, linked, r)
            r = ref_at(R, r).edge_next
    return wrong(f, b"ref: linked", 0, linked, n) if n != linked else 0


cdef int fsck_contents(rl_region* R, rl_finding* f) noexcept nogil:
    """Checks that each content ref is on the chain of the object that contains the id."""
    cdef uint32_t chained = 0
    cdef uint32_t n = 0
    cdef uint32_t i, r
    for r in range(1, R.h.refs.used):
        n += ref_at(R, r).state == RL_REF_CONTENT
    for i in range(1, R.h.objects.used):
        r = object_at(R, i).contents if object_at(R, i).state != RL_FREE else 0
        while r:
            chained += 1
            if chained > n or ref_at(R, r).state != RL_REF_CONTENT or ref_at(R, r).owner != i:
                return wrong(f, b"object: contents", i, n, r)
            r = ref_at(R, r).next
    return wrong(f, b"ref: contents", 0, n, chained) if n != chained else 0


cdef int fsck_lists(rl_region* R, rl_finding* f) noexcept nogil:
    """Checks that the garbage list names every garbage object, and that the id index finds every indexed one."""
    cdef uint32_t garbage = 0
    cdef uint32_t indexed = 0
    cdef uint32_t n = 0
    cdef uint32_t i, b
    for i in range(1, R.h.objects.used):
        garbage += object_at(R, i).state == RL_GARBAGE
        if object_at(R, i).state != RL_FREE and object_at(R, i).state != RL_GARBAGE:
            indexed += object_at(R, i).flags & RL_INDEXED
    i = R.h.garbage
    while i:
        n += 1
        if n > garbage or object_at(R, i).state != RL_GARBAGE:
            return wrong(f, b"garbage list", i, garbage, n)
        i = object_at(R, i).next
    if n != garbage:
        return wrong(f, b"garbage list: length", 0, garbage, n)
    n = 0
    for b in range(R.h.buckets):
        i = (<uint32_t*>(R.meta + R.h.bucket_offset))[b]
        while i:
            n += 1
            if n > indexed or not object_at(R, i).flags & RL_INDEXED or bucket_of(R, object_at(R, i).id) != \
                    <uint32_t*>(R.meta + R.h.bucket_offset) + b:
                return wrong(f, b"id index", i, indexed, n)
            i = object_at(R, i).hash_next
    return wrong(f, b"id index: length", 0, indexed, n) if n != indexed else 0


cdef int fsck_counted(rl_region* R, rl_finding* f) noexcept nogil:
    """Checks the number and the bytes of the objects that the session keeps, and the number of nameless ones, never sealed."""
    cdef uint64_t bytes_kept = 0
    cdef uint32_t kept = 0
    cdef uint32_t nameless = 0
    cdef uint32_t i
    for i in range(1, R.h.objects.used):
        if object_at(R, i).state != RL_FREE and object_at(R, i).flags & RL_JOB_PINNED:
            kept += 1
            if object_at(R, i).extent:
                bytes_kept += block_size(R, object_at(R, i).extent)
        if object_at(R, i).state != RL_FREE and object_at(R, i).flags & RL_NAMELESS:
            nameless += 1
            if object_at(R, i).state != RL_CREATING:
                return wrong(f, b"objects: a nameless one that can be found", i, RL_CREATING, object_at(R, i).state)
    if nameless != R.h.nameless:
        return wrong(f, b"objects: nameless", 0, nameless, R.h.nameless)
    if kept != R.h.kept:
        return wrong(f, b"objects: kept", 0, kept, R.h.kept)
    return wrong(f, b"arena: kept_bytes", 0, bytes_kept, R.h.kept_bytes) if bytes_kept != R.h.kept_bytes else 0
