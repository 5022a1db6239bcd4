"""The program: `harness SECONDS SEED [late]`. One region, a thread for each process, some seconds of random life, the end.

At the end every process is swept, and then nothing may be left: no object, task, ref or used byte.  Exit status 0 and
one line of counts, or BROKEN with what is broken; what a sanitizer finds ends the program with its own status.
"""
from libc.stdlib cimport atoi

cdef extern from "sys/mman.h" nogil:
    int memfd_create(const char* name, unsigned int flags)
    int mprotect(void* at, size_t n, int how)
    int PROT_NONE, MAP_FIXED

cdef extern from "unistd.h" nogil:
    int ftruncate(int fd, int64_t n)
    Py_ssize_t posix_read "read"(int fd, void* to, size_t n)

cdef extern from "sys/eventfd.h" nogil:
    int eventfd(unsigned int value, int flags)
    int EFD_NONBLOCK

cdef extern from * nogil:
    uint64_t __atomic_load_n(uint64_t* p, int order)
    void __atomic_store_n(uint64_t* p, uint64_t v, int order)

cdef extern from "sanitizers.h" nogil:
    void rl_forbid(void* at, uint64_t bytes)

cdef enum:
    OBJECTS = 3001       # not a whole number of pages: the gaps behind the tables are out of bounds
    SLOTS = 13
    BUCKETS = 256
    STEP = 4096          # tables grow often
    ARENA = 8388608
    CPUS = 20000
    AGING = 5000000
    TRIM_LEAST = 16     # pages
    GUARD = 1048576
    PATIENCE = 30000     # milliseconds for the tasks to end

cdef uint32_t scratch[3001]


# --- the beginning ---


