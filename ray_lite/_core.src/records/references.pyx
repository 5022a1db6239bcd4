"""What keeps an object alive: holder bits, pins and refs; and the end of an object that nothing keeps.

An object lives while a process holds it (one bit in the row of its slot), a ref pins it, the session keeps it, or the task that
returns it lives.  The section that takes the last of these away frees the bytes.  If the object contains ids, the section puts
it on the garbage list, because their objects must be unpinned first.  Neighbours: objects.pyx makes objects; readers.pyx has
the second half of each row.
"""


cdef inline uint64_t* holder_word(rl_region* R, uint32_t slot, uint32_t i) noexcept nogil:
    return <uint64_t*>(R.meta + R.h.rows + R.h.row_bytes * slot) + (i >> 6)


cdef inline bint holder_has(rl_region* R, uint32_t slot, uint32_t i) noexcept nogil:
    return i < rl_load(&rl_slot_at(R, slot).row_limit) and (holder_word(R, slot, i)[0] >> (i & 63)) & 1


cdef int holder_set(rl_region* R, uint32_t i) noexcept nogil:
    """Lock held. Sets this process's holder bit on the object, if it is not set."""
    cdef uint64_t* word
    cdef uint64_t bit = <uint64_t>1 << (i & 63)
    if i >= R.row_limit:
        return GROW_ROW
    word = holder_word(R, R.slot, i)
    if word[0] & bit == 0:
        rl_set64(R, word, word[0] | bit)
        rl_set32(R, &object_at(R, i).holders, object_at(R, i).holders + 1)
    return DONE


cdef void object_drop_block(rl_region* R, rl_object* o) noexcept nogil:
    """Lock held. Frees the object's block, if it has one."""
    cdef uint32_t extent = o.extent
    if extent:
        if o.flags & RL_JOB_PINNED:
            rl_set64(R, &R.h.kept_bytes, R.h.kept_bytes - block_size(R, extent))
        rl_set32(R, &o.extent, 0)
        block_give(R, extent, o.cell)


cdef inline uint32_t handle_actor(rl_region* R, uint32_t i) noexcept nogil:
    """The actor that object `i`, a handle, names."""
    return (<uint32_t*>object_at(R, i).data)[0]


cdef bint is_unheld(rl_region* R, uint32_t a) noexcept nogil:
    """Lock held. Whether nobody can call an actor, which has not ended, but perhaps its own process."""
    cdef rl_actor* e = actor_at(R, a)
    cdef rl_object* o = object_at(R, e.handle)
    return o.pins == 1 and o.holders == (e.slot != 0 and holder_has(R, e.slot, e.handle))


cdef bint may_be_unheld(rl_region* R, uint32_t a) noexcept nogil:
    """Lock held. Whether nobody can call an actor, but perhaps itself: values that only its next process would see may contain
    its handle."""
    cdef rl_actor* e = actor_at(R, a)
    cdef rl_object* o = object_at(R, e.handle)
    cdef bint alone = o.holders == (e.slot != 0 and holder_has(R, e.slot, e.handle))
    return alone and (o.pins == 1 or e.nkept != 0 or e.checkpoint != 0)


cdef void actor_end_if_unneeded(rl_region* R, uint32_t a) noexcept nogil:
    """Lock held. Tells the node if an actor has no calls left and perhaps nobody can make one."""
    cdef rl_actor* e = actor_at(R, a)
    if e.state == RL_ACTOR_DEAD:
        if e.handle == 0 and e.ncalls == 0:
            actor_due(R, a)
    elif e.ncalls == e.nkept and e.state != RL_ACTOR_ENDING and may_be_unheld(R, a):
        actor_due(R, a)


cdef void object_unlist(rl_region* R, uint32_t i) noexcept nogil:
    """Lock held. Takes an object that ends off the id index, off the count of nameless ones, or off its actor, which is
    DEAD."""
    if object_at(R, i).flags & RL_INDEXED:
        index_remove(R, i)
    if object_at(R, i).flags & RL_NAMELESS:
        rl_set32(R, &R.h.nameless, R.h.nameless - 1)
    if object_at(R, i).flags & RL_HANDLE:
        rl_set32(R, &actor_at(R, handle_actor(R, i)).handle, 0)
        actor_end_if_unneeded(R, handle_actor(R, i))


cdef void free_if_unreferenced(rl_region* R, uint32_t i) noexcept nogil:
    """Lock held. Ends the object if nothing needs it any more."""
    cdef rl_object* o = object_at(R, i)
    if o.holders or o.pins or o.task or o.state == RL_FREE or o.state == RL_GARBAGE:
        if o.flags & RL_HANDLE:
            actor_end_if_unneeded(R, handle_actor(R, i))
        return
    object_drop_block(R, o)
    if o.flags & (RL_INDEXED | RL_NAMELESS | RL_HANDLE):
        object_unlist(R, i)
    rl_set32(R, &o.generation, o.generation + 1)
    if o.contents:
        rl_object_become(R, o, RL_GARBAGE)
        rl_set32(R, &o.next, R.h.garbage)
        rl_set32(R, &R.h.garbage, i)
    elif rl_object_may(R, o, RL_FREE):
        table_give(R, &R.h.objects, i)


