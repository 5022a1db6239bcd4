"""Several calls of an actor at a time, as Python sees them: taking and ending one, and the bell.

Any thread of the process ends calls and takes the next ones; one alone waits for the bell.  Neighbours: running_call.pyx,
tasks/take_call.pyx; workers/concurrent_calls.py decides in which thread a call runs.
"""


cdef RunningCall make_call(Worker worker, uint32_t t):
    """The call of a record that this process has taken."""
    cdef rl_region* R = worker.region.R
    cdef RunningCall call = RunningCall.__new__(RunningCall)
    call.worker, call.record = worker, t
    memcpy(call.id, task_at(R, t).id, RL_ID_BYTES)
    call.serial, call.attempt = task_at(R, t).serial, task_at(R, t).attempts
    call.began = rl_now()
    context_share(R, t)
    return call


cdef bint takes_calls(Worker worker) noexcept:
    """Whether this process's actor may begin further calls."""
    cdef rl_region* R = worker.region.R
    if rl_load(&R.j.closing) or worker.leaves():
        return False
    return rl_load(&actor_at(R, rl_slot_at(R, R.slot).actor).state) == RL_ACTOR_ALIVE


def may_take_calls(Worker worker) -> bool:
    """Whether this process's actor may begin further calls: neither it nor the session ends."""
    check_region(worker.region.R)
    return takes_calls(worker)


def take_call(Worker worker, RunningCall ended, int64_t turn, bint rests):
    """Ends a call of this process's actor (None: none) and takes the next one; None if there is none.

    Args:
        turn: ns for which the actor may keep its CPUs while others wait for some.
        rests: whether this is the thread that waits for the bell.
    """
    cdef rl_region* R = worker.region.R
    cdef uint32_t t = 0
    check_region(R)
    if not takes_calls(worker):
        if ended is not None:
            end_call(worker, ended)
        return None
    if ended is not None:
        ended.trace()
    check(call_next_run(R, 0 if ended is None else ended.record, turn, rests, &t))
    if ended is not None:
        settle_waits(R)
    rl_failpoint(R, b"call.began")
    return make_call(worker, t) if t else None


def end_call(Worker worker, RunningCall call):
    """Ends a call; the thread that waits for the bell must look for the next one."""
    check_region(worker.region.R)
    call.trace()
    check(call_end(worker.region.R, call.record))
    settle_waits(worker.region.R)


cdef int settle_waits(rl_region* R) except -1:
    """After the end of a call: perhaps all others wait."""
    if actor_at(R, rl_slot_at(R, R.slot).actor).nwaiting:
        check(calls_wait(R, 0))
    return 0


def bell(Region region) -> int:
    """What `await_bell` compares, to be read before a look at what the bell rings for."""
    check_region(region.R)
    return rl_load(&rl_slot_at(region.R, region.R.slot).bell)


def await_bell(Region region, uint32_t seen, int64_t park):
    """Waits for at most `park` ns until this process's bell is no longer `seen`."""
    cdef rl_region* R = region.R
    check_region(R)
    R.users += 1
    try:
        with nogil:
            bell_wait(R, seen, 0, park)
    finally:
        region_leave(R)
    PyErr_CheckSignals()


def ring_own_bell(Region region):
    """Rings this process's bell: the thread that waits for it looks around."""
    cdef rl_slot* me
    check_region(region.R)
    me = rl_slot_at(region.R, region.R.slot)
    rl_add(&me.bell, 1)
    rl_futex_wake(&me.bell)


def calls_at_once(Region region) -> int:
    """Number of calls that this process's actor may run at a time."""
    check_region(region.R)
    return actor_at(region.R, rl_slot_at(region.R, region.R.slot).actor).most
