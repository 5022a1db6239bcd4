"""The object table: making an object, taking a block for it, sealing it, and finding it again.

region/states.h has the states and their transitions.  Neighbours: references.pyx (what keeps an object alive), memory/arena.pyx
(blocks), room.pyx (which process may take one).
"""
cdef enum:
    IN_SPILL_FILE = 0x100   # a flag of object_create, beside rl_object_flags; only with RL_NAMELESS


cdef struct rl_origin:
    # id of a new object, and the object with its call site, or 0
    const uint8_t* id
    uint32_t site


cdef int object_take(rl_region* R, uint32_t state, const rl_origin* from_, uint32_t* out) noexcept nogil:
    """Lock held. Takes an entry for a new object, which this process holds."""
    cdef uint32_t i = table_take(R, &R.h.objects)
    cdef rl_object* o
    if i == 0:
        return GROW_OBJECTS
    o = object_at(R, i)
    rl_object_become(R, o, state)
    rl_set32(R, &o.next, 0)
    memcpy(o.id, from_.id, RL_ID_BYTES)
    memset(&o.format, 0, <size_t>(<char*>&o.waiter - <char*>&o.format))
    memset(&o.task, 0, <size_t>(<char*>&o.site - <char*>&o.task))
    if state != RL_PENDING:  # no task returns it
        rl_fresh16(&o.flags, RL_PUT)
    rl_fresh32(&o.site, from_.site)
    rl_fresh32(&o.owner, R.slot)
    rl_store(&o.waiter, RL_NOBODY)
    out[0] = i
    return holder_set(R, i)


cdef int object_take_nameless(rl_region* R, uint32_t* out) noexcept nogil:
    """Lock held. Takes an entry for a CREATING object that is none of the program's: it only moves bytes (readers.pyx), and no
    process searches for it."""
    cdef uint8_t id[RL_ID_BYTES]
    cdef rl_origin nobody
    cdef int rc
    memset(id, 0, RL_ID_BYTES)
    nobody.id, nobody.site = id, 0
    rc = object_take(R, RL_CREATING, &nobody, out)
    if rc == DONE:
        rl_set16(R, &object_at(R, out[0]).flags, RL_NAMELESS)
        rl_set32(R, &R.h.nameless, R.h.nameless + 1)
    return rc


cdef int block_take_for(rl_region* R, uint32_t i, uint64_t size) noexcept nogil:
    """Lock held. Takes a block for the object. The object's entry names the block from this section on."""
    cdef uint32_t extent = 0
    cdef uint32_t cell = 0
    cdef int rc = block_take(R, size, &extent, &cell)
    if rc == DONE:
        rl_set16(R, &object_at(R, i).cell, <uint16_t>cell)
        rl_set32(R, &object_at(R, i).extent, extent)
        block_info_reset(R, i)
        if object_at(R, i).flags & RL_JOB_PINNED:
            rl_set64(R, &R.h.kept_bytes, R.h.kept_bytes + block_size(R, extent))
    return rc


cdef int spill_run_take_for(rl_region* R, uint32_t i, uint64_t size) noexcept nogil:
    """Lock held. Takes a run of the spill file for the object. The object's entry names the run from this section on."""
    cdef uint32_t extent = 0
    cdef int rc = spill_run_take(R, size, &extent)
    if rc == DONE:
        rl_set16(R, &object_at(R, i).cell, 0)
        rl_set32(R, &object_at(R, i).extent, extent)
    return rc


cdef int object_create(rl_region* R, const rl_origin* from_, uint64_t size, uint32_t flags, uint32_t* out) noexcept nogil:
    """Makes a CREATING object with room for `size` bytes, held by this process, which then fills and seals it. With
    RL_NAMELESS it moves bytes, into the spill file if IN_SPILL_FILE is set too, and `from_` is not read."""
    cdef int rc = DONE
    while True:
        if rl_lock(R):
            return EIO
        rc = object_take_nameless(R, out) if flags & RL_NAMELESS else object_take(R, RL_CREATING, from_, out)
        if rc == DONE and flags & RL_JOB_PINNED:
            object_keep(R, object_at(R, out[0]))
        if rc == DONE and flags & IN_SPILL_FILE:
            rc = spill_run_take_for(R, out[0], size)
        elif rc == DONE and size > RL_OBJECT_SMALL:
            rc = block_take_in_turn(R, out[0], size)
        if rc == DONE:
            rl_fresh64(&object_at(R, out[0]).size, size)
        if not section_repeats(R, &rc, size):
            break
    if rc == DONE:
        rl_failpoint(R, b"create.fill")
    return rc


cdef int block_take_in_turn(rl_region* R, uint32_t i, uint64_t size) noexcept nogil:
    """Lock held. Takes a block for the object, unless it is large and another process has waited longer for room."""
    return ROOM_PROMISED if size > LARGEST_CELL and room_promised_to_others(R) else block_take_for(R, i, size)


