"""What the command line shows of a session: its processes, its tasks by function, and texts that the session keeps.

Racy by design: takes no lock and holds no object, so that whoever looks disturbs nobody.  Neighbour: listing.pyx (objects).
"""
cdef tuple TASK_STATES = ("FREE", "BUILDING", "WAITING", "READY", "RUNNING", "CANCELLED", "MAILED", "LANED", "PAST")
cdef tuple AVAILABILITIES = ("BUSY", "IDLE", "STARTING", "RUNG")


def process_rows(Region region) -> list:
    """The processes that have a slot: (slot, pid, role, availability of a worker, depth of its waits, tasks that it has
    finished, its actor or 0, its innermost task or 0, index of that task's function or 0)."""
    cdef rl_region* R = region.R
    cdef rl_slot* s
    cdef uint32_t i, t
    cdef list out = []
    check_region(R)
    for i in range(1, rl_load(&R.h.slots.used)):
        s = rl_slot_at(R, i)
        if s.state == RL_ALIVE and s.pid:
            t = rl_load(&s.running)
            out.append((i, s.pid, s.role, AVAILABILITIES[s.availability], s.blocked - s.lent, s.finished, s.actor, t,
                        task_at(R, t).function if t else 0))
    return out


def wait_rows(Region region) -> list:
    """Who has waited for a task for a while, without a timeout: (pid, role, index of the function of the task that waits, index
    of that of the awaited task, state of the awaited task)."""
    cdef rl_region* R = region.R
    cdef rl_slot* s
    cdef uint32_t i, t, w
    cdef list out = []
    check_region(R)
    for i in range(1, rl_load(&R.h.slots.used)):
        s = rl_slot_at(R, i)
        t = rl_load(&s.running) if s.state == RL_ALIVE else 0
        for _ in range(max(1, actor_at(R, s.actor).most)):  # a list that changes meanwhile may lead anywhere
            if t == 0 or task_at(R, t).state != RL_RUNNING or task_at(R, t).owner != i:
                break
            w = object_at(R, rl_load(&s.awaits) or rl_load(&task_at(R, t).awaits)).task
            if w:
                out.append((s.pid, s.role, task_at(R, t).function, task_at(R, w).function, TASK_STATES[task_at(R, w).state]))
            t = task_at(R, t).next if s.actor and not rl_load(&s.awaits) else 0
    return out


def task_counts(Region region) -> dict:
    """How many tasks there are: {(index of the function, state): number}. Calls that actors keep are PAST."""
    cdef rl_region* R = region.R
    cdef uint64_t* found
    cdef uint64_t key
    cdef uint32_t t, n
    cdef uint32_t used = 0
    cdef dict out = {}
    check_region(R)
    n = rl_load(&R.h.tasks.used)
    found = <uint64_t*>malloc(<size_t>n * sizeof(uint64_t))
    if found == NULL:
        raise MemoryError("no memory for the counts")
    R.users += 1
    with nogil:
        for t in range(1, n):
            if task_at(R, t).state:
                found[used] = <uint64_t>task_at(R, t).function << 32 | task_at(R, t).state
                used += 1
    region_leave(R)
    for t in range(used):
        key = found[t]
        out[key] = out.get(key, 0) + 1
    free(found)
    return {(key >> 32, TASK_STATES[key & 0xffffffff]): number for key, number in out.items()}


def kept_values(Region region) -> list:
    """Indices of the objects that the session keeps and that begin with a name: functions, and facts of actors' classes."""
    cdef rl_region* R = region.R
    cdef rl_object* o
    cdef uint32_t i, n
    cdef list out = []
    check_region(R)
    n = rl_load(&R.h.objects.used)
    for i in range(1, n):
        o = object_at(R, i)
        if o.flags & RL_JOB_PINNED and o.format == RL_BUFFERS and o.state == RL_SEALED:
            out.append(i)
    return out


def kept_stream(Region region, uint32_t i):
    """(first pickle, whether others follow) of an object that the session keeps, such as a function's name before its code,
    without holding it; None: there is no such object."""
    cdef rl_region* R = region.R
    cdef rl_object* o
    cdef uint64_t* head
    cdef uint64_t count, length
    check_region(R)
    if not 0 < i < rl_load(&R.h.objects.used):
        return None
    o = object_at(R, i)
    if o.flags & RL_JOB_PINNED == 0 or rl_load(&o.state) != RL_SEALED:
        return None
    if o.format == RL_PICKLE:
        return object_data(R, i)[:o.size], False
    head = <uint64_t*>object_data(R, i)
    if o.format != RL_BUFFERS or o.size < 16:
        return None
    count, length = rl_load64(&head[0]), rl_load64(&head[1])  # once: another process may write there
    if count > o.size // 16 - 1 or length > o.size - 16 - 16 * count:
        return None
    return (<char*>head)[16 + 16 * count:16 + 16 * count + length], True
