"""Declarations of the core: the structs and inline functions of its C headers, and the types its files share. No bodies."""
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "region/layout.h" nogil:
    enum:
        RL_MAGIC, RL_VERSION, RL_NONE, RL_ID_BYTES, RL_PAGE, RL_LOG_MAX, RL_LOG_BUDGET, RL_STAGE_MAX
        RL_OBJECT_SMALL, RL_TASK_SMALL, RL_REPORTS, RL_CLASSES, RL_FIRST, RL_SECOND
        RL_SHAPES, RL_LANES, RL_NAMES, RL_JOBS, RL_JOB_WORDS, RL_HOST_JOB
        RL_DEPTHS, RL_GPUS, RL_GPU_WORDS, RL_NAMESPACES, RL_ATTEMPTS, RL_UNIT
        RL_FREE, RL_PENDING, RL_CREATING, RL_SEALED, RL_GARBAGE
        RL_BUILDING, RL_WAITING, RL_READY, RL_RUNNING, RL_CANCELLED_QUEUED, RL_MAILED, RL_LANED, RL_PAST
        RL_ACTOR_PENDING, RL_ACTOR_STARTING, RL_ACTOR_ALIVE, RL_ACTOR_ENDING, RL_ACTOR_DEAD
        RL_LANE_STALLED, RL_LANE_OPEN, RL_ALIVE, RL_SWEEPING, RL_JOB_ALIVE, RL_JOB_DROPPING, RL_HOST_LOST
        RL_DRIVER, RL_NODE, RL_WORKER, RL_ACTOR
        RL_BUSY, RL_IDLE, RL_STARTING, RL_RUNG
        RL_UNLISTED, RL_IN_RING, RL_STALLED
        RL_TASKS, RL_TURNS, RL_LIVES
        RL_TURN_NONE, RL_TURN_GIVEN, RL_TURN_HELD_BACK
        RL_CPU, RL_GPU, RL_CUSTOM
        RL_DUE, RL_KILLED, RL_KEEPS, RL_PAST_LOST, RL_ORPHAN, RL_NAMED
        RL_DEADLOCK, RL_WAITS_FOREVER, RL_CYCLE
        RL_EXTENT_FREE, RL_EXTENT_USED, RL_EXTENT_SLAB, RL_EXTENT_SPILLED, RL_EXTENT_HOLE, RL_EXTENT_TRIMMING
        RL_REF_ARGUMENT, RL_REF_CONTENT
        RL_INDEXED, RL_JOB_PINNED, RL_NAMELESS, RL_HANDLE, RL_PUT
        RL_NO_INLINE, RL_INTERRUPTED, RL_PLAIN_ARGS, RL_WRITABLE_ARGS, RL_CANCELLED, RL_CANCEL_FORCED, RL_CANCEL_DELIVERED
        RL_CANCEL_RECURSIVE, RL_DEADLOCKED, RL_AGAIN, RL_REPLAY, RL_IN_CYCLE
        RL_PLAIN, RL_PICKLE, RL_BUFFERS, RL_HANDLE_VALUE, RL_ERROR, RL_ALIAS, RL_PUBLISH_STATE, RL_PUBLISH_BELL
    const uint32_t RL_NOBODY, RL_MANY

    ctypedef struct rl_table:
        uint64_t offset
        uint32_t stride, capacity, limit, used, free, live
    ctypedef struct rl_undo:
        uint64_t where, old
    ctypedef struct rl_stage:
        uint32_t what, index, value
    ctypedef struct pthread_mutex_t:
        pass
    int pthread_mutex_lock(pthread_mutex_t* m)
    ctypedef struct rl_mutex:
        pthread_mutex_t mutex
        uint64_t word
        uint32_t staged, longest
        uint64_t recoveries
        rl_undo undo[128]
        rl_stage stage[32]
    ctypedef struct rl_object:
        uint32_t state, next
        uint8_t id[20]
        uint32_t generation, format, pins, holders, owner
        uint64_t size
        uint32_t extent
        uint16_t cell, flags
        uint32_t waiter, task, edges, contents, hash_next, site
        uint8_t data[40]
    ctypedef struct rl_block_info:
        uint32_t readers, last_read
        uint64_t checksum
        uint32_t moves
    ctypedef struct rl_task:
        uint32_t state, next
        uint8_t id[20]
        uint32_t serial, prev, function, owner
        uint16_t queue, cell
        uint32_t ndeps, awaits
        uint16_t attempts, retries_left
        uint32_t nreturns, returns, refs, parent, parent_serial, args_size, extent, site
        uint16_t flags, actor
        uint32_t nrefs, runtime_env
        uint8_t data[28]
    ctypedef struct rl_ref:
        uint32_t state, next, object, owner, edge_next, edge_prev, linked
    ctypedef struct rl_space:
        uint32_t pages, committed, last, first_map
        uint32_t second_map[30]
        uint32_t heads[240]
    ctypedef struct rl_extent:
        uint32_t state, next, prev, start, pages, left, right, clas
        uint64_t cells[4]
    ctypedef struct rl_resource:
        uint32_t state, next
        int64_t total, free
        uint32_t head, tail
    ctypedef struct rl_demand:
        uint32_t state, resource
        int64_t amount
    ctypedef struct rl_queue:
        uint32_t state, next, prev, job
        int64_t cpus, gpus
        uint32_t first, count, head, tail, length, listed, stalled_on, options
        int64_t stalled_since
        uint32_t chain, depth, base, sibling, nested_next, nested_prev, members
    ctypedef struct rl_slot:
        uint32_t state, next, prev, role, pid, epoch, running, building, shape, next_wide, availability, blocked
        uint64_t started, finished, trace_since
        uint32_t bell, parked, arrived, wake_at, waiting, waiting_for_room, leaving, deadlock_flag, thread_deadlock_flag
        uint64_t gpus[4]
        uint32_t gpu_bound, threads, traced
        int64_t since
        uint32_t row_limit, thread_waits, thread_waits_forever, lent, actor, held, awaits, job, job_serial
    ctypedef struct rl_actor:
        uint32_t state, next, serial, handle, slot, creation, head, tail, length, waiting, open, stalled, nlanes, lane_last
        uint32_t ncalls, nrunning, most, limit, life, turn, wants, want_next, want_prev, resting
        int64_t turn_began
        uint32_t cause, flags, nmailed, facts
        uint8_t name[20]
        uint32_t name_next, past, past_tail
        uint64_t past_bytes
        uint32_t stale, rebuild, nkept, nagain, checkpoint, restarts, max_restarts, incarnation, nwaiting, job
    ctypedef struct rl_lane:
        uint32_t state, next, prev, actor
        uint64_t caller
        uint32_t head, tail, chain, serial, behind
    ctypedef struct rl_job:
        uint32_t state, next, serial, ready_ring, idle_first, idle_last, nidle, nstarting, ncoming, nready
        uint32_t nworking, nworking_nested, nblocked, turn_ring, life_ring, nwanting
        uint32_t nested_rings[8]
        int64_t toplevel_waiting_since
        uint32_t turn_given, actors_due, cancelled_queued, node_looks, workers_differ, threads_wait, nawaiting
        int64_t over_since, yields_until
        uint32_t bell_rung, at_limit, closing
        pthread_mutex_t node_life
    ctypedef struct rl_header:
        uint64_t magic
        uint32_t version, abi
        uint64_t session_id
        uint64_t namespaces[3]
        uint64_t control_bytes, arena_bytes, commit_bytes, page_bytes, row_bytes, rows, reader_bits, traces, trace_bytes
        uint32_t buckets, spill_least, trace_records, tracing
        uint64_t bucket_offset
        uint32_t rung_jobs[8]
        uint32_t poison, reports, waiting_for_room, room_precedence
        rl_table objects, tasks, refs, extents, queues, slots, resources, demands, actors, lanes, jobs
        int64_t aging, job_turn
        uint32_t shapes[1024]
        uint32_t lane_chains[1024]
        uint32_t names[256]
        uint32_t wide_holders, nstalled, reserved_for, working_holders, cancels
        int64_t cpus_held
        uint64_t gpu_free[4]
        uint64_t gpu_shared[4]
        int64_t gpu_room[256]
        uint32_t garbage, reserve, kept, nameless
        uint64_t used_bytes, spilled_bytes, kept_bytes
        rl_space arena, spill, holes
        uint32_t ntrims, trimming, trim_least, trimmable, grew
        uint32_t partial[18]
        rl_mutex lock
        uint32_t raised[1]

