"""Blocking: while a worker sleeps inside a task, its CPUs are free for other workers.

Only the main thread gives them back of itself.  Other threads are counted while they wait: the main thread may work meanwhile.
If tasks lack only CPUs for too long, the node lends those of a worker whose threads wait, which blocks it until it wakes or its
task ends.  An actor that runs several calls at a time gives its CPUs back while all of them wait.  A main thread that has
waited for a while for its objects says for which one, so that the node finds waits for each other.  Neighbours:
scheduling/grants.pyx counts the blocked workers, and ends a loan with its task; python/ calls these functions.  Must not decide
when CPUs are lent: policy/deadlocks.py does.
"""


cdef void count_active(rl_region* R, uint32_t slot, int by) noexcept nogil:
    """Lock held. Counts a process that holds something, and that begins (`by` 1) or stops (-1) being active."""
    cdef rl_slot* s = rl_slot_at(R, slot)
    if s.shape:
        count_working(R, s.shape, by)
    else:
        count_held(R, s.held, by)


cdef uint32_t cpus_free(rl_region* R, uint32_t slot) noexcept nogil:
    """Lock held. Frees the CPUs of a worker that has become blocked; returns a shape for which a recheck is owed, or 0."""
    cdef uint32_t shape = holding(rl_slot_at(R, slot))
    if shape == 0:
        return 0
    resource_add(R, RL_CPU, queue_at(R, shape).cpus)
    count_active(R, slot, -1)
    count_blocked(R, rl_slot_at(R, slot), 1)
    recheck_resource(R, RL_CPU)
    return R.h.reserved_for if reservation_lifted(R) else 0


cdef void block_leave(rl_region* R) noexcept nogil:
    """Lock held. Ends one of the reasons why this worker is blocked; after the last it re-acquires its CPUs at once, and free
    CPUs may go negative."""
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    rl_set32(R, &me.blocked, me.blocked - 1)
    if me.blocked == 0 and holding(me):
        resource_add(R, RL_CPU, -queue_at(R, holding(me)).cpus)
        count_active(R, R.slot, 1)
        count_blocked(R, me, -1)


cdef int block_begin(rl_region* R, bint for_ever) noexcept nogil:
    """Blocks this worker, which is about to sleep inside a task: releases its CPUs. `for_ever`: it sleeps without a timeout."""
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    cdef uint32_t owed = 0
    cdef uint32_t left
    if rl_lock(R):
        return EIO
    rl_set32(R, &me.blocked, me.blocked + 1)
    rl_set64(R, <uint64_t*>&me.since, <uint64_t>rl_now())
    if me.blocked == 1:
        owed = cpus_free(R, R.slot)
    rl_store(&me.deadlock_flag, RL_WAITS_FOREVER if for_ever else 0)
    left = wake_workers(R, R.j.nready)
    if R.j.nworking == 0 and R.j.nready:
        rl_owe_node(R)  # the queued tasks may lack what blocked workers hold: the node looks for a deadlock
    rl_commit(R)
    rl_failpoint(R, b"block.sleep")
    return recheck_owed(R, owed) or wake_workers_unlocked(R, left)


cdef void awaits_set(rl_region* R, uint32_t* awaits, uint32_t i) noexcept nogil:
    """Lock held. Says which object a process, or one of several calls, awaits; 0: none."""
    if awaits[0] == i:
        return
    if awaits[0] == 0 or i == 0:
        rl_set32(R, &R.j.nawaiting, R.j.nawaiting + (1 if i else -1))
    rl_set32(R, awaits, i)


cdef int await_object(rl_region* R, uint32_t i) noexcept nogil:
    """Says that this process, which is blocked without a timeout, needs object `i` to go on: the node looks from now on."""
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    if me.awaits == i:
        return DONE
    if rl_lock(R):
        return EIO
    if me.blocked > me.lent:
        awaits_set(R, &me.awaits, i)
        rl_owe_node(R)
    rl_commit(R)
    return DONE


cdef void call_awaits_set(rl_region* R, uint32_t t, uint32_t i) noexcept nogil:
    """Lock held. Says which object a RUNNING call awaits, one of several; 0: none."""
    awaits_set(R, &task_at(R, t).awaits, i)
    if i == 0 and task_at(R, t).flags & RL_IN_CYCLE:
        rl_set16(R, &task_at(R, t).flags, task_at(R, t).flags & ~RL_IN_CYCLE)


cdef int call_awaits(rl_region* R, uint32_t t, uint32_t i) noexcept nogil:
    """Says that a call, one of several that this process runs, needs object `i` to go on, without a timeout; 0: no longer."""
    if task_at(R, t).awaits == i:
        return DONE
    if rl_lock(R):
        return EIO
    call_awaits_set(R, t, i)
    if i:
        rl_owe_node(R)
    rl_commit(R)
    return DONE