cdef int object_room(rl_region* R, uint32_t i, uint64_t size, bint reserve) noexcept nogil:
    """Takes room for the payload of a return or of an unsealed object that this process owns. With `reserve` it may use the
    last pages of the arena, and does not wait for other processes."""
    cdef rl_object* o = object_at(R, i)
    cdef int rc = DONE
    rl_fresh64(&o.size, 0)
    if o.extent:
        if rl_lock(R):
            return EIO
        object_drop_block(R, o)  # a section of its own: both freeing and taking a block may merge and split runs
        rl_commit(R)
    while size > RL_OBJECT_SMALL:
        if rl_lock(R):
            return EIO
        rc = block_take_for(R, i, size) if reserve else block_take_in_turn(R, i, size)
        if rc == GROW_ARENA and reserve:
            rl_abort(R)
            rc = space_grow(R, &R.h.arena, size, True)
            if rc:
                return rc
            continue
        if not section_repeats(R, &rc, size):
            break
    if rc == DONE:
        rl_failpoint(R, b"room.size")
        rl_fresh64(&o.size, size)
    return rc


cdef inline char* object_data(rl_region* R, uint32_t i) noexcept nogil:
    """Address of the payload of an object that the caller holds (if sealed) or owns (if not sealed yet)."""
    cdef rl_object* o = object_at(R, i)
    return block_at(R, o.extent, o.cell) if o.extent else <char*>o.data


cdef int object_contain(rl_region* R, uint32_t i, const uint32_t* targets, uint64_t n) noexcept nogil:
    """Pins `targets`, which the caller holds: the unsealed object, which this process owns, will contain their ids."""
    cdef uint64_t done = 0
    cdef uint64_t begun
    cdef int rc
    while done < n:
        if rl_lock(R):
            return EIO
        rc = DONE
        begun = done
        while done < n and rc == DONE and rl_log_used(R) < RL_LOG_BUDGET - 8:
            rc = ref_take(R, RL_REF_CONTENT, i, targets[done], &object_at(R, i).contents)
            done += rc == DONE
        if rc != DONE:
            done = begun
        if not section_repeats(R, &rc, 0) and rc != DONE:
            return rc
        rl_failpoint(R, b"contain.chunk")
    return DONE


cdef int object_seal(rl_region* R, uint32_t i, uint32_t kind) noexcept nogil:
    """Seals a put object. No other process knows it yet, so no edges and no waiters are due."""
    rl_failpoint(R, b"fill.seal")
    if rl_lock(R):
        return EIO
    rl_fresh32(&object_at(R, i).format, kind)
    if object_at(R, i).flags & RL_JOB_PINNED:
        rl_set32(R, &object_at(R, i).owner, R.job)
    rl_object_publish(R, i)
    rl_commit(R)
    return DONE


cdef int object_hold(rl_region* R, uint32_t i, uint32_t generation) noexcept nogil:
    """Sets this process's holder bit on a live object of that generation. STALE: there is none."""
    cdef int rc = DONE
    while True:
        if rl_lock(R):
            return EIO
        rc = STALE
        if 0 < i < R.h.objects.used and object_at(R, i).generation == generation:
            if object_at(R, i).state != RL_FREE and object_at(R, i).state != RL_GARBAGE:
                rc = holder_set(R, i)
        if not section_repeats(R, &rc, 0):
            return rc


cdef int object_release(rl_region* R, uint32_t i) noexcept nogil:
    """Clears this process's holder bit, when its last handle of the object goes."""
    if rl_lock(R):
        return EIO
    holder_clear(R, R.slot, i)
    rl_commit(R)
    return garbage_drain(R)


cdef bint findable(rl_region* R, rl_object* o) noexcept nogil:
    """Lock held. Whether other processes may hold the object. Only its creator may hold one under construction, since it must
    end if the creator dies."""
    if o.state == RL_PENDING:
        return o.task == 0 or task_at(R, o.task).state != RL_BUILDING
    return o.state == RL_SEALED


cdef int object_find(rl_region* R, const uint8_t* id, bint thorough, uint32_t* i, uint32_t* generation) noexcept nogil:
    """The live object of an id, which this process holds from now on. STALE: there is none."""
    cdef int rc = DONE
    while True:
        if rl_lock(R):
            return EIO
        i[0] = index_find(R, id, thorough)
        rc = STALE
        if i[0] and findable(R, object_at(R, i[0])):
            generation[0] = object_at(R, i[0]).generation
            rc = holder_set(R, i[0])
        if not section_repeats(R, &rc, 0):
            return rc


cdef int object_abandon(rl_region* R, uint32_t i) noexcept nogil:
    """Gives up an object that this process was creating for the session: it will never be sealed."""
    cdef rl_object* o = object_at(R, i)
    if rl_lock(R):
        return EIO
    if o.flags & RL_JOB_PINNED:
        object_unkeep(R, o)
        free_if_unreferenced(R, i)
    rl_commit(R)
    return garbage_drain(R)


cdef int object_expose(rl_region* R, uint32_t i) noexcept nogil:
    """Adds the object to the index, because its id's bytes are about to leave the process."""
    if rl_lock(R):
        return EIO
    index_add(R, i)
    rl_commit(R)
    return DONE
