"""Executing tasks: the worker's side of the hot path: take, load, call, dump, seal.

`Worker.run` loops without Python code between plain tasks.  The Python object given as `runner` does everything else: it loads
functions and arguments, stores results that are not plain, reports errors.  Neighbours: workers/task_runner.py (the runner).
"""
cdef extern from *:
    """
    static int rl_stack_depth(void) {
        PyThreadState *t = PyThreadState_Get();
    #if PY_VERSION_HEX >= 0x030c0000
        return t->py_recursion_limit - t->py_recursion_remaining;
    #elif PY_VERSION_HEX >= 0x030b0000
        return t->recursion_limit - t->recursion_remaining;
    #else
        return t->recursion_depth;
    #endif
    }
    """
    int rl_stack_depth()

cdef extern from *:
    """
    #include <sys/time.h>
    static void rl_stop_timers(void) {
        const struct itimerval none = {{0, 0}, {0, 0}};
        setitimer(ITIMER_REAL, &none, NULL);
        setitimer(ITIMER_VIRTUAL, &none, NULL);
        setitimer(ITIMER_PROF, &none, NULL);
    }
    """
    void rl_stop_timers()

cdef enum:
    SIGNALS_MOST = 64  # as many signals can be pending at once


def stack_depth() -> int:
    """Stack depth that Python compares with the recursion limit. Counting frames would take as long as running a task."""
    return rl_stack_depth()


cdef list task_refs(rl_region* R, uint32_t t):
    """Indices of the argument objects of a task, in the order of the call."""
    cdef list out = []
    cdef uint32_t r = task_at(R, t).refs
    while r:
        out.append(ref_at(R, r).object)
        r = ref_at(R, r).next
    out.reverse()
    return out


