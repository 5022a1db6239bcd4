"""What a task's record says, as the Python code around its run reads it.  Neighbour: execute.pyx."""


def task_arguments(Region region, uint32_t t) -> list:
    """ObjectIDs of a task's arguments, held by this process."""
    check_region(region.R)
    return [hold_id(region.R, i, object_at(region.R, i).generation) for i in task_refs(region.R, t)]


def task_returns(Region region, uint32_t t) -> list:
    """Indices of the returns of a task that this slot runs, in order; 0 for a return that an earlier attempt sealed."""
    check_region(region.R)
    cdef list out = []
    cdef uint32_t i = task_at(region.R, t).returns
    while i:
        out.append(i if object_at(region.R, i).state == RL_PENDING else 0)
        i = object_at(region.R, i).next
    out.reverse()
    return out


def task_facts(Region region, uint32_t t) -> tuple:
    """Facts in a task's record: (index of the function's object, of the object with the call site or 0, attempts begun,
    retries left, number of returns, id, serial, whether the task is cancelled)."""
    check_region(region.R)
    cdef rl_task* k = task_at(region.R, t)
    return (k.function, k.site, k.attempts, k.retries_left, k.nreturns, k.id[:RL_ID_BYTES], k.serial,
            (k.flags & RL_CANCELLED) != 0)


def function_handle(Region region, uint32_t i) -> ObjectID:
    """ObjectID, held by this process, of object `i`, which is pinned for the job: a function, options, an environment."""
    check_region(region.R)
    return hold_id(region.R, i, object_at(region.R, i).generation)
