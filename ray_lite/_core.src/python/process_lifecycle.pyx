"""The life of processes: opening and adopting a slot, blocking, closing the session, a worker's end, the steps of a sweep."""
cdef extern from *:
    """
    static void rl_end_process(int code, int finalise) {
        if (finalise && Py_FinalizeEx()) code = 120; /* the code that an interpreter ends with then */
        fflush(NULL); /* the buffers of C libraries */
        _exit(code);
    }
    """
    void rl_end_process(int code, bint finalise)


def open_worker(Region region) -> int:
    """Opens a slot for a worker that is about to be forked; it counts as starting."""
    cdef uint32_t slot = 0
    check_region(region.R)
    check(slot_open(region.R, RL_WORKER, 0, 0, &slot))
    rl_failpoint(region.R, b"open.fork")
    return slot


cdef int take_over(Region region) except -1:
    """Gives a forked child a private part of the region: the parent's handles stay the parent's, this process holds nothing."""
    global current
    cdef rl_region* parents = region.R
    cdef rl_region* R = <rl_region*>malloc(sizeof(rl_region))
    if R == NULL:
        raise MemoryError("no memory for a region's private part")
    R[0] = parents[0]
    R.fork_generation = rl_generation
    R.shared = R.row_limit = 0
    R.users = 0
    madvise(R.handles, R.handles_bytes, MADV_DONTNEED)
    parents.closed = 1
    parents.users += 1  # never falls to 0: the mapping is this process's now
    region.R = R
    if current == parents:
        current = R
    return 0


def observe(Region region):
    """Lets a forked child look at the region. It has no slot, so it may not make, hold or wait for anything."""
    take_over(region)
    region.R.slot = 0


def adopt_slot(Region region, uint32_t slot, uint32_t pid, uint64_t started):
    """Takes over the region, and the slot that the node opened, in a forked worker or process of an actor."""
    rl_failpoint(region.R, b"fork.adopt")
    take_over(region)
    check(slot_adopt(region.R, slot, pid, started))
    rl_failpoint(region.R, b"adopt.loop")


def block(Region region, bint for_ever=False):
    """Marks this worker as blocked in its task: its CPUs are free until `unblock`. `for_ever`: it sleeps without a timeout."""
    check_region(region.R)
    check(block_begin(region.R, for_ever))


def unblock(Region region):
    """Ends `block`: this worker re-acquires its CPUs at once."""
    check_region(region.R)
    check(block_end(region.R))


def get_umask() -> int:
    """Umask of this process. To read it another one must be set; no signal handler can run meanwhile and keep that one."""
    cdef uint32_t found = rl_umask(0)
    rl_umask(found)
    return found


def while_blocked(Region region, bint for_ever, wait):
    """Calls `wait()` between `block` and `unblock`, and returns its result: no signal handler can make it skip `unblock`."""
    check_region(region.R)
    check(block_begin(region.R, for_ever))
    try:
        return wait()
    finally:
        check_region(region.R)
        check(block_end(region.R))


def while_thread_waits(Region region, bint for_ever, wait, int32_t calls=0, uint32_t call=0):
    """Counts a thread of this process, in a worker not the main one, as waiting while it calls `wait()`; returns its result.

    `calls`: running calls of this process's actor, if several run at a time, that can't go on meanwhile.  `call`: the one (its
    record) that waits in this thread, and may have said what it awaits (`await_first`).  The result False
    means that it waited in vain: then the CPUs, if they are lent, stay so until a later wait ends, or the task.
    """
    check_region(region.R)
    check(thread_wait_begin(region.R, for_ever))
    in_vain = False
    try:
        if calls:
            check(calls_wait(region.R, calls))
        result = wait()
        in_vain = result is False
        return result
    finally:
        check_region(region.R)
        if call:
            check(call_awaits(region.R, call, 0))
        if calls:
            check(calls_wait(region.R, -calls))
        check(thread_wait_end(region.R, for_ever, in_vain))


def answer_bell(Region region):
    """Answers the node's doorbell: a process that rings from now on writes to the eventfd again."""
    check_region(region.R)
    rl_store(&region.R.j.bell_rung, 0)
    rl_failpoint(region.R, b"answer.check")


def is_bell_rung(Region region) -> bool:
    """Whether a process claimed the doorbell and the node has not answered. A forked child of the node may ask."""
    return not region.R.closed and rl_load(&region.R.j.bell_rung) != 0


def close_session(Region region):
    """Tells workers to take no more tasks, and to end."""
    check_region(region.R)
    rl_cas(&region.R.j.closing, 0, 1)
    rl_failpoint(region.R, b"closing.wake")
    wake_everybody(region.R)


