"""The life of processes: opening and adopting a slot, blocking, closing the session, and the steps of a death's repair."""


def open_worker(Region region) -> int:
    """A slot for a worker that is about to be forked; it counts as starting."""
    cdef uint32_t slot = 0
    check_region(region.R)
    check(slot_open(region.R, RL_WORKER, 0, 0, &slot))
    rl_failpoint(region.R, b"open.fork")
    return slot


def adopt_slot(Region region, uint32_t slot, uint32_t pid, uint64_t started):
    """In the forked worker: the region is this process's now, and the slot that the node opened.

    The parent's handles are the parent's: this process holds nothing yet.
    """
    global current
    rl_failpoint(region.R, b"fork.adopt")
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
    parents.users += 1  # never the last: the mapping is ours now
    region.R = R
    if current == parents:
        current = R
    check(slot_adopt(R, slot, pid, started))
    rl_failpoint(R, b"adopt.loop")


def block(Region region, bint for_ever=False):
    """The task sleeps: its CPUs are free for others until `unblock`. `for_ever`: nothing but an end of others wakes it."""
    check_region(region.R)
    check(block_begin(region.R, for_ever))


def unblock(Region region):
    """It runs again and takes its CPUs back at once."""
    check_region(region.R)
    check(block_end(region.R))


def get_umask() -> int:
    """This process's, which only setting another one tells: no signal handler can come in between and leave that."""
    cdef uint32_t found = rl_umask(0)
    rl_umask(found)
    return found


def while_blocked(Region region, bint for_ever, wait):
    """What `wait()` returns, between `block` and `unblock`: no signal handler can come in between and skip the latter."""
    check_region(region.R)
    check(block_begin(region.R, for_ever))
    try:
        return wait()
    finally:
        check_region(region.R)
        check(block_end(region.R))


def answer_bell(Region region):
    """The node heard its doorbell: whoever rings from now on writes to the eventfd again."""
    check_region(region.R)
    rl_store(&region.R.h.bell_rung, 0)
    rl_failpoint(region.R, b"answer.look")


def is_bell_rung(Region region) -> bool:
    """Whether somebody claimed the doorbell and the node has not answered. A forked child of the node may ask."""
    return not region.R.closed and rl_load(&region.R.h.bell_rung) != 0


def close_session(Region region):
    """Workers stop taking tasks and go."""
    check_region(region.R)
    rl_store(&region.R.h.closing, 1)
    rl_failpoint(region.R, b"closing.wake")
    wake_everybody(region.R)


def is_closing(Region region) -> bool:
    """Whether the session ends."""
    check_region(region.R)
    return rl_load(&region.R.h.closing) != 0


def begin_sweep(Region region, uint32_t slot):
    """The slot's process is gone for certain (its pidfd said so): its CPUs are free again."""
    check_region(region.R)
    check(slot_sweeping(region.R, slot))


def adopt_task(Region region, uint32_t slot) -> tuple:
    """The innermost task that the dead slot ran moves to this process.

    Returns:
        (record or 0, whether all its returns were sealed already).
    """
    check_region(region.R)
    cdef uint32_t t = 0
    cdef bint complete = False
    check(slot_adopt_task(region.R, slot, &t, &complete))
    return t, complete


def requeue_task(Region region, uint32_t t, bint counted, bint front):
    """An adopted task runs again; `counted`: this attempt counts against max_retries."""
    check_region(region.R)
    rl_failpoint(region.R, b"adopt.requeue")
    check(task_requeue(region.R, t, counted, front))


def finish_task(Region region, uint32_t t):
    """Seals the returns of a task that this process runs or adopted, and frees the record."""
    check_region(region.R)
    check(task_finish(region.R, t))


def end_sweep(Region region, uint32_t slot):
    """Returns everything else that the dead slot held and frees it."""
    check_region(region.R)
    check(sweep(region.R, slot))


def die_with_parent(int parent):
    """This process, leader of its group, and the group end when `parent`, its node, ends."""
    rc = rl_die_with_parent(parent)
    if rc:
        raise os_error(rc, "cannot follow the node into death")


def be_subreaper():
    """Orphans of this process's descendants become its children."""
    rc = rl_be_subreaper()
    if rc:
        raise os_error(rc, "cannot become a subreaper")


def node_died(Region region) -> bool:
    """Whether the session's node is dead, and not at a session's orderly end."""
    return not region.R.closed and rl_node_died(region.R) and not rl_load(&region.R.h.closing)


def lock_owner(Region region) -> int:
    """Thread id of the lock's owner, 0 for nobody. Any process that has the mapping may ask, a forked child too."""
    return 0 if region.R.closed else rl_lock_owner(region.R)


def has_ready_tasks(Region region) -> bool:
    """Whether tasks are queued: then the node looks again soon, in case a wake-up was lost."""
    check_region(region.R)
    return rl_load(&region.R.h.nready) != 0
