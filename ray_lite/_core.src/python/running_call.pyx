"""RunningCall: one of several calls that an actor runs at a time, and the context variable that says which code is its.

Neighbours: current_task.pyx (ids and parents of what a call submits), several_calls.pyx (takes and ends calls), execute.pyx
(functions, arguments and results, as of tasks).  Must not know in which thread a call runs.
"""
cdef extern from "Python.h":
    ctypedef struct PyThreadState:
        pass
    PyThreadState* PyThreadState_Get()
    PyObject* PyThreadState_GetFrame(PyThreadState* state)  # a new reference
    int PyThreadState_SetAsyncExc(unsigned long thread, PyObject* error)

cdef bint several = False  # whether this process runs several calls at a time, perhaps
cdef object own_call = PyContextVar_New("ray_lite_call", NULL)  # the call that code belongs to, if it runs several


cdef class RunningCall:
    """One of several calls that this process runs at a time."""
    cdef Worker worker
    cdef uint8_t id[20]
    cdef readonly uint32_t record
    cdef uint32_t serial, attempt
    cdef int64_t began         # CLOCK_MONOTONIC, ns
    cdef uint64_t index        # of the last call or put that it made
    cdef PyThreadState* state  # of the thread that runs its function now and may be interrupted; NULL: none
    cdef unsigned long thread
    cdef public bint exits     # whether it called exit_actor

    def __init__(self):
        raise TypeError("only take_call makes these")

    cdef void trace(self) noexcept:
        """Records the call, whose results are there."""
        cdef rl_region* R = self.worker.region.R
        cdef uint32_t i = task_at(R, self.record).returns
        cdef bint failed = i and object_at(R, i).format & RL_ERROR
        trace_attempt(R, self.record, RL_OUTCOME_FAILED if failed else RL_OUTCOME_DONE, self.began, 0, 0)

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


cdef RunningCall calling_call():
    """The call that the code which runs now belongs to, if this process runs several at a time; else None."""
    return get_value(own_call) if several else None


def running_call():
    """The call that the code which runs now belongs to, if this process runs several at a time; else None."""
    return calling_call()
