"""The context of calls: to which task the calls of this thread belong, and in which runtime environment they are made.

Ids are derived from it: (task, attempt, thread, index in the thread).  The worker loop (execute.pyx) sets it for each task; all
stores to it are in this file.  In an actor's process that runs several calls at a time each call has a context of its own
(running_call.pyx).  Neighbours: cwd_watch.pyx; calls/runtime_env.py reads sys.path and the working directory.
"""
cdef enum:
    PUT_INDEX = 1  # keeps ids of puts apart from ids of tasks

cdef extern from * nogil:
    """
    static __thread struct { uint64_t epoch, index; uint32_t ordinal, adopted, parent, parent_serial; } rl_thread;
    """
    ctypedef struct rl_thread_type:
        uint64_t epoch, index
        uint32_t ordinal, adopted, parent, parent_serial
    rl_thread_type rl_thread

cdef rl_call_context context  # this process's; a worker's changes with each task
cdef dict sys_names = sys.__dict__


# --- the task that calls ---


cdef void context_begin(rl_region* R, uint32_t t, uint64_t epoch) noexcept:
    """Assigns the calls that the main thread makes from now on to task `t`. `epoch` differs from that of all earlier tasks."""
    cdef rl_task* k = task_at(R, t)
    memcpy(context.id, k.id, RL_ID_BYTES)
    context.epoch = epoch
    context.attempt, context.record, context.serial = k.attempts, t, k.serial
    if k.next == 0:
        context.outer, context.outer_serial, context.starts = t, k.serial, rl_thread_starts
    context.threads = 1
    rl_thread.epoch = epoch
    rl_thread.index = 0
    rl_thread.ordinal = 0


cdef void context_share(rl_region* R, uint32_t t) noexcept:
    """Notes that one of several calls begins: a thread that the user starts belongs to a call only if that ran alone."""
    global several
    several = True
    context.outer = context.outer_serial = 0
    if task_at(R, t).next == 0:
        context.outer, context.outer_serial, context.starts = t, task_at(R, t).serial, rl_thread_starts


cdef void context_resume(const rl_call_context* outer, uint64_t index) noexcept:
    """Restores the context of the outer task when an inline task has ended, but keeps the present runtime environment.

    `index`: of the last call that the outer task made.
    """
    global context
    cdef rl_call_context now = context
    context = outer[0]
    context.runtime_env, context.path_list, context.path_length = now.runtime_env, now.path_list, now.path_length
    context.path_ends[0], context.path_ends[1] = now.path_ends[0], now.path_ends[1]
    rl_thread.epoch = outer.epoch
    rl_thread.index = index
    rl_thread.ordinal = 0


cdef void next_id(uint64_t what, uint8_t* out) noexcept:
    """Derives the id of the next task (`what` is 0) or put (PUT_INDEX) of this thread, or of its call. Under the GIL."""
    cdef RunningCall call = calling_call() if several else None
    if call is not None:
        call.index += 1
        id_derive(call.id, <uint64_t>call.attempt << 32, call.index << 1 | what, out)
        return
    if rl_thread.epoch != context.epoch:
        rl_thread.epoch = context.epoch
        rl_thread.ordinal = context.threads
        rl_thread.index = 0
        context.threads += 1
    rl_thread.index += 1
    id_derive(context.id, <uint64_t>context.attempt << 32 | rl_thread.ordinal, rl_thread.index << 1 | what, out)


cdef void set_parent(rl_spec* s) noexcept:
    """Sets the parent of a task that is submitted, after `next_id`.

    The parent is the call that the code belongs to, if several run at a time.  Else, in the main thread, it is the innermost
    task.  Any other thread belongs for ever to the task that was outermost at its first call, if that task has started threads,
    else to none: an inline task, or a later one, never becomes its parent.
    """
    cdef RunningCall call = calling_call() if several else None
    if call is not None:
        s.parent, s.parent_serial = call.record, call.serial
        return
    s.parent, s.parent_serial = context.record, context.serial
    if context.record and rl_thread.ordinal:
        if not rl_thread.adopted and context.starts != rl_thread_starts:
            rl_thread.parent, rl_thread.parent_serial = context.outer, context.outer_serial
        rl_thread.adopted = 1
        s.parent, s.parent_serial = rl_thread.parent, rl_thread.parent_serial


def set_root(bytes root):
    """Sets the driver's root id, from which the ids of its puts and tasks are derived."""
    if len(root) != RL_ID_BYTES:
        raise ValueError("a root id has 20 bytes")
    memcpy(context.id, PyBytes_AS_STRING(root), RL_ID_BYTES)
    context.attempt = context.record = context.serial = context.threads = 0
    context.epoch += 1


def next_put_id() -> bytes:
    """The id of this thread's next put."""
    cdef uint8_t out[RL_ID_BYTES]
    next_id(PUT_INDEX, out)
    return out[:RL_ID_BYTES]


def current_attempt() -> int:
    """Number of the attempt of the task that runs here, from 1; 0 in a driver."""
    cdef RunningCall call = calling_call()
    if call is not None:
        return call.attempt
    return context.attempt if context.record else 0


def current_task() -> tuple:
    """(record, serial) of the task that runs here; (0, 0) in a driver."""
    cdef RunningCall call = calling_call()
    if call is not None:
        return call.record, call.serial
    return context.record, context.serial


# --- the runtime environment ---


cdef bint path_changed() noexcept:
    """Whether sys.path may have changed since it was marked. It is read from sys.__dict__: PySys_GetObject costs 50 ns."""
    cdef PyObject* path = PyDict_GetItem(sys_names, "path")
    if path != context.path_list or path == NULL or PyList_GET_SIZE(<object>path) != context.path_length:
        return True
    return context.path_length and (PyList_GET_ITEM(<object>path, 0) != context.path_ends[0]
                                    or PyList_GET_ITEM(<object>path, context.path_length - 1) != context.path_ends[1])


cdef bint env_moved() noexcept:
    """Whether sys.path or the working directory may have changed since they were marked."""
    return path_changed() or cwd_changed()


def mark_env():
    """Marks sys.path and the working directory, so that later changes are noticed; to be called before they are read."""
    cwd_mark()
    context.path_list = PyDict_GetItem(sys_names, "path")
    context.path_length = PyList_GET_SIZE(<object>context.path_list) if isinstance(<object>context.path_list, list) else -1
    if context.path_length > 0:
        context.path_ends[0] = PyList_GET_ITEM(<object>context.path_list, 0)
        context.path_ends[1] = PyList_GET_ITEM(<object>context.path_list, context.path_length - 1)


def unmark_env():
    """Makes sys.path and the working directory count as changed until they are marked again."""
    context.path_list = NULL


def set_runtime_env(uint32_t index):
    """Says that object `index` describes the marked runtime environment (0: the first), in which calls run from now on."""
    context.runtime_env = index


def get_runtime_env() -> int:
    """Index of the object with the runtime environment of calls, 0 for the first."""
    return context.runtime_env
