"""The context of calls: which task the calls of this thread belong to, and in which runtime environment they are made.

Ids are derived from it: (task, attempt, thread, index in the thread).  The worker loop (execute.pyx) sets it for each task; all
stores to it are in this file.  Neighbours: cwd_watch.pyx; calls/runtime_env.py looks at sys.path and the directory.
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

cdef rl_call_context context  # of this process; a worker's changes with each task
cdef dict sys_names = sys.__dict__


# --- the task that calls ---


cdef void context_begin(rl_region* R, uint32_t t, uint64_t epoch) noexcept:
    """Calls that the main thread makes from now on are the task's. `epoch` differs from that of all tasks before."""
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


cdef void context_resume(const rl_call_context* outer, uint64_t index) noexcept:
    """An inline task has ended: the task around it goes on making calls where it stopped, in the environment of this moment."""
    global context
    cdef rl_call_context now = context
    context = outer[0]
    context.runtime_env, context.path_list, context.path_length = now.runtime_env, now.path_list, now.path_length
    context.path_ends[0], context.path_ends[1] = now.path_ends[0], now.path_ends[1]
    rl_thread.epoch = outer.epoch
    rl_thread.index = index
    rl_thread.ordinal = 0


cdef void next_id(uint64_t what, uint8_t* out) noexcept:
    """The id of the next task (0) or put (PUT_INDEX) of this thread. Under the GIL."""
    if rl_thread.epoch != context.epoch:
        rl_thread.epoch = context.epoch
        rl_thread.ordinal = context.threads
        rl_thread.index = 0
        context.threads += 1
    rl_thread.index += 1
    id_derive(context.id, <uint64_t>context.attempt << 32 | rl_thread.ordinal, rl_thread.index << 1 | what, out)


cdef void set_parent(rl_spec* s) noexcept:
    """Says whose child a task is, after `next_id`.

    In a main thread it is the innermost task's.  Any other thread belongs for ever to the task that was outermost at its first
    call, if that one has started threads: what runs inline, or later, is a stranger to it.
    """
    s.parent, s.parent_serial = context.record, context.serial
    if context.record and rl_thread.ordinal:
        if not rl_thread.adopted and context.starts != rl_thread_starts:
            rl_thread.parent, rl_thread.parent_serial = context.outer, context.outer_serial
        rl_thread.adopted = 1
        s.parent, s.parent_serial = rl_thread.parent, rl_thread.parent_serial


def set_root(bytes root):
    """The driver's root id; ids of its puts and tasks derive from it."""
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
    """Which attempt of its task runs here, from 1; 0 in a driver."""
    return context.attempt if context.record else 0


def current_task() -> tuple:
    """(record, serial) of the task that runs here; (0, 0) in a driver."""
    return context.record, context.serial


# --- the runtime environment ---


cdef bint path_changed() noexcept:
    """Whether sys.path may have changed since it was marked. A look into sys.__dict__: PySys_GetObject costs 50 ns."""
    cdef PyObject* path = PyDict_GetItem(sys_names, "path")
    if path != context.path_list or path == NULL or PyList_GET_SIZE(<object>path) != context.path_length:
        return True
    return context.path_length and (PyList_GET_ITEM(<object>path, 0) != context.path_ends[0]
                                    or PyList_GET_ITEM(<object>path, context.path_length - 1) != context.path_ends[1])


cdef bint env_moved() noexcept:
    """Whether sys.path or the working directory may have changed since they were marked."""
    return path_changed() or cwd_changed()


def mark_env():
    """A change of sys.path or of the working directory is noticed from now on; to be called before they are looked at."""
    cwd_mark()
    context.path_list = PyDict_GetItem(sys_names, "path")
    context.path_length = PyList_GET_SIZE(<object>context.path_list) if isinstance(<object>context.path_list, list) else -1
    if context.path_length > 0:
        context.path_ends[0] = PyList_GET_ITEM(<object>context.path_list, 0)
        context.path_ends[1] = PyList_GET_ITEM(<object>context.path_list, context.path_length - 1)


def unmark_env():
    """sys.path and the working directory count as changed until they are marked."""
    context.path_list = NULL


def set_runtime_env(uint32_t index):
    """Calls made from now on run in the environment that was marked, which is what the object `index` says (0: the first)."""
    context.runtime_env = index


def get_runtime_env() -> int:
    """The index of the object with the environment of calls."""
    return context.runtime_env