cdef extern from *:
    int __builtin_clz(unsigned int) nogil
    int __builtin_clzll(unsigned long long) nogil
    int __builtin_ctz(unsigned int) nogil
    int __builtin_ctzll(unsigned long long) nogil
    int __builtin_popcountll(unsigned long long) nogil
    PyObject* PyList_GET_ITEM(object, Py_ssize_t)
    PyObject* PyTuple_GET_ITEM(object, Py_ssize_t)
    const char* PyUnicode_AsUTF8AndSize(object, Py_ssize_t*) noexcept  # python/codec.pyx checks the result itself
    void PyErr_Clear()

cdef extern from "errno.h" nogil:
    int EUCLEAN

cdef extern from "fcntl.h" nogil:
    int fallocate(int fd, int mode, int64_t at, int64_t n)
    int FALLOC_FL_PUNCH_HOLE, FALLOC_FL_KEEP_SIZE

cdef extern from "sys/mman.h" nogil:
    int madvise(void* at, size_t n, int advice)
    int MADV_DONTDUMP, MADV_DONTNEED, MADV_HUGEPAGE

cdef extern from "region/states.h" nogil:
    enum:
        RL_OWNED, RL_MAY_LACK, RL_LACKS, RL_HAS_TASK, RL_HAS_CREATOR, RL_HAS_VALUE, RL_HAS_SLOT
    ctypedef struct rl_state_rule:
        uint32_t next, facts
    const rl_state_rule* rl_object_rules
    const rl_state_rule* rl_task_rules
    const rl_state_rule* rl_actor_rules
    bint rl_object_may(rl_region* R, rl_object* o, uint32_t to)
    bint rl_task_may(rl_region* R, rl_task* k, uint32_t to)
    bint rl_process_may(rl_region* R, rl_slot* s, uint32_t to)
    bint rl_actor_may(rl_region* R, rl_actor* a, uint32_t to)
    bint rl_lane_may(rl_region* R, rl_lane* l, uint32_t to)
    bint rl_job_may(rl_region* R, rl_job* j, uint32_t to)
    void rl_job_become(rl_region* R, rl_job* j, uint32_t to)
    void rl_actor_become(rl_region* R, rl_actor* a, uint32_t to)
    void rl_lane_become(rl_region* R, rl_lane* l, uint32_t to)
    void rl_object_become(rl_region* R, rl_object* o, uint32_t to)
    void rl_object_publish(rl_region* R, uint32_t i)
    void rl_task_become(rl_region* R, rl_task* k, uint32_t to)
    void rl_process_become(rl_region* R, rl_slot* s, uint32_t to)
    void rl_worker_become(rl_region* R, rl_slot* s, uint32_t to)

