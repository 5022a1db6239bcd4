"""Process slots: opening and adopting one, the list of idle workers, and an idle worker's sleep.

The idle list is most recently idle first, under the lock.  Whoever makes a task READY takes the first worker off it and rings
that worker's bell (scheduling/wakeups.pyx), so no wake-up is lost and no worker polls.  Neighbours: region/states.h (BUSY, IDLE,
STARTING, RUNG).  Must not decide how many workers there are.
"""
cdef enum:
    IDLE_LOG = 7  # what joining or leaving the idle list writes at most, and being rung


cdef int slot_open(rl_region* R, uint32_t kind, uint32_t pid, uint64_t started, uint32_t* out) noexcept nogil:
    """A slot for a process. A worker's is opened by the node before the fork, as STARTING."""
    cdef rl_slot* s
    cdef uint32_t i, word
    cdef int rc
    while True:
        if rl_lock(R):
            return EIO
        i = table_take(R, &R.h.slots)
        if i:
            s = rl_slot_at(R, i)
            rl_set32(R, &s.state, RL_ALIVE)
            rl_fresh32(&s.kind, kind)
            rl_fresh32(&s.pid, pid)
            rl_fresh64(&s.started, started)
            rl_fresh32(&s.running, 0)
            rl_fresh32(&s.building, 0)
            rl_fresh32(&s.shape, 0)
            rl_fresh32(&s.blocked, 0)
            rl_fresh32(&s.keyed, 0)
            rl_fresh32(&s.threads, 0)
            for word in range(RL_GPU_WORDS):
                rl_fresh64(&s.gpus[word], 0)
            rl_fresh64(&s.finished, 0)
            rl_fresh32(&s.idle, RL_STARTING if kind == RL_WORKER else RL_BUSY)
            if kind == RL_WORKER:
                rl_set32(R, &R.h.nstarting, R.h.nstarting + 1)
            rl_store(&s.parked, 0)
            rl_store(&s.waiting, 0)
            rl_store(&s.hungry, 0)
            rl_store(&s.leaving, 0)
            rl_store(&s.verdict, 0)
            out[0] = i
            rl_commit(R)
            return DONE
        rl_abort(R)
        rc = grow(R, GROW_SLOTS, 0)
        if rc:
            return rc


cdef int slot_adopt(rl_region* R, uint32_t slot, uint32_t pid, uint64_t started) noexcept nogil:
    """A forked worker takes the slot that the node opened for it. Until it asks for a task it counts as coming: it is one that
    need not be started."""
    cdef rl_slot* s = rl_slot_at(R, slot)
    R.slot = slot
    R.row_limit = 0
    if rl_lock(R):
        return EIO
    rl_set32(R, &s.pid, pid)
    rl_set64(R, &s.started, started)
    rl_set32(R, &s.idle, RL_RUNG)
    rl_set32(R, &R.h.nstarting, R.h.nstarting - 1)
    rl_set32(R, &R.h.ncoming, R.h.ncoming + 1)
    rl_commit(R)
    return DONE


cdef void idle_add(rl_region* R, uint32_t slot) noexcept nogil:
    """Lock held."""
    cdef rl_slot* s = rl_slot_at(R, slot)
    rl_set32(R, &s.next, R.h.idle)
    rl_set32(R, &s.prev, 0)
    if R.h.idle:
        rl_set32(R, &rl_slot_at(R, R.h.idle).prev, slot)
    else:
        rl_set32(R, &R.h.idle_last, slot)
    rl_set64(R, <uint64_t*>&s.since, <uint64_t>rl_now())
    rl_set32(R, &R.h.idle, slot)
    rl_set32(R, &R.h.nidle, R.h.nidle + 1)
    rl_set32(R, &s.idle, RL_IDLE)


cdef void idle_remove(rl_region* R, uint32_t slot) noexcept nogil:
    """Lock held. Off the idle list, by itself or by whoever rings."""
    cdef rl_slot* s = rl_slot_at(R, slot)
    if s.next:
        rl_set32(R, &rl_slot_at(R, s.next).prev, s.prev)
    else:
        rl_set32(R, &R.h.idle_last, s.prev)
    if s.prev:
        rl_set32(R, &rl_slot_at(R, s.prev).next, s.next)
    else:
        rl_set32(R, &R.h.idle, s.next)
    rl_set32(R, &R.h.nidle, R.h.nidle - 1)
    rl_set32(R, &s.idle, RL_BUSY)


cdef void arrive(rl_region* R, rl_slot* s) noexcept nogil:
    """Lock held. A rung worker is here (or dead): it counts as coming no more."""
    if s.idle == RL_RUNG:
        rl_set32(R, &s.idle, RL_BUSY)
        rl_set32(R, &R.h.ncoming, R.h.ncoming - 1)


cdef int idle_wait(rl_region* R, int64_t spin, int64_t park) noexcept nogil:
    """An idle worker waits for its bell: burns `spin` ns, then sleeps `park` ns. DONE rung, ETIMEDOUT or EINTR."""
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    cdef uint32_t k = 0
    cdef uint32_t bell = rl_load(&me.bell)
    cdef int64_t until
    cdef int rc
    if rl_load(&me.idle) != RL_IDLE or rl_load(&me.leaving):  # asked to end after its last look at that: the bell was before
        return DONE
    until = rl_now() + spin
    while spin > 0 and rl_load(&me.bell) == bell:
        rl_pause()
        k += 1
        if k & 31 == 0 and rl_now() >= until:
            break
        if k & 127 == 0:
            sched_yield()  # whoever this worker just woke may stand behind it on the same CPU
    if rl_load(&me.bell) != bell:
        return DONE
    rl_store(&me.parked, 1)  # announced before the kernel compares the bell: pairs with rl_publish_one
    rl_failpoint(R, b"park.sleep")
    rc = rl_futex_wait(&me.bell, bell, park)
    rl_store(&me.parked, 0)
    if rl_load(&me.bell) != bell:
        return DONE
    return rc if rc else DONE
