"""Process slots: who is here, who is idle, who is blocked.

An idle worker stands on the idle list (most recently idle first) under the lock; whoever makes a task READY takes the
first off it and rings its bell, so no wake-up is lost and no worker polls.  Neighbours: turns.pyx (what an idle one may take),
tasks.pyx (what a busy one runs), sweep.pyx (what becomes of a dead one).  Must not decide how many workers there are.
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


cdef uint32_t rouse(rl_region* R, uint32_t wanted) noexcept nogil:
    """Lock held. Rings idle workers for newly READY tasks, or the node when more workers could run; how many are left
    for another section, because this one's log or stage is full."""
    cdef uint32_t slot = 0
    cdef uint32_t hung
    cdef int rc = DONE
    while wanted and R.h.idle:
        if wanting(R, R.h.ncoming, True, &slot) == 0:
            hung = R.h.nhung
            if R.h.ncoming or slot != RL_MANY:  # whoever comes looks himself
                break
            if front(R, &rc) == 0:
                return wanted if rc == MORE else 0
            if R.h.nhung == hung:  # what the first ones need nobody here can do; the node starts somebody who can
                break
            continue
        if rl_staged_full(R) or rl_log_used(R) >= RL_LOG_BUDGET - IDLE_LOG:
            return wanted
        idle_remove(R, slot)
        rl_set32(R, &rl_slot_at(R, slot).idle, RL_RUNG)
        rl_set32(R, &R.h.ncoming, R.h.ncoming + 1)
        rl_stage_up(R, RL_PUBLISH_BELL, slot, 0)
        wanted -= 1
    if rl_slot_at(R, R.slot).kind == RL_NODE or wanted == 0 or R.h.nstarting:
        return 0  # the node looks before it sleeps; who starts looks himself
    if R.h.idle == 0 and R.h.working and rl_load(&R.h.full):
        return 0  # it can start nobody, and need not look whether everybody waits in vain
    if wanting(R, R.h.ncoming, False, &slot) and slot == 0:
        rl_owe_node()
    return 0


cdef int rouse_rest(rl_region* R, uint32_t wanted) noexcept nogil:
    """Lock not held. Rings whom earlier sections had no room for."""
    while wanted:
        if rl_lock(R):
            return EIO
        wanted = rouse(R, min(wanted, R.h.nready))
        rl_commit(R)
    return DONE


cdef void arrive(rl_region* R, rl_slot* s) noexcept nogil:
    """Lock held. A rung worker is here (or dead): it counts as coming no more."""
    if s.idle == RL_RUNG:
        rl_set32(R, &s.idle, RL_BUSY)
        rl_set32(R, &R.h.ncoming, R.h.ncoming - 1)


cdef int next_section(rl_region* R, uint32_t* given, uint32_t* owed, uint32_t* out) noexcept nogil:
    """Lock held. With nothing of its own to finish, a worker looks for those who wait for what it gave back, then takes the
    next task, or stands idle. MORE: the log is full."""
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    cdef int rc = DONE
    cdef uint32_t q
    if given[0] and not look_back(R, given[0]):
        return MORE
    given[0] = 0
    q = turn_of(R, R.slot, &rc)
    if rc == MORE or rl_log_used(R) + (take_log(R, q) if q else 0) > RL_LOG_BUDGET - IDLE_LOG:
        return MORE
    if q:
        out[0] = take(R, R.slot, q, owed)
        if me.idle == RL_IDLE:
            idle_remove(R, R.slot)
    elif me.idle == RL_BUSY:
        idle_add(R, R.slot)
    return DONE


cdef int task_next(rl_region* R, uint32_t finished, uint32_t* out) noexcept nogil:
    """Finishes a task (0: none) and takes the next in the same section, else stands idle. DONE with out 0: idle."""
    cdef uint32_t fresh
    cdef uint32_t left = 0
    cdef uint32_t given = 0
    cdef uint32_t owed = 0
    cdef int rc = MORE
    out[0] = 0
    while rc == MORE:
        fresh = 0
        if rl_lock(R):
            return EIO
        arrive(R, rl_slot_at(R, R.slot))
        rc = finish_section(R, finished, &fresh, &given) if finished else DONE
        if rc == DONE:
            finished = 0
            rc = next_section(R, &given, &owed, out)
            fresh = R.h.nready if rc == DONE and (out[0] or R.h.keyed) else 0
        left += rouse(R, fresh)
        rl_commit(R)
        rl_failpoint(R, b"next.chunk")
    return rouse_rest(R, left) or look_owed(R, owed) or garbage_drain(R)


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


cdef int idle_leave(rl_region* R) noexcept nogil:
    """The worker stands idle no more: it retires. If it was rung, another is."""
    if rl_lock(R):
        return EIO
    arrive(R, rl_slot_at(R, R.slot))
    if rl_slot_at(R, R.slot).idle == RL_IDLE:
        idle_remove(R, R.slot)
    rl_commit(R)
    rl_failpoint(R, b"leave.rouse")
    return rouse_rest(R, rl_load(&R.h.nready))


cdef int block_begin(rl_region* R, bint for_ever) noexcept nogil:
    """This worker is about to sleep inside a task: its CPUs are free meanwhile."""
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    cdef uint32_t owed = 0
    if rl_lock(R):
        return EIO
    rl_set32(R, &me.blocked, me.blocked + 1)
    if me.blocked == 1:
        rl_set64(R, <uint64_t*>&me.since, <uint64_t>rl_now())
        if me.shape:
            kind_move(R, RL_CPU, queue_at(R, me.shape).cpus)
            work_move(R, me.shape, -1)
            lent_move(R, 1)
            look_at(R, RL_CPU)
            owed = R.h.reserved if lifted(R) else 0
    rl_store(&me.verdict, RL_WAITS if for_ever else 0)
    rouse(R, R.h.nready)
    if R.h.working == 0 and R.h.nready:
        rl_owe_node()  # what is left may lack what those hold who wait
    rl_commit(R)
    rl_failpoint(R, b"block.sleep")
    return look_owed(R, owed)


cdef int block_end(rl_region* R) noexcept nogil:
    """It woke: the CPUs are its own again at once, even if the free ones fall below zero."""
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    rl_failpoint(R, b"wake.unblock")
    rl_store(&me.verdict, 0)  # it was about this wait
    if rl_lock(R):
        return EIO
    rl_set32(R, &me.blocked, me.blocked - 1)
    if me.blocked == 0 and me.shape:
        kind_move(R, RL_CPU, -queue_at(R, me.shape).cpus)
        work_move(R, me.shape, 1)
        lent_move(R, -1)
    rl_commit(R)
    return DONE