cdef extern from "region/sync.h" nogil:
    ctypedef struct rl_region:
        char* meta
        char* arena
        rl_header* h
        rl_job* jobs
        rl_job* j
        void* ring
        uint32_t* handles
        uint32_t* reads
        uint32_t wake[8]
        int control_fd, arena_fd, connection, bell_fd, host_bell_fd
        uint32_t slot, job, released, wakes, fork_generation, row_limit, closed, shared
        int64_t users, share_look
        uint64_t h_control_bytes, h_arena_bytes, handles_bytes
    uint32_t rl_load(const uint32_t* p)
    uint64_t rl_load64(const uint64_t* p)
    uint16_t rl_load16(const uint16_t* p)
    uint32_t rl_add(uint32_t* p, uint32_t v)
    uint32_t rl_swap(uint32_t* p, uint32_t v)
    void rl_store(uint32_t* p, uint32_t v)
    bint rl_cas(uint32_t* p, uint32_t old, uint32_t v)
    void rl_set_bit(uint32_t* bits, uint32_t i)
    void rl_clear_bit(uint32_t* bits, uint32_t i)
    int rl_has_bit(const uint32_t* bits, uint32_t i)
    void rl_pause()
    int64_t rl_now()
    int rl_futex_wait(uint32_t* p, uint32_t expected, int64_t ns)
    void rl_futex_wake(uint32_t* p)
    uint32_t rl_announce(uint32_t* waiter, uint32_t slot, uint32_t* state)
    void rl_set16(rl_region* R, uint16_t* p, uint16_t v)
    void rl_set32(rl_region* R, uint32_t* p, uint32_t v)
    void rl_set64(rl_region* R, uint64_t* p, uint64_t v)
    void rl_set32_mutant(rl_region* R, uint32_t* p, uint32_t v)
    uint32_t rl_length_mutant(uint32_t n, uint32_t room)
    void rl_fresh16(uint16_t* p, uint16_t v)
    void rl_fresh32(uint32_t* p, uint32_t v)
    void rl_fresh64(uint64_t* p, uint64_t v)
    uint32_t rl_log_used(rl_region* R)
    bint rl_staged_full(rl_region* R)
    void rl_stage_up(rl_region* R, uint32_t what, uint32_t index, uint32_t value)
    rl_slot* rl_slot_at(rl_region* R, uint32_t i)
    rl_job* rl_job_at(rl_region* R, uint32_t i)
    void rl_act_for(rl_region* R, uint32_t job)
    void rl_bump(rl_slot* s)
    void rl_recover(rl_region* R)
    int rl_lock(rl_region* R)
    void rl_commit(rl_region* R)
    void rl_abort(rl_region* R)
    void rl_owe_node(rl_region* R)
    void rl_owe_node_of(uint32_t job)
    void rl_ring_all(rl_region* R)
    void rl_owe_job(rl_region* R, uint32_t job)
    uint32_t rl_take_owed_job(rl_region* R)
    void rl_failpoint(rl_region* R, const char* name)
    void rl_block_taken(char* at, uint64_t bytes)
    void rl_block_given(char* at, uint64_t bytes)

