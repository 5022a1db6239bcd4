"""A process of the harness: a thread with a private view of the region, the handles it has, and how it counts and fails.

Threads share one mapping, so that a sanitizer sees the addresses that all of them use; nothing else is shared but the
words named `atomic` here.  The files of this folder are included behind the core's own, by an umbrella that build.py
writes; the program has no Python in it.  Neighbours: payload.pyx, operations.pyx, lives.pyx, harness.pyx.
"""
from libc.stdio cimport fflush, printf, stdout

cdef extern from "unistd.h" nogil:
    void _exit(int status)
    int usleep(unsigned int us)

cdef extern from "pthread.h" nogil:
    ctypedef unsigned long pthread_t
    int pthread_create(pthread_t* t, void* how, void* (*body)(void*) noexcept nogil, void* it)
    int pthread_join(pthread_t t, void** out)

cdef enum:
    HELD = 500           # handles of a process
    HELD_SPARE = 24      # the most that one operation adds
    LENT = 8             # objects that a driver's second thread waits for
    BOARD = 32
    RECENT = 60
    SPILL_LEAST = 4096   # bytes
    BROKEN = 3           # exit status: an invariant does not hold

cdef enum rl_deed:
    # what is counted: the run means something only if each of these happened
    PUT, CREATE, ROOM, CONTAIN, SEAL, ABANDON, HOLD, GONE, RELEASE, EXPOSE, FIND, MISSED, SUBMIT, TAKE, READ, INLINE, FINISH, \
        WAIT, SATISFIED, LATE, LEND, BLOCK, IDLE, RUNG, LEAVE, FULL, DEATH, REQUEUE, COMPLETE, FAILED, BELL, CHECK, \
        MET_SPILLED, MOVED, BACK, KEPT_HERE, TRIM, CANCEL, MARK, NOTHING, ENDED, AGAIN, RECHECK, RETIRE, RETIRED, \
        MAKE, MAIL, REFUSED, CALL, REST, KILL, START, DRAIN, RESTART, REPLAY, SAVE, LOSE, DEEDS

cdef struct rl_process:
    rl_region R
    pthread_t thread
    uint64_t seed
    uint32_t role
    uint32_t held[HELD]      # indices of HELD objects
    uint32_t nheld
    uint32_t most            # it tries to have no more; grows, so that tables grow for the whole run
    uint32_t floor           # so many of them stay: calls further out on the stack use them
    uint32_t record          # the task that it runs, innermost
    uint32_t serial
    uint32_t depth           # tasks on its stack
    bint dying               # it does nothing more; the node is told by `gone`
    uint32_t gone            # atomic: 1 dead, 2 swept, and R.slot is the new one's
    pthread_t second
    uint32_t lent[LENT]      # of a driver, to its second thread
    uint32_t nlent           # atomic: not 0 while the second thread waits
    uint64_t counts[DEEDS]

cdef struct rl_world:
    # what processes tell each other outside the region
    uint32_t stop            # atomic: no new tasks
    uint32_t over            # atomic: the node and the second threads end
    uint32_t numbers         # atomic: ids given out
    uint64_t board[BOARD]     # atomic: index << 32 | generation of objects that somebody held
    uint32_t queues[4]
    int file                 # of spilled objects
    bint late                # a mutant of the harness itself: it reads what was released

cdef rl_world world


cdef void broken(const char* what, uint64_t where, uint64_t expected, uint64_t found) noexcept nogil:
    printf("broken: %s at %lu: expected %lu, found %lu\n", what, where, expected, found)
    fflush(stdout)
    _exit(BROKEN)


cdef uint32_t roll(rl_process* p, uint32_t n) noexcept nogil:
    """A number below `n`."""
    p.seed ^= p.seed << 13
    p.seed ^= p.seed >> 7
    p.seed ^= p.seed << 17
    return <uint32_t>((p.seed >> 32) % n)


cdef const char* name_of(rl_deed what) noexcept nogil:
    cdef const char* names[57]
    names[:] = [
        b"put", b"create", b"room", b"contain", b"seal", b"abandon", b"hold", b"gone", b"release", b"expose", b"find",
        b"missed", b"submit", b"take", b"read", b"inline", b"finish", b"wait", b"satisfied", b"late", b"lend", b"block",
        b"idle", b"rung", b"leave", b"full", b"death", b"requeue", b"complete", b"failed", b"bell", b"check",
        b"spilled", b"moved", b"back", b"stays", b"trim", b"cancel", b"mark", b"nothing", b"ended", b"again",
        b"recheck", b"retire", b"retired",
        b"make", b"mail", b"refused", b"call", b"rest", b"kill", b"start", b"drain", b"restart", b"replay", b"save", b"lose",
    ]
    return names[<int>what]


