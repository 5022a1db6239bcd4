"""The pool of workers as the node sees it, and what a worker is told about itself.

Must not decide how many workers there are: policy/scheduler.py does.
"""


def recheck_stalled(Region region):
    """Gives the reservation to a shape that was stalled for too long, and repairs a lost wake-up. The node calls it often."""
    check_region(region.R)
    check(age(region.R))
    check(wake_workers_unlocked(region.R, wakeups_wanted(region.R)))


cdef uint32_t unserved(rl_region* R, uint32_t others) noexcept nogil:
    """Lock held. Number of tasks that fit after `others` like them, and for which no idle worker is suitable."""
    cdef uint32_t q = R.j.ready_ring
    cdef uint32_t found = 0
    cdef uint32_t _
    for _ in range(<uint32_t>SCAN_LIMIT):
        if q and fits_after(R, q, others) and idle_suitable(R, q, False) == 0:
            found += queue_at(R, q).length
        q = queue_at(R, q).next if q else 0
        if q == R.j.ready_ring:
            break
    return found


def can_start(Region region) -> tuple:
    """(ready, idle, starting, free CPUs, whether a task fits, resting): decides whether one more worker would have work.

    Where some workers can't serve all shapes, `ready` counts the tasks for which no idle worker is suitable, and idle workers
    count only as `resting`.
    """
    cdef rl_region* R = region.R
    cdef uint32_t slot = 0
    cdef uint32_t coming, ready
    cdef bint fits
    check_region(R)
    if rl_lock(R):
        check(EIO)
    coming = R.j.ncoming + R.j.nstarting
    ready = unserved(R, coming) if R.j.workers_differ else R.j.nready
    fits = ready > coming if R.j.workers_differ else pick_unserved(R, coming, False, &slot) != 0
    if R.h.jobs.live > 1 and R.j.nready and coming == 0 and R.j.nidle == 0 and not has_its_share(R):
        fits = True  # others will leave CPUs to it, but only for a worker that is there
    out = ready, 0 if R.j.workers_differ else R.j.nidle, coming, resource_at(R, RL_CPU).free, fits, R.j.nidle
    rl_commit(R)
    return out


def set_at_limit(Region region, bint full):
    """Says whether no more workers can be started: then no process rings the node for one."""
    check_region(region.R)
    rl_store(&region.R.j.at_limit, full)


cdef int retire_step(rl_region* R, int64_t before, uint32_t* out) noexcept nogil:
    """Asks the longest-idle worker to end, if it became idle no later than `before`. `out`: set to its slot, or 0."""
    cdef uint32_t s
    if rl_lock(R):
        return EIO
    s = R.j.idle_last
    out[0] = 0
    if s and rl_slot_at(R, s).since <= before:
        idle_remove(R, s, RL_BUSY)
        rl_store(&rl_slot_at(R, s).leaving, 1)  # before the bell: the worker checks it when the bell rings
        rl_stage_up(R, RL_PUBLISH_BELL, s, 0)
        out[0] = s
    rl_commit(R)
    return DONE


def retire_idle(Region region, int64_t idle_for) -> int:
    """Asks the longest-idle worker to end, if it has been idle for `idle_for` ns; its slot, or 0 if there is none."""
    cdef uint32_t out = 0
    check_region(region.R)
    check(retire_step(region.R, rl_now() - idle_for, &out))
    return out


def longest_idle(Region region) -> int:
    """Idle time in ns of the longest-idle worker, or -1."""
    cdef rl_region* R = region.R
    cdef int64_t since
    check_region(R)
    if rl_lock(R):
        check(EIO)
    since = rl_slot_at(R, R.j.idle_last).since if R.j.idle_last else 0
    rl_commit(R)
    return rl_now() - since if since else -1


def is_leaving(Region region) -> bool:
    """Whether this worker was asked to end."""
    return rl_load(&rl_slot_at(region.R, region.R.slot).leaving) != 0


def held_gpus(Region region) -> list:
    """Numbers of the GPUs that the tasks of this process hold."""
    cdef rl_slot* me
    cdef uint32_t g
    check_region(region.R)
    me = rl_slot_at(region.R, region.R.slot)
    if holding(me) == 0 or queue_at(region.R, holding(me)).gpus == 0:
        return []
    return [g for g in range(RL_GPUS) if me.gpus[g // 64] >> (g % 64) & 1]


def shape_facts(Region region, uint32_t q) -> tuple:
    """(CPUs in ten-thousandths, index of the object with the options or 0) of the tasks of a queue."""
    check_region(region.R)
    return queue_at(region.R, q).cpus, queue_at(region.R, q).options


def fix_threads(Region region, uint32_t threads):
    """Says that this worker's thread pools have their size for good: from now on it serves only tasks with so many CPUs."""
    cdef rl_region* R = region.R
    check_region(R)
    if rl_lock(R):
        check(EIO)
    rl_set32(R, &rl_slot_at(R, R.slot).threads, threads)
    rl_set32(R, &R.j.workers_differ, 1)
    rl_commit(R)


def resource_amounts(Region region) -> list:
    """(total, free) of each resource in ten-thousandths: CPU, GPU (with the free parts of shared ones), custom ones.

    Each number was true at some moment: the lock is held for one resource at a time.
    """
    cdef rl_region* R = region.R
    cdef list out = []
    cdef int64_t free
    cdef uint32_t k, g
    check_region(R)
    for k in range(1, R.h.resources.used):
        if rl_lock(R):
            check(EIO)
        free = free_of(R, k)
        for g in range(RL_GPUS if k == RL_GPU else 0):
            free += R.h.gpu_room[g] if R.h.gpu_shared[g // 64] >> (g % 64) & 1 else 0
        rl_commit(R)
        out.append((resource_at(R, k).total, free))
    return out