cdef extern from "memory/copy.h" nogil:
    ctypedef struct rl_copy_policy:
        uint32_t threads
        uint64_t large, uncached, mapped
    rl_copy_policy rl_copying
    void rl_copy(char* to, const char* buffer, uint64_t n)

cdef extern from "region/die_with_node.h" nogil:
    int rl_die_with_parent(int parent)
    int rl_outlive_parent()
    int rl_be_subreaper()

cdef extern from "sys/stat.h" nogil:
    ctypedef struct rl_stat "struct stat":
        uint64_t st_dev, st_ino
    int stat(const char* path, rl_stat* out)
    uint32_t rl_umask "umask"(uint32_t mask)

cdef extern from "region/robust.h" nogil:
    uint32_t rl_generation
    int rl_watch_forks()
    int rl_mutex_make(pthread_mutex_t* m)
    bint rl_node_died(rl_region* R)
    uint32_t rl_lock_owner(rl_region* R)
    int rl_robust_works(pthread_mutex_t* m)


cdef struct rl_creation:
    # an actor to be made; out: the index and generation of its handle
    uint8_t id[20]   # of the handle
    uint32_t life, turn, most, limit, facts, max_restarts, keeps
    const uint8_t* name  # digest of its name, or NULL
    uint32_t* handle
    uint32_t* generation


cdef struct rl_spec:
    # what a submission asks for, and its progress
    uint8_t id[20]
    uint32_t function, queue, parent, parent_serial, max_retries, flags, runtime_env, site, nreturns, nrefs, args_size
    const char* args
    const uint32_t* refs      # argument objects, all held by the caller
    uint32_t* returns         # out: index and generation of each return
    uint32_t* generations
    uint32_t task
    uint32_t returned, referred, roomed  # progress
    uint32_t actor, actor_serial  # of a call: the actor
    rl_creation* creates  # of a constructor's call: the actor that it makes
    uint32_t unrung           # wake-ups that are left for another section


