# cython: language_level=3, boundscheck=False, wraparound=False
"""The floor: what a task costs with nothing but pickle, the core's lock and a shared queue of two processes.

One driver, one forked worker, fixed slots that are used once. A task is three sections of the lock: submit,
take, seal. Whoever has nothing to do spins for a moment, then parks on a futex. No ids, no references, no log
entries, no resources, no errors: whatever ray_lite costs beyond this, its features cost.
"""

import os
from pickle import dumps, loads

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcpy, memset

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_mutexattr_t:
        pass
    enum:
        PTHREAD_PROCESS_SHARED
        PTHREAD_MUTEX_ROBUST
    int pthread_mutexattr_init(pthread_mutexattr_t *)
    int pthread_mutexattr_setpshared(pthread_mutexattr_t *, int)
    int pthread_mutexattr_setrobust(pthread_mutexattr_t *, int)
    int pthread_mutex_init(pthread_mutex_t *, const pthread_mutexattr_t *)

cdef extern from "<sys/mman.h>" nogil:
    enum:
        PROT_READ
        PROT_WRITE
        MAP_SHARED
        MAP_ANONYMOUS
    void *MAP_FAILED
    void *mmap(void *, size_t, int, int, int, long)
    int munmap(void *, size_t)

cdef extern from "<sys/prctl.h>" nogil:
    enum:
        PR_SET_PDEATHSIG
    int prctl(int, unsigned long)

cdef extern from "region/sync.h" nogil:
    ctypedef struct rl_mutex:
        pthread_mutex_t mutex
    ctypedef struct rl_header:
        rl_mutex lock
    ctypedef struct rl_region:
        char *meta
        rl_header *h
    int rl_lock(rl_region *)
    void rl_commit(rl_region *)
    uint32_t rl_load(const uint32_t *)
    uint32_t rl_add(uint32_t *, uint32_t)
    void rl_store(uint32_t *, uint32_t)
    void rl_pause()
    int rl_futex_wait(uint32_t *, uint32_t, int64_t)
    void rl_futex_wake(uint32_t *)

cdef enum:
    SLOT_BYTES = 120
    SPINS = 4000
    PARK_NS = 10_000_000
    KILL = 9

cdef struct Slot:
    uint32_t sealed
    uint32_t size
    char data[SLOT_BYTES]

# Each party's word has a cache line of its own.
cdef struct Board:
    uint32_t submitted
    uint32_t worker_parked
    char pad1[56]
    uint32_t taken
    char pad2[60]
    uint32_t results
    uint32_t driver_parked
    char pad3[56]
    uint32_t closing


cdef bint spin_until_not(const uint32_t *word, uint32_t old) noexcept nogil:
    cdef int _
    for _ in range(SPINS):
        if rl_load(word) != old:
            return True
        rl_pause()
    return False


cdef void park(uint32_t *word, uint32_t old, uint32_t *parked) noexcept nogil:
    """Announce, look again, sleep; the other side changes the word first, then looks for the announcement."""
    rl_store(parked, 1)
    if rl_load(word) == old:
        rl_futex_wait(word, old, PARK_NS)
    rl_store(parked, 0)


cdef int fill(Slot *slot, bytes blob) except -1:
    if PyBytes_GET_SIZE(blob) > SLOT_BYTES:
        raise ValueError("the floor takes small values only")
    memcpy(slot.data, PyBytes_AS_STRING(blob), PyBytes_GET_SIZE(blob))
    slot.size = <uint32_t>PyBytes_GET_SIZE(blob)
    return 0


cdef class Floor:
    cdef rl_region region
    cdef Board *board
    cdef Slot *slots
    cdef uint32_t capacity
    cdef size_t mapped
    cdef object function
    cdef int worker

    def __init__(self, function, uint32_t capacity):
        cdef size_t head = (sizeof(rl_header) + sizeof(Board) + 4095) // 4096 * 4096
        self.function = function
        self.capacity = capacity
        self.mapped = head + capacity * sizeof(Slot)
        base = mmap(NULL, self.mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
        if base == MAP_FAILED:
            raise MemoryError(f"can't map {self.mapped} bytes")
        memset(base, 0, self.mapped)
        memset(&self.region, 0, sizeof(self.region))
        self.region.meta = <char *>base
        self.region.h = <rl_header *>base
        self.board = <Board *>(<char *>base + sizeof(rl_header))
        self.slots = <Slot *>(<char *>base + head)
        self.make_lock()
        self.worker = os.fork()
        if self.worker == 0:
            prctl(PR_SET_PDEATHSIG, KILL)
            self.serve()

    cdef void make_lock(self) noexcept:
        cdef pthread_mutexattr_t kind
        pthread_mutexattr_init(&kind)
        pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED)
        pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST)
        pthread_mutex_init(&self.region.h.lock.mutex, &kind)

    cdef serve(self):
        cdef uint32_t task
        try:
            while (task := self.take()) < self.capacity:
                self.run(&self.slots[task])
        finally:
            # Even on an error: the fork must not go on as a second driver.
            os._exit(0)

    cdef uint32_t take(self) noexcept nogil:
        """The next task, or `capacity` at the end."""
        cdef uint32_t mine = self.board.taken
        cdef uint32_t *submitted = &self.board.submitted
        while rl_load(submitted) == mine:
            if rl_load(&self.board.closing):
                return self.capacity
            if not spin_until_not(submitted, mine):
                park(submitted, mine, &self.board.worker_parked)
        rl_lock(&self.region)
        self.board.taken = mine + 1
        rl_commit(&self.region)
        return mine

    cdef int run(self, Slot *slot) except -1:
        arguments = loads(PyBytes_FromStringAndSize(slot.data, slot.size))
        result = dumps(self.function(*arguments), 5)
        rl_lock(&self.region)
        fill(slot, result)
        rl_store(&slot.sealed, 1)
        rl_commit(&self.region)
        rl_add(&self.board.results, 1)
        if rl_load(&self.board.driver_parked):
            rl_futex_wake(&self.board.results)
        return 0

    def submit(self, *arguments):
        cdef bytes blob = dumps(arguments, 5)
        cdef uint32_t ticket = self.board.submitted
        if ticket == self.capacity:
            raise ValueError(f"the floor was made for {self.capacity} tasks")
        rl_lock(&self.region)
        fill(&self.slots[ticket], blob)
        rl_add(&self.board.submitted, 1)
        rl_commit(&self.region)
        if rl_load(&self.board.worker_parked):
            rl_futex_wake(&self.board.submitted)
        return ticket

    def result(self, uint32_t ticket):
        cdef Slot *slot = &self.slots[ticket]
        cdef uint32_t seen
        with nogil:
            while not rl_load(&slot.sealed):
                if not spin_until_not(&slot.sealed, 0):
                    seen = rl_load(&self.board.results)
                    if not rl_load(&slot.sealed):
                        park(&self.board.results, seen, &self.board.driver_parked)
        return loads(PyBytes_FromStringAndSize(slot.data, slot.size))

    def close(self):
        rl_store(&self.board.closing, 1)
        rl_futex_wake(&self.board.submitted)
        os.waitpid(self.worker, 0)
        munmap(self.region.meta, self.mapped)