cdef void object_keep(rl_region* R, rl_object* o) noexcept nogil:
    """Lock held. Keeps the object until the session ends. It has no block yet."""
    rl_set16(R, &o.flags, <uint16_t>(o.flags | RL_JOB_PINNED))
    rl_set32(R, &o.pins, o.pins + 1)
    rl_set32(R, &R.h.kept, R.h.kept + 1)


cdef void object_unkeep(rl_region* R, rl_object* o) noexcept nogil:
    """Lock held. Ends the keeping of an object for the session; the caller frees the object if nothing else needs it."""
    if o.extent:
        rl_set64(R, &R.h.kept_bytes, R.h.kept_bytes - block_size(R, o.extent))
    rl_set16(R, &o.flags, <uint16_t>(o.flags & ~RL_JOB_PINNED))
    rl_set32(R, &o.pins, o.pins - 1)
    rl_set32(R, &R.h.kept, R.h.kept - 1)


cdef void holder_clear(rl_region* R, uint32_t slot, uint32_t i) noexcept nogil:
    """Lock held. Clears the slot's holder bit on the object, which may end the object."""
    cdef uint64_t* word = holder_word(R, slot, i)
    cdef uint64_t bit = <uint64_t>1 << (i & 63)
    cdef rl_object* o = object_at(R, i)
    if word[0] & bit:
        rl_set64(R, word, word[0] & ~bit)
        if o.state == RL_CREATING and o.owner == slot and o.flags & RL_JOB_PINNED:  # it will never be sealed
            object_unkeep(R, o)
        rl_set32_mutant(R, &object_at(R, i).holders, object_at(R, i).holders - 1)
        free_if_unreferenced(R, i)


cdef void pin(rl_region* R, uint32_t i) noexcept nogil:
    """Lock held. Adds a pin to the object."""
    rl_set32(R, &object_at(R, i).pins, object_at(R, i).pins + 1)


cdef void unpin(rl_region* R, uint32_t i) noexcept nogil:
    """Lock held. Removes a pin from the object, which may end it."""
    rl_set32(R, &object_at(R, i).pins, object_at(R, i).pins - 1)
    free_if_unreferenced(R, i)


cdef int ref_take(rl_region* R, uint32_t kind, uint32_t owner, uint32_t target, uint32_t* chain) noexcept nogil:
    """Lock held. Adds a ref that pins `target` to a chain of `owner`."""
    cdef uint32_t r = table_take(R, &R.h.refs)
    cdef rl_ref* f
    if r == 0:
        return GROW_REFS
    f = ref_at(R, r)
    rl_set32(R, &f.state, kind)
    rl_set32(R, &f.next, chain[0])
    rl_fresh32(&f.object, target)
    rl_fresh32(&f.owner, owner)
    rl_fresh32(&f.linked, 0)
    rl_set32(R, chain, r)
    pin(R, target)
    return DONE


cdef void contents_step(rl_region* R, rl_object* o) noexcept nogil:
    """Lock held. Unpins one of the contents of an object."""
    cdef uint32_t r = o.contents
    cdef uint32_t target = ref_at(R, r).object
    rl_set32(R, &o.contents, ref_at(R, r).next)
    table_give(R, &R.h.refs, r)
    unpin(R, target)


cdef void garbage_remove(rl_region* R, uint32_t i) noexcept nogil:
    """Lock held. Frees a dead object without contents. It is no longer first on the list if unpinning put others before it."""
    cdef uint32_t* at = &R.h.garbage
    while at[0] and at[0] != i:
        at = &object_at(R, at[0]).next
    if at[0] and rl_object_may(R, object_at(R, i), RL_FREE):
        rl_set32(R, at, object_at(R, i).next)
        table_give(R, &R.h.objects, i)


cdef int garbage_step(rl_region* R) noexcept nogil:
    """Lock held. Unpins a few contents of the first dead object; MORE while any are left."""
    cdef uint32_t i = R.h.garbage
    cdef uint32_t n = 0
    if i == 0:
        return DONE
    while object_at(R, i).contents and n < 8 and rl_log_used(R) < RL_LOG_BUDGET - 48:
        contents_step(R, object_at(R, i))
        n += 1
    if object_at(R, i).contents == 0:
        garbage_remove(R, i)
    return MORE if R.h.garbage else DONE


cdef int garbage_drain(rl_region* R) noexcept nogil:
    """Lock not held. Frees garbage until none is left. The process that made it calls this; after a death, the node does."""
    cdef int rc = MORE
    while rc == MORE and rl_load(&R.h.garbage):
        if rl_lock(R):
            return EIO
        rc = garbage_step(R)
        rl_commit(R)
        rl_failpoint(R, b"garbage.chunk")
    return DONE