cdef int block_end(rl_region* R) noexcept nogil:
    """Unblocks this worker, which woke."""
    rl_failpoint(R, b"wake.unblock")
    rl_store(&rl_slot_at(R, R.slot).deadlock_flag, 0)  # the flag concerns only the wait that ends here
    if rl_lock(R):
        return EIO
    awaits_set(R, &rl_slot_at(R, R.slot).awaits, 0)
    block_leave(R)
    rl_commit(R)
    return DONE


cdef int thread_wait_begin(rl_region* R, bint for_ever) noexcept nogil:
    """Counts a thread that is about to wait in this process, whose main thread is not blocked by that. `for_ever`: without a
    timeout."""
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    if rl_lock(R):
        return EIO
    rl_set32(R, &me.thread_waits, me.thread_waits + 1)
    if for_ever:
        rl_set32(R, &me.thread_waits_forever, me.thread_waits_forever + 1)
        rl_cas(&me.thread_deadlock_flag, 0, RL_WAITS_FOREVER)
        if me.shape:  # of an idle worker, `since` is its place among the idle ones
            rl_set64(R, <uint64_t*>&me.since, <uint64_t>rl_now())
    if R.j.threads_wait == 0:
        rl_set32(R, &R.j.threads_wait, 1)
        rl_owe_node(R)  # it looks again and again from now on: what becomes ready later and doesn't fit rings nobody
    elif R.j.nready:
        rl_owe_node(R)
    rl_commit(R)
    rl_failpoint(R, b"thread.sleep")
    return DONE


cdef int thread_wait_end(rl_region* R, bint for_ever, bint keep_loan) noexcept nogil:
    """Counts a thread no longer that has waited; if no other waits, this worker's CPUs are lent no longer.

    `keep_loan`: it waited in vain, and may wait again at once.  Otherwise a worker that starts for what it waits for could come
    too late each time.
    """
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    rl_failpoint(R, b"thread.wake")
    if rl_lock(R):
        return EIO
    rl_set32(R, &me.thread_waits, me.thread_waits - 1)
    if for_ever:
        rl_set32(R, &me.thread_waits_forever, me.thread_waits_forever - 1)
        if me.thread_waits_forever == 0:
            rl_store(&me.thread_deadlock_flag, 0)
    if me.lent and me.thread_waits == 0 and not keep_loan:
        rl_set32(R, &me.lent, 0)
        block_leave(R)
    rl_commit(R)
    return DONE


cdef uint32_t calls_settle(rl_region* R) noexcept nogil:
    """Lock held. Blocks this actor's process if all of its running calls wait, unblocks it if one does not; a shape for which a
    recheck is owed, or 0."""
    cdef rl_slot* me = rl_slot_at(R, R.slot)
    cdef rl_actor* e = actor_at(R, me.actor)
    cdef bint wait = e.nwaiting != 0 and e.nwaiting == e.nrunning
    if wait == (me.blocked > me.lent):
        return 0
    if not wait:
        block_leave(R)
        return 0
    rl_set32(R, &me.blocked, me.blocked + 1)
    return cpus_free(R, R.slot) if me.blocked == 1 else 0


cdef int calls_wait(rl_region* R, int32_t by) noexcept nogil:
    """Counts running calls of this process's actor that begin (`by` above 0) or stop waiting; 0: a call has ended, so that all
    others may be waiting."""
    cdef rl_actor* e = actor_at(R, rl_slot_at(R, R.slot).actor)
    cdef uint32_t owed, left
    if rl_lock(R):
        return EIO
    rl_set32(R, &e.nwaiting, e.nwaiting + <uint32_t>by)
    owed = calls_settle(R)
    left = wake_workers(R, R.j.nready)
    rl_commit(R)
    rl_failpoint(R, b"calls.wait")
    return recheck_owed(R, owed) or wake_workers_unlocked(R, left)


cdef bint may_lend(rl_region* R, rl_slot* s) noexcept nogil:
    """Lock held. Whether a process holds what a task, a turn or an actor demands, is not blocked, and threads of it wait."""
    return s.state == RL_ALIVE and holding(s) != 0 and s.blocked == 0 and s.thread_waits != 0


cdef int lend(rl_region* R, uint32_t slot, int64_t* lent) noexcept nogil:
    """Lends the CPUs of a worker if its threads wait; `lent`: grows by that many."""
    cdef rl_slot* s = rl_slot_at(R, slot)
    cdef uint32_t owed = 0
    cdef uint32_t left = 0
    if rl_lock(R):
        return EIO
    if may_lend(R, s):
        lent[0] += queue_at(R, holding(s)).cpus
        rl_set32(R, &s.lent, 1)
        rl_set32(R, &s.blocked, 1)
        owed = cpus_free(R, slot)
        left = wake_workers(R, R.j.nready)
    rl_commit(R)
    rl_failpoint(R, b"lend.recheck")
    return recheck_owed(R, owed) or wake_workers_unlocked(R, left)
