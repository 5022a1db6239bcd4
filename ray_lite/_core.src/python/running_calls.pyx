"""Several calls of an actor at a time, as Python sees them: taking, running, interrupting and ending one; the bell.

Any thread of the process ends calls and takes the next ones; one alone waits for the bell.  Neighbours: execute.pyx (functions,
arguments and results, as of tasks), current_task.pyx; workers/concurrent_calls.py decides in which thread a call runs.
"""


cdef class RunningCall:
    """One of several calls that this process runs at a time."""

    def __init__(self):
        raise TypeError("only take_call makes these")

    def enter(self):
        """Makes this the call that the code of this context belongs to, and what inherits the context."""
        PyContextVar_Set(own_call, self)

    def function(self):
        """The callable."""
        return self.worker.function_of(task_at(self.worker.region.R, self.record))

    def arguments(self) -> tuple:
        """(positional, keyword arguments)."""
        if task_at(self.worker.region.R, self.record).flags & RL_PLAIN_ARGS:
            return self.worker.plain_args(self.record), {}
        return self.worker.other_args(self.record)

    def call(self, function, args, kwargs):
        """Calls the function, a plain one, in this thread; only in here `interrupt` raises something."""
        cdef PyObject* nothing = NULL
        self.thread = rl_me()
        self.state = PyThreadState_Get()
        try:
            return self.several(function(*args, **kwargs))
        finally:
            self.state = NULL
            PyThreadState_SetAsyncExc(self.thread, nothing)  # what comes too late strikes nobody

    def several(self, result):
        """What a result stands for: itself, or the values of several returns."""
        if task_at(self.worker.region.R, self.record).nreturns > 1:
            return self.worker.runner.several(self.record, result)
        return result

    def store(self, result):
        """Puts the result into the returns, not sealed yet."""
        if self.worker.region.R.fork_generation != rl_generation:
            self.worker.runner.leave_child(None)
        self.worker.store(self.record, result)

    def frame(self):
        """The innermost frame of the thread that runs the function now, or None."""
        cdef PyObject* found = NULL if self.state == NULL else PyThreadState_GetFrame(self.state)
        if found == NULL:
            return None
        frame = <object>found
        Py_DECREF(found)
        return frame

    def interrupt(self, frame, error) -> bool:
        """Raises an error of this class in the thread that runs the function, at its next bytecode, if `frame` is still its
        innermost one; whether it was. Nothing in between lets another thread run."""
        cdef PyObject* found = NULL if self.state == NULL else PyThreadState_GetFrame(self.state)
        if found == NULL:
            return False
        if found == <PyObject*>frame:
            PyThreadState_SetAsyncExc(self.thread, <PyObject*>error)
        Py_DECREF(found)
        return found == <PyObject*>frame

    @property
    def runs_here(self) -> bool:
        """Whether its function runs in this thread, by `call`."""
        return self.state != NULL and self.state == PyThreadState_Get()

    @property
    def is_cancelled(self) -> bool:
        """Whether it is marked as cancelled and was not told yet."""
        return is_undelivered(task_at(self.worker.region.R, self.record))

    @property
    def was_told(self) -> bool:
        """Whether it was told of its cancellation."""
        return rl_load16(&task_at(self.worker.region.R, self.record).flags) & RL_CANCEL_DELIVERED != 0

    def told(self):
        """Notes that it is told of its cancellation."""
        check(cancel_told(self.worker.region.R, self.record))


cdef RunningCall make_call(Worker worker, uint32_t t):
    """The call of a record that this process has taken."""
    cdef rl_region* R = worker.region.R
    cdef RunningCall call = RunningCall.__new__(RunningCall)
    call.worker, call.record = worker, t
    memcpy(call.id, task_at(R, t).id, RL_ID_BYTES)
    call.serial, call.attempt = task_at(R, t).serial, task_at(R, t).attempts
    context_share(R, t)
    return call


cdef bint takes_calls(Worker worker) noexcept:
    """Whether this process's actor may begin further calls."""
    cdef rl_region* R = worker.region.R
    return not rl_load(&R.h.closing) and not worker.leaves() and rl_load(&actor_at(R, rl_slot_at(R, R.slot).actor).state) == RL_ACTOR_ALIVE


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
    check(call_next_run(R, 0 if ended is None else ended.record, turn, rests, &t))
    if ended is not None:
        settle_waits(R)
    rl_failpoint(R, b"call.began")
    return make_call(worker, t) if t else None


def end_call(Worker worker, RunningCall call):
    """Ends a call; the thread that waits for the bell must look for the next one."""
    check_region(worker.region.R)
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


def running_call():
    """The call that the code which runs now belongs to, if this process runs several at a time; else None."""
    return calling_call()


def calls_at_once(Region region) -> int:
    """Number of calls that this process's actor may run at a time."""
    check_region(region.R)
    return actor_at(region.R, rl_slot_at(region.R, region.R.slot).actor).most