cdef class Worker:
    """A worker's loop over a region.

    Args:
        runner: does all that is not done here; the protocol `_Runner` in _core.pyi says what it must have.
    """

    def __init__(self, Region region, runner):
        self.region, self.runner = region, runner
        self.functions = {}

    def run(self, int64_t spin, int64_t park) -> int:
        """Runs tasks until this worker was idle for `park` ns, is to end, or the session closes; how many it has run in all.

        After a task it spins for `spin` ns before it sleeps.  If `retired` is set afterwards, this process is to end; else the
        caller decides.
        """
        cdef rl_region* R = self.region.R
        cdef uint32_t t = 0
        cdef uint32_t done = 0
        cdef bint hot = False
        cdef int rc
        check_region(R)
        self.clock = rl_now()
        while not rl_load(&R.j.closing) and not self.leaves():
            check(task_next(R, done, &t))
            done = 0
            if t:
                rl_failpoint(R, b"take.run")
                done = t if self.execute(t) else 0
                rl_failpoint(R, b"run.seal")
                self.ran += 1
                hot = True
                continue
            with nogil:
                rc = idle_wait(R, spin if hot else 0, park)
            self.clock = rl_now()
            hot = False
            if rc == ETIMEDOUT:
                break
            PyErr_CheckSignals()
        if done:
            check(task_finish(R, done))
        return self.ran

    def run_calls(self, int64_t spin, int64_t park, int64_t turn) -> int:
        """Runs calls of this process's actor, one at a time, as `run` runs tasks; if several may run at a time, only one.

        `turn`: ns for which it may keep its CPUs while others wait for some.  If `interval` is not 0, `runner.checkpoint()` is
        called after as many calls, and earlier if the actor keeps `past_most` calls, or `bytes_most` bytes of their arguments.
        """
        cdef rl_region* R = self.region.R
        cdef uint32_t t = 0
        cdef uint32_t done = 0
        cdef bint hot = False
        cdef int rc
        check_region(R)
        self.clock = rl_now()
        while not rl_load(&R.j.closing) and not self.leaves() and not actor_left(R):
            if done and self.interval and self.checkpoint_due(done):
                check(task_finish(R, done))
                done = 0
                self.runner.checkpoint()
                continue  # the actor may have ended in it
            check(call_next_run(R, done, turn, True, &t))
            done = 0
            if t:
                rl_failpoint(R, b"call.run")
                self.since += self.interval and t != actor_at(R, task_at(R, t).actor).creation
                done = t if self.execute(t) else 0
                rl_failpoint(R, b"call.seal")
                self.ran += 1
                hot = True
                if actor_at(R, rl_slot_at(R, R.slot).actor).most > 1:
                    break
                continue
            with nogil:
                rc = call_wait(R, spin if hot else 0, park)
            self.clock = rl_now()
            hot = False
            if rc == ETIMEDOUT:
                break
            PyErr_CheckSignals()
        if done:
            check(task_finish(R, done))
        return self.ran

    cdef bint checkpoint_due(self, uint32_t done) noexcept:
        """Whether a checkpoint is to be made after the call that has just run: also if that was cancelled midway, since it
        can't be run again and others see what it has changed."""
        cdef rl_actor* e = actor_at(self.region.R, rl_slot_at(self.region.R, self.region.R.slot).actor)
        if rl_load16(&task_at(self.region.R, done).flags) & RL_CANCEL_DELIVERED:
            return True
        return self.since >= self.interval or e.nkept + 1 >= self.past_most or e.past_bytes >= self.bytes_most

    def tried_checkpoint(self):
        """Counts calls from here on until the next checkpoint."""
        self.since = 0

    cdef bint leaves(self) noexcept:
        """Whether this process is to end."""
        if rl_load(&rl_slot_at(self.region.R, self.region.R.slot).leaving):  # pairs with retire_step: it stores before the bell
            self.retired = True
        return self.retired

    def ask(self):
        """Lets the runner be asked after the task that runs now."""
        self.asks = True

    def leave(self):
        """Takes this worker off the idle list; if it was rung, another worker is rung."""
        check_region(self.region.R)
        check(idle_leave(self.region.R))

    def run_inline(self, ObjectID x, enter=None):
        """Runs in place a task that object `x` waits for, and finishes its record; whether there was one.

        Calls `enter()` before that task runs.  If an exception is raised here but not in the task, by a signal handler for
        example, the task goes back to its queue.
        """
        cdef rl_call_context outer = context
        cdef uint64_t index = rl_thread.index
        cdef uint32_t t = 0
        cdef int rc
        check_region(self.region.R)
        rc = inline_take(self.region.R, x.index, &t)
        if rc == STALE:
            return False
        check(rc)
        rl_failpoint(self.region.R, b"inline.run")
        calling = self.calling
        self.calling = 0
        self.clock = rl_now()
        ended = begun = False
        try:
            if enter is not None:
                enter()
            begun = True
            ended = self.execute(t)
        except BaseException:
            self.again(t, begun, False, True)
            raise
        finally:
            rl_failpoint(self.region.R, b"inline.finish")
            context_resume(&outer, index)
            try:
                if ended:
                    check(task_finish(self.region.R, t))
                if self.queue != self.shape_of(task_at(self.region.R, outer.record)):  # the outer task continues
                    self.apply_shape(task_at(self.region.R, outer.record))
            finally:
                self.calling = calling
        return True

    cdef bint execute(self, uint32_t t) except -1:
        """Runs a task. True: its returns hold values or errors, not sealed yet. False: it is in its queue again."""
        cdef rl_task* k = task_at(self.region.R, t)
        cdef int64_t begin = self.clock
        cdef uint8_t outcome = RL_OUTCOME_DONE
        self.epoch += 1
        context_begin(self.region.R, t, self.epoch)
        try:
            if self.shape_of(k) != self.queue or self.env_changed(k):
                if not self.apply_runtime_env(k):
                    return self.again(t, False, False, True)
            f = self.function_of(k)
            if k.flags & RL_PLAIN_ARGS:
                args, kwargs = self.plain_args(t), None
            else:
                args, kwargs = self.other_args(t)
            result = self.call(t, f, args, kwargs)
            if self.region.R.fork_generation != rl_generation:
                self.runner.leave_child(None)
            args = kwargs = None
            self.store(t, result)
        except BaseException as e:
            self.calling = 0
            if self.asks:
                self.end_timers()
            if self.region.R.fork_generation != rl_generation:
                self.runner.leave_child(e)
            if self.runner.fail(t, e):
                self.clock = trace_attempt(self.region.R, t, RL_OUTCOME_AGAIN, begin, 0, 0)
                return self.again(t, True, True, False)
            outcome, self.called = RL_OUTCOME_FAILED, 0
        if self.asks:
            self.end_timers()
            self.retired |= self.runner.after(k.function)
            self.asks = self.runner.asks
        self.clock = trace_attempt(self.region.R, t, outcome, begin, self.called, self.returned)
        return True

    cdef int end_timers(self) except -1:
        """Stops the task's interval timers before Python code of ours runs; handlers of signals that came run now."""
        cdef int _
        rl_stop_timers()
        for _ in range(SIGNALS_MOST):
            try:
                PyErr_CheckSignals()
                break
            except BaseException:  # the task that it was for has ended
                continue
        return 0

    cdef object call(self, uint32_t t, object f, object args, object kwargs):
        """Calls the user's function; only in here a cancellation is raised."""
        cdef rl_task* k = task_at(self.region.R, t)
        cdef int64_t called = rl_now() if rl_traces_detail(self.region.R) else 0
        self.calling = t
        if is_undelivered(k):  # if the mark comes later, a signal follows it
            self.runner.raise_cancelled()
        result = f(*args) if kwargs is None else f(*args, **kwargs)
        if k.nreturns > 1:
            result = self.runner.several(t, result)
        self.calling = 0
        self.called, self.returned = called, rl_now() if called else 0
        if self.asks and self.runner.exits is not None:
            raise self.runner.exits
        return result

    cdef bint again(self, uint32_t t, bint begun, bint counted, bint front) except -1:
        check(task_again(self.region.R, t, begun, counted, front))
        return False

    cdef bint env_changed(self, rl_task* k) noexcept:
        """Whether this process is, or may be, in another runtime environment than that of the task's call.

        Also true if an earlier task changed it and then made calls: these made the changed one the environment of calls.  An
        actor's constructor finds the environment of its creation, and its calls what that and they have made of it.
        """
        if k.actor and task_at(self.region.R, actor_at(self.region.R, k.actor).creation) != k:
            return False
        return k.runtime_env != self.runtime_env or k.runtime_env != context.runtime_env or env_moved()

    cdef bint apply_runtime_env(self, rl_task* k) except -1:
        """Adapts this process to a task whose shape or runtime environment differs from what was applied before.

        False: this process can't run tasks with its resources.
        """
        if self.shape_of(k) != self.queue and not self.apply_shape(k):
            return False
        if self.env_changed(k):
            self.runner.runtime_env(k.runtime_env)
            self.runtime_env = k.runtime_env
        return True

    cdef uint32_t shape_of(self, rl_task* k) noexcept:
        return queue_at(self.region.R, k.queue).base

    cdef bint apply_shape(self, rl_task* k) except -1:
        """Sets threads, options and visible GPUs as a task's shape says. False: this process can't have them."""
        cdef uint32_t shape = self.shape_of(k)
        self.queue = 0  # if this fails, a part of it may be done
        if self.runner.shape(shape) is False:
            return False
        self.asks = self.asks or self.runner.asks
        self.queue = shape if resource_at(self.region.R, RL_GPU).total == 0 else 0  # with GPUs: a task may change the variable
        return True

    cdef tuple plain_args(self, uint32_t t):
        cdef rl_region* R = self.region.R
        cdef rl_task* k = task_at(R, t)
        cdef const char* at = self.args_at(t)
        cdef const char* end = at + k.args_size
        cdef Py_ssize_t n = <unsigned char>at[0]
        cdef Py_ssize_t _
        cdef Py_ssize_t ref = 0
        cdef list refs = task_refs(R, t) if k.nrefs else None
        cdef list out = []
        at += 1
        for _ in range(n):
            if at < end and at[0] == b'R':
                at += 1
                out.append(self.argument(refs[ref], (k.flags & RL_WRITABLE_ARGS) != 0))
                ref += 1
            else:
                out.append(decode_plain(&at, end))
        return tuple(out)

    cdef object other_args(self, uint32_t t):
        """(positional, keyword arguments) of a call whose arguments are not plain."""
        return self.runner.arguments(t, self.args_of(t), (task_at(self.region.R, t).flags & RL_WRITABLE_ARGS) != 0)

    cdef object function_of(self, rl_task* k):
        """The callable of a task's function object."""
        f = self.functions.get(k.function)
        if f is None:
            f = self.functions[k.function] = self.runner.function(k.function)
        return f

    cdef int store(self, uint32_t t, object result) except -1:
        """Puts a result into the returns of a task, not sealed yet."""
        cdef rl_task* k = task_at(self.region.R, t)
        if k.returns and (k.nreturns > 1 or not self.plain_result(k.returns, result)):  # none: the results are there
            self.runner.store_result(t, result)
        return 0

    cdef object argument(self, uint32_t i, bint writable):
        """Value of an argument object, which the task pins."""
        value = decode_object(self.region.R, i)
        if value is MISS:
            value = self.runner.load(hold_id(self.region.R, i, object_at(self.region.R, i).generation), writable)
        return value

    cdef bint plain_result(self, uint32_t i, object result) except -1:
        cdef rl_object* o = object_at(self.region.R, i)
        cdef Py_ssize_t n
        if o.state != RL_PENDING or o.extent:
            return False
        n = encode_plain(result, <char*>o.data, RL_OBJECT_SMALL)
        if n < 0:
            return False
        rl_fresh64(&o.size, <uint64_t>n)
        rl_fresh32(&o.format, RL_PLAIN)
        return True

    cdef const char* args_at(self, uint32_t t):
        cdef rl_task* k = task_at(self.region.R, t)
        return block_at(self.region.R, k.extent, k.cell) if k.extent else <char*>k.data

    cdef bytes args_of(self, uint32_t t):
        return self.args_at(t)[:task_at(self.region.R, t).args_size]


def find_inline(Region region, list ids, Py_ssize_t start, Py_ssize_t most) -> int:
    """Position of the first id, from `start` on, for which `run_inline` would find a task now.

    At most `most` ids are examined; if none has such a task, the position behind them.
    """
    cdef rl_region* R = region.R
    cdef Py_ssize_t end = min(len(ids), start + most)
    cdef uint32_t i
    cdef uint32_t found = 0
    check_region(R)
    while start < end:
        i = (<ObjectID>ids[start]).index
        if not is_sealed(R, i):
            check(lock_inline_candidate(R, i, &found))
            rl_abort(R)
            if found:
                break
        start += 1
    return start