def lose_host(Region region):
    """Says that the session has ended, whose host is gone: calls of this job's driver raise that from now on."""
    check_region(region.R)
    rl_store(&region.R.j.closing, RL_HOST_LOST)


def is_closing(Region region) -> bool:
    """Whether the session ends."""
    check_region(region.R)
    return rl_load(&region.R.j.closing) != 0


def resume_sweep(Region region, uint32_t slot) -> bool:
    """Goes on with a sweep that another node began before it died; False: none has begun."""
    check_region(region.R)
    if rl_slot_at(region.R, slot).state != RL_SWEEPING:
        return False
    check(recheck_all(region.R))
    check(sweep(region.R, slot))
    return True


def begin_sweep(Region region, uint32_t slot):
    """Frees all that a process held which is gone for certain (its pidfd said so), except its running tasks."""
    check_region(region.R)
    check(slot_sweeping(region.R, slot))
    check(sweep(region.R, slot))


def wake_all(Region region):
    """Wakes all processes, and all other nodes: one that died may have owed a wake-up to any. Once is enough for all that are
    swept."""
    check_region(region.R)
    rl_failpoint(region.R, b"sweep.wake")
    wake_everybody(region.R)
    if rl_load(&region.R.h.jobs.live) > 1:
        rl_ring_all(region.R)


def adopt_task(Region region, uint32_t slot) -> tuple:
    """Moves the innermost task that the dead slot ran to this process.

    Returns:
        (record or 0, whether all its returns were sealed already).
    """
    check_region(region.R)
    cdef uint32_t t = 0
    cdef bint complete = False
    check(slot_adopt_task(region.R, slot, &t, &complete))
    return t, complete


def requeue_task(Region region, uint32_t t, bint counted, bint front):
    """Puts an adopted task back into its queue. `counted`: its attempt counts against max_retries."""
    check_region(region.R)
    rl_failpoint(region.R, b"adopt.requeue")
    check(task_requeue(region.R, t, counted, front))


def finish_task(Region region, uint32_t t):
    """Seals the returns of a task that this process runs or adopted, and frees the record."""
    check_region(region.R)
    check(task_finish(region.R, t))


def end_sweep(Region region, uint32_t slot):
    """Frees the dead slot, whose tasks have been adopted."""
    check_region(region.R)
    check(slot_free(region.R, slot))


def die_with_parent(int parent):
    """Lets this process, the leader of its group, and the group end when `parent`, its node, ends."""
    rc = rl_die_with_parent(parent)
    if rc:
        raise os_error(rc, "cannot set the signal that ends this process with the node")


def outlive_parent():
    """Ends what `die_with_parent` began."""
    rc = rl_outlive_parent()
    if rc:
        raise os_error(rc, "cannot take back the signal that ends this process")


def be_subreaper():
    """Lets orphans of this process's descendants become its children."""
    rc = rl_be_subreaper()
    if rc:
        raise os_error(rc, "cannot become a subreaper")


def node_died(Region region) -> bool:
    """Whether the session's node died, and not at the orderly end of the session."""
    return not region.R.closed and rl_node_died(region.R) and not rl_load(&region.R.j.closing)


def lock_owner(Region region) -> int:
    """Thread id of the lock's owner, or 0 for none. Any process that has the mapping may ask, a forked child too."""
    return 0 if region.R.closed else rl_lock_owner(region.R)


def must_look(Region region) -> bool:
    """Whether the node checks again soon without being rung: tasks are queued, or actors wait, and a wake-up may have been
    lost; or threads of workers wait, and what becomes ready meanwhile but doesn't fit rings nobody; or tasks may wait for each
    other. If not, whoever waits next rings it."""
    cdef rl_region* R = region.R
    cdef bint found
    check_region(R)
    found = wakeups_wanted(R) != 0 or rl_load(&R.j.threads_wait) != 0 or rl_load(&R.j.nawaiting) != 0
    if found or rl_load(&R.j.node_looks) == 0:
        return found
    if rl_lock(R):
        check(EIO)
    found = wakeups_wanted(R) != 0
    if not found:
        rl_set32(R, &R.j.node_looks, 0)
    rl_commit(R)
    return found


def end_process(int code, bint finalise):
    """Ends this process without the exit handlers of C, which a fork has copied. `finalise`: ends the interpreter first.

    That may be done with frames on the stack: these and what they hold stay as they are.
    """
    rl_end_process(code, finalise)