cdef char* map_file(int fd, uint64_t n) noexcept nogil:
    """The file between two ranges that nobody may touch."""
    cdef char* at = <char*>mmap(NULL, n + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    cdef char* there
    if ftruncate(fd, <int64_t>n):
        broken(b"ftruncate", 0, n, <uint64_t>errno)
    there = <char*>mmap(at + GUARD, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0)
    if there != at + GUARD:
        broken(b"mmap", 0, n, <uint64_t>errno)
    return there


cdef void make_region(rl_region* R) noexcept nogil:
    """As `Region.create` does, without Python."""
    cdef rl_header sizes
    cdef rl_header* h
    cdef uint32_t t
    memset(&sizes, 0, sizeof(sizes))
    R.h_control_bytes, R.h_arena_bytes = lay_out(&sizes, OBJECTS, SLOTS, BUCKETS, 1, 0), ARENA
    R.control_fd, R.arena_fd = memfd_create(b"control", 0), memfd_create(b"arena", 0)
    R.bell_fd = eventfd(0, EFD_NONBLOCK)
    R.meta, R.arena = map_file(R.control_fd, R.h_control_bytes), map_file(R.arena_fd, ARENA)
    h = R.h = <rl_header*>R.meta
    lay_out(h, OBJECTS, SLOTS, BUCKETS, 1, 0)
    h.control_bytes, h.arena_bytes, h.commit_bytes, h.page_bytes = R.h_control_bytes, ARENA, STEP, RL_PAGE
    h.arena.pages, h.aging = ARENA // RL_PAGE, AGING
    h.spill.pages, h.spill_least, h.trim_least = 1 << 20, SPILL_LEAST, TRIM_LEAST
    world.file = memfd_create(b"spill", 0)
    for t in range(TABLES):
        (<rl_table*>&h.objects)[t].used = 1
    if rl_mutex_make(&h.lock.mutex):
        broken(b"mutex", 0, 0, 1)
    for t in range(TABLES):
        if table_grow(R, &(<rl_table*>&h.objects)[t]):
            broken(b"grow a table", t, 0, 1)
    resources_begin(R, CPUS, 0)
    resource_begin(R, RL_CUSTOM, CPUS)
    rl_act_for(R, RL_HOST_JOB)
    if job_open(R, &R.job):
        broken(b"open a job", 0, 0, 1)
    forbid_gaps(R)


cdef void forbid_gaps(rl_region* R) noexcept nogil:
    """Under ASAN: what lies between the tables, and the arena, of which blocks are allowed when they are taken."""
    cdef rl_header* h = R.h
    cdef uint64_t row = h.objects.capacity // 8 + 8
    cdef uint64_t end
    cdef uint32_t t
    for t in range(TABLES):
        end = (<rl_table*>&h.objects)[t].offset + <uint64_t>(<rl_table*>&h.objects)[t].capacity * \
            (<rl_table*>&h.objects)[t].stride
        rl_forbid(R.meta + end, up(end, RL_PAGE) - end)
    for t in range(h.slots.capacity):
        rl_forbid(R.meta + h.rows + t * h.row_bytes + row, h.reader_bits - row)
        rl_forbid(R.meta + h.rows + t * h.row_bytes + h.reader_bits + row, h.row_bytes - h.reader_bits - row)
    rl_forbid(R.meta + sizeof(rl_header), h.slots.offset - sizeof(rl_header))
    rl_forbid(R.arena, ARENA)


cdef void be_born(rl_process* p, uint32_t role, uint64_t seed) noexcept nogil:
    p.R = node.R
    p.R.row_limit = 0
    p.R.reads = <uint32_t*>calloc(OBJECTS, sizeof(uint32_t))
    p.role = role
    p.most = HELD_SPARE
    p.seed = seed * 0x9e3779b97f4a7c15ull + 1
    if slot_open(&node.R, role, 1, 1, &p.R.slot):
        broken(b"open a slot", role, 0, 1)
    if role == RL_WORKER and slot_adopt(&p.R, p.R.slot, 1, 1):
        broken(b"adopt", role, 0, 1)


cdef void start(pthread_t* t, void* (*life)(void*) noexcept nogil, rl_process* p) noexcept nogil:
    if pthread_create(t, NULL, life, p):
        broken(b"pthread_create", 0, 0, 1)


cdef void make_shape(uint32_t k) noexcept nogil:
    """None, a quarter, half and all of the CPUs; the last but one wants half of the custom resource too."""
    cdef rl_shape shape
    cdef uint32_t resource = RL_CUSTOM
    cdef int64_t amount = CPUS // 2
    shape.members = RL_TASKS
    shape.job, shape.options, shape.gpus, shape.resources, shape.amounts = node.R.job, 0, 0, &resource, &amount
    shape.cpus, shape.n = k * CPUS // 4 if k < 3 else CPUS, k == 2
    if shape_queue(&node.R, &shape, &world.queues[k]):
        broken(b"shape", k, 0, 1)


cdef uint32_t actor_shape(uint32_t members, int64_t cpus) noexcept nogil:
    """A queue of actors."""
    cdef rl_shape shape
    cdef uint32_t q = 0
    memset(&shape, 0, sizeof(shape))
    shape.job, shape.members, shape.cpus = node.R.job, members, cpus
    if shape_queue(&node.R, &shape, &q):
        broken(b"shape", members, 0, 1)
    return q


cdef void begin_actors(uint64_t seed) noexcept nogil:
    """Processes without a slot: an actor comes with one."""
    cdef uint32_t k
    global deed, tend
    deed, tend = act_with_actors, look_after_actors
    make_cause()
    for k in range(2):
        lives[k], turns[k] = actor_shape(RL_LIVES, k * CPUS // 4), actor_shape(RL_TURNS, (k + 1) * CPUS // 4)
    for k in range(PLAYERS):
        players[k].R = node.R
        players[k].R.row_limit = 0
        players[k].R.reads = <uint32_t*>calloc(OBJECTS, sizeof(uint32_t))
        players[k].role, players[k].most, players[k].gone = RL_ACTOR, HELD_SPARE, UNUSED
        players[k].seed = (seed + 31 + k) * 0x9e3779b97f4a7c15ull + 1


cdef void begin(uint64_t seed) noexcept nogil:
    cdef uint32_t k
    global FOLD_A, FOLD_B, FOLD_C
    FOLD_A, FOLD_B, FOLD_C = 0x9e3779b97f4a7c15ull, 0xd1b54a32d192ed03ull, 0x8cb92ba72f3d8dd7ull  # no module begins here
    make_region(&node.R)
    be_born(&node, RL_NODE, seed)
    for k in range(DRIVERS):
        be_born(&drivers[k], RL_DRIVER, seed + 1 + k)
    for k in range(WORKERS):
        be_born(&workers[k], RL_WORKER, seed + 11 + k)
    for k in range(4):
        make_shape(k)
    begin_actors(seed)
    start(&node.thread, supervise, &node)
    for k in range(PLAYERS):
        start(&players[k].thread, play, &players[k])
    for k in range(WORKERS):
        start(&workers[k].thread, work, &workers[k])
    start(&drivers[0].second, drive_second, &drivers[0])
    for k in range(DRIVERS):
        start(&drivers[k].thread, drive, &drivers[k])


# --- the end ---


cdef void check_all() noexcept nogil:
    """fsck, as any process may run it at any time."""
    cdef rl_finding f
    if rl_lock(&node.R):
        broken(b"poisoned", 0, 0, node.R.h.poison)
    if fsck(&node.R, scratch, &f):
        broken(f.what, f.where, f.expected, f.found)
    rl_commit(&node.R)
    count(&node, CHECK)


cdef uint32_t tasks_left() noexcept nogil:
    """Those that are to run: an actor that is alive may keep calls that have ended."""
    cdef uint32_t n, a
    if rl_lock(&node.R):
        broken(b"poisoned", 0, 0, node.R.h.poison)
    n = node.R.h.tasks.live
    for a in range(1, node.R.h.actors.used):
        if actor_at(&node.R, a).state != RL_FREE:
            n -= actor_at(&node.R, a).nkept
    rl_commit(&node.R)
    return n


cdef void finish() noexcept nogil:
    """Drivers leave, the tasks that are left run, workers and node end."""
    cdef uint32_t k
    cdef uint32_t patience = PATIENCE
    rl_store(&world.stop, 1)
    for k in range(DRIVERS):
        pthread_join(drivers[k].thread, NULL)
    while tasks_left():
        usleep(1000)
        patience -= 1
        if patience == 0:
            broken(b"tasks that never end", 0, 0, node.R.h.tasks.live)
    rl_store(&node.R.j.closing, 1)
    wake_everybody(&node.R)
    for k in range(WORKERS):
        pthread_join(workers[k].thread, NULL)
    for k in range(PLAYERS):
        pthread_join(players[k].thread, NULL)
    rl_store(&world.over, 1)
    pthread_join(drivers[0].second, NULL)
    pthread_join(node.thread, NULL)


cdef void nothing_is_left() noexcept nogil:
    """Every process but the node is swept: what they still held goes."""
    cdef rl_header* h = node.R.h
    cdef uint64_t custom
    cdef uint32_t k
    cdef uint32_t a = 0
    for k in range(1, h.slots.used):
        if k != node.R.slot and rl_slot_at(&node.R, k).state == RL_ALIVE:
            if rl_slot_at(&node.R, k).actor:
                bury_actor(k)
            else:
                bury(k)
    for k in range(1, h.actors.used):
        if actor_at(&node.R, k).state == RL_ACTOR_PENDING:
            end_one(k)
    while not actor_due_take(&node.R, &a) and a:
        answer_due(a)
    did(&node, RELEASE, object_release(&node.R, cause))
    check_all()
    if h.actors.live or h.lanes.live or node.R.j.nwanting:
        broken(b"actors or lanes are left", h.actors.live, h.lanes.live, node.R.j.nwanting)
    if h.objects.live or h.tasks.live or h.refs.live or h.garbage:
        broken(b"objects, tasks or refs are left", h.objects.live, h.tasks.live, h.refs.live)
    if h.spilled_bytes:
        broken(b"spilled bytes are left", 0, 0, h.spilled_bytes)
    if h.used_bytes or h.slots.live != 1 or resource_at(&node.R, RL_CPU).free != CPUS:
        broken(b"bytes, slots or CPUs are left", h.used_bytes, h.slots.live, <uint64_t>resource_at(&node.R, RL_CPU).free)
    custom = <uint64_t>resource_at(&node.R, RL_CUSTOM).free
    if custom != CPUS or h.nstalled or h.reserved_for or node.R.j.cancelled_queued:
        broken(b"of the custom resource, or what is stalled", custom, h.nstalled, h.reserved_for)


cdef uint64_t total(rl_deed what) noexcept nogil:
    cdef uint64_t n = node.counts[<int>what]
    cdef uint32_t k
    for k in range(DRIVERS):
        n += drivers[k].counts[<int>what]
    for k in range(WORKERS):
        n += workers[k].counts[<int>what]
    for k in range(PLAYERS):
        n += players[k].counts[<int>what]
    return n


cdef public int main(int argc, char** argv) noexcept nogil:
    cdef int k
    if argc < 3:
        printf("harness SECONDS SEED [late]\n")
        return 2
    world.late = argc > 3
    begin(<uint64_t>atoi(argv[2]))
    usleep(<unsigned int>(atoi(argv[1]) * 1000000))
    finish()
    nothing_is_left()
    for k in range(DEEDS):
        printf("%s=%lu ", name_of(<rl_deed>k), total(<rl_deed>k))
    printf("longest=%u\n", node.R.h.lock.longest)
    fflush(stdout)
    return 0