cdef struct rl_call_context:
    # the task that calls belong to, and their runtime environment; only python/current_task.pyx stores to it
    uint8_t id[20]         # id of the task that the main thread runs, or the driver's root id
    uint32_t attempt
    uint32_t record
    uint32_t serial
    uint32_t threads       # thread ordinals assigned so far
    uint32_t outer, outer_serial  # the task at the bottom of the stack
    unsigned long starts   # thread starts counted before the task at the bottom began
    uint64_t epoch         # changes with each task: then other threads get new ordinals
    uint32_t runtime_env   # object with the runtime environment of calls; 0: the first one
    PyObject* path_list    # compared, never dereferenced: sys.path when it was marked
    PyObject* path_ends[2]
    Py_ssize_t path_length


cdef class ObjectID:
    cdef rl_region* R          # NULL: an id of bare bytes
    cdef uint32_t index
    cdef uint32_t generation
    cdef uint32_t stamp        # number of the last wait that saw this handle: shows duplicates without a set
    cdef bint exposed
    cdef uint8_t raw[20]


cdef class StoreBuffer:
    cdef char* data
    cdef Py_ssize_t size
    cdef bint readonly


cdef class View(StoreBuffer):
    cdef ObjectID owner
    cdef PyObject* before      # list of all views of this process, so that a fork can keep their objects
    cdef PyObject* after
    cdef bint reads            # the bytes may be spilled: this view counts as a read


cdef class Private(StoreBuffer):
    cdef View source           # of a mapping: pages not written yet are those of the object
    cdef void* base
    cdef uint64_t mapped       # bytes of the mapping; 0: plain memory


cdef class Region:
    cdef rl_region* R

    @staticmethod
    cdef Region _map(int control_fd, int arena_fd, uint64_t control, uint64_t arena, int bell_fd, uint64_t handles)
    cdef int _format(self, object sizes) except -1


cdef class RemoteCall:
    cdef dict __dict__
    cdef object slow
    cdef rl_region* R
    cdef rl_spec spec
    cdef ObjectID actor        # of a method: keeps the handle
    cdef Py_ssize_t least, most
    cdef object quick(self, tuple args)


cdef class Worker:
    cdef readonly Region region
    cdef object runner
    cdef readonly dict functions
    cdef uint64_t epoch
    cdef int64_t clock, called, returned  # see execute.pyx
    cdef readonly uint64_t ran
    cdef bint asks  # whether the runner must be asked after this task
    cdef uint64_t since  # calls since the actor's checkpoint, or the last try of one
    cdef public uint64_t interval, past_most, bytes_most  # of actors with checkpoints, else 0: see run_calls
    cdef readonly bint retired  # whether this process must end: it was asked to, or the runner said so
    cdef readonly uint32_t calling  # the record whose function runs now and may be interrupted; 0: none
    cdef uint32_t runtime_env, queue
    cdef bint env_changed(self, rl_task* k) noexcept
    cdef bint apply_runtime_env(self, rl_task* k) except -1
    cdef uint32_t shape_of(self, rl_task* k) noexcept
    cdef bint apply_shape(self, rl_task* k) except -1
    cdef int end_timers(self) except -1
    cdef object call(self, uint32_t t, object f, object args, object kwargs)
    cdef bint leaves(self) noexcept
    cdef bint checkpoint_due(self, uint32_t done) noexcept
    cdef bint execute(self, uint32_t t) except -1
    cdef bint again(self, uint32_t t, bint begun, bint counted, bint front) except -1
    cdef object function_of(self, rl_task* k)
    cdef tuple plain_args(self, uint32_t t)
    cdef object other_args(self, uint32_t t)
    cdef int store(self, uint32_t t, object result) except -1
    cdef object argument(self, uint32_t i, bint writable)
    cdef bint plain_result(self, uint32_t i, object result) except -1
    cdef const char* args_at(self, uint32_t t)
    cdef bytes args_of(self, uint32_t t)
