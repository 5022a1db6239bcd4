"""Waits that can't end, as the node sees them: who waits, what queued tasks lack, lending CPUs, and ending a wait in vain.

Neighbours: tasks/blocking.pyx (waits, loans).  Must not decide when to lend or to end a wait: policy/deadlocks.py does.
"""
cdef enum:
    RESOURCES_NAMED = 8  # resources that an error names at most
    ANCESTORS = 64       # tasks above a waiting one that are examined

cdef struct rl_waits:
    uint32_t waiting    # workers that wait without a timeout
    uint32_t last       # the slot in which such a wait began last
    uint32_t chained    # of these workers, those whose wait belongs to the chain of an earlier deadlock
    uint32_t blocked    # all workers whose CPUs are free while they run a task
    uint32_t lendable   # workers and actors' processes whose CPUs can be lent
    bint threads        # threads of them wait
    uint64_t finished   # tasks that all workers have finished
    int64_t lendable_cpus
    int64_t short_cpus  # the least amount that a queued task lacks which has everything else; 0: there is no such task
    bint lacks          # tasks are queued, and each lacks something that others hold


cdef bint is_held_for_life(rl_region* R, uint32_t k) noexcept nogil:
    """Lock held. Whether actors hold some of a resource for life: it may come free at any time, when a handle is dropped."""
    cdef rl_slot* s
    cdef uint32_t i
    if R.h.actors.live == 0:
        return False
    for i in range(1, R.h.slots.used):
        s = rl_slot_at(R, i)
        if s.state == RL_ALIVE and s.held and demanded(R, s.held, k) and (k != RL_CPU or s.blocked == 0):
            return True
    return False


cdef bint others_hold(rl_region* R, uint32_t k) noexcept nogil:
    """Lock held. Whether workers of other jobs work that hold some of a resource, and so may release it."""
    cdef rl_slot* s
    cdef uint32_t i
    for i in range(1, R.h.slots.used if R.h.jobs.live > 1 else 0):
        s = rl_slot_at(R, i)
        if s.state == RL_ALIVE and s.job != R.job and s.shape and s.blocked == 0 and demanded(R, s.shape, k):
            return True
    return False


cdef bint all_lack(rl_region* R) noexcept nogil:
    """Lock held. Whether tasks are queued, each lacks something that others hold, but no actor for life, and no worker is on
    its way."""
    cdef uint32_t q = R.j.ready_ring
    cdef uint32_t k, _
    cdef uint32_t known = 0
    if R.j.nready == 0 or R.j.ncoming or R.j.nstarting:
        return False
    for _ in range(<uint32_t>SCAN_LIMIT):
        if q == 0:
            return True
        k = lacking_resource(R, q)
        if k == 0 or k != known and (is_held_for_life(R, k) or others_hold(R, k)):
            return False
        known = k
        q = queue_at(R, q).next
        if q == R.j.ready_ring:
            return True
    return False


cdef int64_t lacking_cpus(rl_region* R, uint32_t q) noexcept nogil:
    """Lock held. The CPUs that a task of a shape lacks, if it has everything else; else 0."""
    cdef int64_t kept = 0
    if lacking_resource(R, q) != RL_CPU:  # CPUs are checked last
        return 0
    if R.h.reserved_for and R.h.reserved_for != q and is_reserved(R, RL_CPU):
        kept = reserved_amount(R, RL_CPU)
    return queue_at(R, q).cpus + kept - free_of(R, RL_CPU)


cdef int64_t least_lacking_cpus(rl_region* R) noexcept nogil:
    """Lock held. The least that a queued task lacks which lacks only CPUs; 0: there is none, or a worker is on its way."""
    cdef uint32_t lists[2]
    cdef uint32_t n, q, _
    cdef int64_t lack
    cdef int64_t least = 0
    if R.j.ncoming or R.j.nstarting:
        return 0
    lists[0], lists[1] = R.j.ready_ring, resource_at(R, RL_CPU).head
    for n in range(2):
        q = lists[n]
        for _ in range(<uint32_t>SCAN_LIMIT):
            if q == 0:
                break
            lack = lacking_cpus(R, q) if queue_at(R, q).job == R.job else 0
            if lack and (least == 0 or lack < least):
                least = lack
            q = queue_at(R, q).next
            if q == lists[n]:
                break
    return least


cdef bint is_waiting(rl_slot* s) noexcept nogil:
    """Lock held. Whether a worker waits in a task without a timeout: its main thread or, if that is not blocked, another."""
    if s.blocked > s.lent:
        return rl_load(&s.deadlock_flag) != 0
    return s.shape != 0 and s.thread_waits_forever != 0


cdef bint is_chained(rl_region* R, rl_slot* s, int64_t broken) noexcept nogil:
    """Lock held. Whether a worker's wait belongs to the chain of the deadlock that was broken at time `broken`.

    It had begun by then; or it is a wait of the task whose wait was broken, of one that this task had waited for, or of one of
    their descendants.
    """
    cdef uint32_t t = s.running
    cdef uint32_t parent
    cdef uint32_t _
    if s.since <= broken:
        return True
    for _ in range(<uint32_t>ANCESTORS):
        if t == 0 or task_at(R, t).flags & RL_DEADLOCKED:
            return t != 0
        parent = task_at(R, t).parent
        t = parent if parent and task_at(R, parent).serial == task_at(R, t).parent_serial else 0
    return False