cdef void count(rl_process* p, rl_deed what) noexcept nogil:
    p.counts[<int>what] += 1


cdef int did(rl_process* p, rl_deed what, int rc) noexcept nogil:
    """Counts what a core function answered; only a full region is an excuse."""
    if rc == DONE:
        count(p, what)
    elif rc == FULL_ARENA or rc == FULL_TABLE:
        count(p, FULL)
    else:
        broken(name_of(what), p.R.slot, DONE, <uint64_t>rc)
    return rc


cdef void id_of_number(uint32_t number, uint8_t* out) noexcept nogil:
    """Ids that others can guess, as a program knows ids from an earlier run with the same seed."""
    cdef uint8_t root[RL_ID_BYTES]
    memset(root, 1, RL_ID_BYTES)
    id_derive(root, number, 0, out)


cdef void new_id(uint8_t* out) noexcept nogil:
    id_of_number(rl_add(&world.numbers, 1), out)


cdef void new_origin(uint8_t* id, rl_origin* out) noexcept nogil:
    """A new id, in `id`, and no call site."""
    new_id(id)
    out.id, out.site = id, 0


# --- handles: one for each object, as if all of a process's were counted ---


cdef bint keeps(rl_process* p, uint32_t i) noexcept nogil:
    cdef uint32_t k
    for k in range(p.nheld):
        if p.held[k] == i:
            return True
    return False


cdef void keep(rl_process* p, uint32_t i) noexcept nogil:
    if p.nheld == HELD:
        broken(b"too many handles", p.R.slot, HELD, i)
    p.held[p.nheld] = i
    p.nheld += 1


cdef bint hold(rl_process* p, uint32_t i, uint32_t generation) noexcept nogil:
    """A handle for an object that a token names; False when it is gone."""
    cdef int rc
    if keeps(p, i):
        return object_at(&p.R, i).generation == generation
    rc = object_hold(&p.R, i, generation)
    if rc == STALE:
        count(p, GONE)
        return False
    if did(p, HOLD, rc):
        return False
    keep(p, i)
    return True


cdef bint is_lent(rl_process* p, uint32_t i) noexcept nogil:
    cdef uint32_t k
    for k in range(rl_load(&p.nlent)):
        if p.lent[k] == i:
            return True
    return False


cdef void drop(rl_process* p, uint32_t k) noexcept nogil:
    """The handle at place `k` goes."""
    cdef uint32_t i = p.held[k]
    cdef const char* data = NULL
    if is_lent(p, i):
        return
    if world.late and is_sealed(&p.R, i) and 0 < object_at(&p.R, i).size < SPILL_LEAST:
        data = object_data(&p.R, i)
    p.nheld -= 1
    p.held[k] = p.held[p.nheld]
    did(p, RELEASE, object_release(&p.R, i))
    if data != NULL:
        all_equal(data, 1, 0)


cdef void drop_some(rl_process* p, uint32_t most) noexcept nogil:
    """Until no more than `most` are left."""
    cdef uint32_t patience = HELD
    while p.nheld > max(most, p.floor) and patience:
        drop(p, p.floor + roll(p, p.nheld - p.floor))
        patience -= 1


cdef uint32_t any_known(rl_process* p) noexcept nogil:
    """An object held that others may know: sealed or a task's return; 0 if there is none."""
    cdef uint32_t _, i
    for _ in range(<uint32_t>8):
        if p.nheld:
            i = p.held[roll(p, p.nheld)]
            if rl_load(&object_at(&p.R, i).state) != RL_CREATING:
                return i
    return 0


cdef uint32_t any_pending(rl_process* p) noexcept nogil:
    """A return held that is not there yet; 0 if none is met."""
    cdef uint32_t _, i
    for _ in range(<uint32_t>8):
        i = any_known(p)
        if i and rl_load(&object_at(&p.R, i).state) == RL_PENDING:
            return i
    return 0


cdef uint32_t some_known(rl_process* p, uint32_t* out, uint32_t n) noexcept nogil:
    """Up to `n` different objects held that others may know; how many."""
    cdef uint32_t found = 0
    cdef uint32_t k, i
    while n:
        n -= 1
        i = any_known(p)
        for k in range(found):
            if out[k] == i:
                i = 0
        if i:
            out[found] = i
            found += 1
    return found
