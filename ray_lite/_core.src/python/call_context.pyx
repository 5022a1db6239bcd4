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
cdef rl_place place
cdef dict sys_names = sys.__dict__
cdef uint32_t setting = 0          # where this process's calls run: object with it, or 0 (settings.py)
cdef PyObject* path_list = NULL    # compared, never used: sys.path as it was, and its ends
cdef PyObject* path_ends[2]
cdef Py_ssize_t path_length = 0


cdef bint path_moved() noexcept:
    """Whether sys.path may have changed since it was marked. A look into sys.__dict__: PySys_GetObject costs 50 ns."""
    cdef PyObject* path = PyDict_GetItem(sys_names, "path")
    if path != path_list or path == NULL or PyList_GET_SIZE(<object>path) != path_length:
        return True
    return path_length and (PyList_GET_ITEM(<object>path, 0) != path_ends[0]
                            or PyList_GET_ITEM(<object>path, path_length - 1) != path_ends[1])


cdef bint moved() noexcept:
    """Whether sys.path or the working directory may have changed since they were marked."""
    return path_moved() or wandered()


def mark_surroundings():
    """From now on a change of sys.path or of the working directory is noticed; to be called before they are looked at."""
    global path_list, path_length
    stay_here()
    path_list = PyDict_GetItem(sys_names, "path")
    path_length = PyList_GET_SIZE(<object>path_list) if isinstance(<object>path_list, list) else -1
    if path_length > 0:
        path_ends[0] = PyList_GET_ITEM(<object>path_list, 0)
        path_ends[1] = PyList_GET_ITEM(<object>path_list, path_length - 1)


def unmark_surroundings():
    """They count as changed until they are marked."""
    global path_list
    path_list = NULL


def set_setting(uint32_t index):
    """Calls made from now on run where this process was marked to be, which is what the object `index` says."""
    global setting
    setting = index


def get_setting() -> int:
    """The index of the current setting's object."""
    return setting


cdef void next_id(uint64_t what, uint8_t* out) noexcept:
    """The id of the next task or put of this thread. Under the GIL."""
    if rl_thread.epoch != place.epoch:
        rl_thread.epoch = place.epoch
        rl_thread.ordinal = place.threads
        rl_thread.index = 0
        place.threads += 1
    rl_thread.index += 1
    id_derive(place.id, <uint64_t>place.attempt << 32 | rl_thread.ordinal, rl_thread.index << 1 | what, out)


cdef void set_parent(rl_spec* s) noexcept:
    """Whose child a task is, after `next_id`: in a main thread the innermost task's. Any other thread is for ever the outermost
    task's at its first call, if that one has started threads: what runs in place, or later, is a stranger to it."""
    s.parent, s.parent_serial = place.record, place.serial
    if place.record and rl_thread.ordinal:
        if not rl_thread.adopted and place.starts != rl_starts:
            rl_thread.parent, rl_thread.parent_serial = place.outer, place.outer_serial
        rl_thread.adopted = 1
        s.parent, s.parent_serial = rl_thread.parent, rl_thread.parent_serial


def set_root(bytes root):
    """The driver's root id; ids of its puts and tasks derive from it."""
    if len(root) != RL_ID_BYTES:
        raise ValueError("a root id has 20 bytes")
    memcpy(place.id, PyBytes_AS_STRING(root), RL_ID_BYTES)
    place.attempt = place.record = place.serial = place.threads = 0
    place.epoch += 1


def next_put_id() -> bytes:
    """The id of this thread's next put."""
    cdef uint8_t out[RL_ID_BYTES]
    next_id(PUT_INDEX, out)
    return out[:RL_ID_BYTES]


def current_attempt() -> int:
    """Which attempt of its task runs here, from 1; 0 in a driver."""
    return place.attempt if place.record else 0


def current_task() -> tuple:
    """(record, serial) of the task that runs here; (0, 0) in a driver."""
    return place.record, place.serial