cdef void count_waits(rl_region* R, int64_t broken, rl_waits* w) noexcept nogil:
    """Lock held. Fills in who waits; `broken`: when a deadlock was last broken, or 0."""
    cdef rl_slot* s
    cdef uint32_t i
    for i in range(1, R.h.slots.used):
        s = rl_slot_at(R, i)
        if s.job != R.job:
            continue
        w.finished += s.finished
        if s.state != RL_ALIVE or s.role != RL_WORKER and s.role != RL_ACTOR:
            continue
        w.threads |= s.thread_waits != 0
        if may_lend(R, s):
            w.lendable += 1
            w.lendable_cpus += queue_at(R, holding(s)).cpus
        if s.role == RL_ACTOR:
            continue
        w.blocked += s.blocked != 0
        if is_waiting(s):
            w.waiting += 1
            w.chained += broken != 0 and is_chained(R, s, broken)
            w.last = i if w.last == 0 or s.since > rl_slot_at(R, w.last).since else w.last


cdef int waits_read(rl_region* R, int64_t broken, rl_waits* w) noexcept nogil:
    """Fills in `w`; `broken` as in `count_waits`."""
    memset(w, 0, sizeof(rl_waits))
    if rl_lock(R):
        return EIO
    count_waits(R, broken, w)
    w.lacks = all_lack(R)
    w.short_cpus = least_lacking_cpus(R)
    if R.j.threads_wait and not w.threads:
        rl_set32(R, &R.j.threads_wait, 0)  # the next thread that waits rings the node
    rl_commit(R)
    return DONE


def waiting_workers(Region region, int64_t broken=0) -> tuple:
    """Who waits, and for what: facts in the order of `rl_waits`, without `threads`.

    `broken`: when a deadlock was last broken, in ns of CLOCK_MONOTONIC, or 0.
    """
    cdef rl_waits w
    check_region(region.R)
    check(waits_read(region.R, broken, &w))
    return (w.waiting, w.last, w.chained, w.blocked, w.lendable, w.finished, w.lendable_cpus, w.short_cpus, w.lacks)


cdef uint32_t scarce_resources_step(rl_region* R, uint32_t* out) noexcept nogil:
    """Lock held. Writes some resources that queued tasks lack to `out`; how many they are, 0 if a task lacks nothing."""
    cdef uint32_t found = 0
    cdef uint32_t k
    if not all_lack(R):
        return 0
    if R.j.ready_ring:
        out[0] = lacking_resource(R, R.j.ready_ring)
        found = 1
    for k in range(RL_CPU, R.h.resources.used):
        if found < RESOURCES_NAMED and resource_at(R, k).head and (found == 0 or k != out[0]):
            out[found] = k
            found += 1
    return found


def scarce_resources(Region region) -> list:
    """Resources that queued tasks lack, at most 8: CPU 1, GPU 2, then the custom ones; empty if a task lacks nothing."""
    cdef uint32_t kinds[RESOURCES_NAMED]
    cdef uint32_t found, n
    check_region(region.R)
    if rl_lock(region.R):
        check(EIO)
    found = scarce_resources_step(region.R, kinds)
    rl_commit(region.R)
    return [kinds[n] for n in range(found)]


def lend_cpus(Region region, int64_t least=-1) -> int:
    """Lends the CPUs of workers whose threads wait until these are `least` (-1: all of them), in ten-thousandths; how many."""
    cdef int64_t lent = 0
    cdef uint32_t i
    check_region(region.R)
    for i in range(1, rl_load(&region.R.h.slots.used)):
        if 0 <= least <= lent:
            break
        if rl_slot_at(region.R, i).job == region.R.job:
            check(lend(region.R, i, &lent))
    return lent


def break_deadlock(Region region, uint32_t slot):
    """Ends a wait in vain of the worker in a slot with an error: one of its main thread, or else of another thread."""
    cdef rl_slot* s
    check_region(region.R)
    s = rl_slot_at(region.R, slot)
    if not rl_cas(&s.deadlock_flag, RL_WAITS_FOREVER, RL_DEADLOCK):
        if not rl_cas(&s.thread_deadlock_flag, RL_WAITS_FOREVER, RL_DEADLOCK):
            return  # it no longer waits
    rl_add(&s.arrived, 1)
    rl_futex_wake(&s.arrived)


cdef int mark_deadlocked(rl_region* R, uint32_t i) noexcept nogil:
    """Marks the task that returns object `i`, or for 0 the innermost one of this process, as part of a deadlock."""
    cdef uint32_t t
    if rl_lock(R):
        return EIO
    t = object_at(R, i).task if i else rl_slot_at(R, R.slot).running
    if t:
        rl_set16(R, &task_at(R, t).flags, task_at(R, t).flags | RL_DEADLOCKED)
    rl_commit(R)
    return DONE


def take_deadlock(Region region, bint main, list awaited) -> bool:
    """Whether `break_deadlock` chose the present wait of this worker's main thread, or else of its other threads; True only
    once for each such choice.

    If so, the running task and those of the resolved ids `awaited` are marked: what they run into belongs to the same chain.
    """
    cdef rl_slot* me
    cdef uint32_t* flag
    check_region(region.R)
    me = rl_slot_at(region.R, region.R.slot)
    flag = &me.deadlock_flag if main else &me.thread_deadlock_flag
    if not rl_cas(flag, RL_DEADLOCK, RL_WAITS_FOREVER):
        return False
    check(mark_deadlocked(region.R, 0))
    for x in awaited:
        check(mark_deadlocked(region.R, (<ObjectID>x).index))
    return True
