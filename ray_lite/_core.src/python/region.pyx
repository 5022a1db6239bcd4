"""Region: laying out, mapping, attaching and closing the shared memory; and facts about its content.

Neighbours: store/region_files.py makes the files; region/layout.h describes their content.  Must not make files or
choose sizes.
"""
cdef enum:
    ABI = 0x524c0000
    QUEUES_MOST = 65535     # a task's word for its queue has 16 bits
    ACTORS_MOST = 65535     # the same of its word for its actor
    DEMANDS_MOST = 1 << 20  # demands for custom resources, of all shapes together
    CALLS_REFUSED = 1       # calls are refused; the mapping stays
    MAPPING_GONE = 2        # the mapping is gone, or goes with the last view


cdef uint64_t up(uint64_t n, uint64_t to) noexcept nogil:
    return (n + to - 1) // to * to


cdef uint64_t lay_table(rl_table* t, uint64_t at, uint32_t stride, uint32_t capacity) noexcept nogil:
    t.offset = at
    t.stride = stride
    t.capacity = capacity
    return up(at + <uint64_t>stride * capacity, RL_PAGE)


cdef uint64_t lay_out(rl_header* h, uint32_t objects, uint32_t slots, uint32_t buckets, uint32_t kinds,
                      uint32_t traces) noexcept nogil:
    """Fills in the offsets of a header; returns the bytes that the control file needs. `kinds`: number of custom resources.
    `traces`: records of a ring."""
    cdef uint64_t at = up(sizeof(rl_header), RL_PAGE)
    at = lay_table(&h.slots, at, sizeof(rl_slot), slots)
    at = lay_table(&h.resources, at, sizeof(rl_resource), RL_CUSTOM + kinds)
    at = lay_table(&h.demands, at, sizeof(rl_demand), DEMANDS_MOST if kinds else 2)
    at = lay_table(&h.queues, at, sizeof(rl_queue), QUEUES_MOST)
    h.bucket_offset = at
    h.buckets = buckets
    at = up(at + <uint64_t>buckets * 4, RL_PAGE)
    at = lay_table(&h.objects, at, sizeof(rl_object), objects)
    at = lay_table(&h.tasks, at, sizeof(rl_task), objects)
    at = lay_table(&h.refs, at, sizeof(rl_ref), objects * 2)
    at = lay_table(&h.extents, at, sizeof(rl_extent), objects)
    at = lay_table(&h.actors, at, sizeof(rl_actor), min(objects, <uint32_t>ACTORS_MOST))
    at = lay_table(&h.lanes, at, sizeof(rl_lane), objects)
    at = lay_table(&h.jobs, at, sizeof(rl_job), RL_JOBS)
    h.rows = at
    h.reader_bits = up(objects // 8 + 8, RL_PAGE)
    h.row_bytes = 2 * h.reader_bits
    h.traces = at + h.row_bytes * slots
    h.trace_records = traces
    h.trace_bytes = up((<uint64_t>traces + 1) * RL_TRACE_BYTES, RL_PAGE) if traces else 0
    return h.traces + h.trace_bytes * slots


def control_bytes(uint32_t objects, uint32_t slots, uint32_t buckets, uint32_t resources=0, uint32_t traces=0) -> int:
    """Size of the control file for so many objects (and tasks), process slots, id buckets (a power of two), custom resources
    (`kinds`) and records of each process's ring of traces (a power of two, or 0)."""
    cdef rl_header h
    memset(&h, 0, sizeof(h))
    return lay_out(&h, objects, slots, buckets, resources, traces)


cdef uint32_t abi() noexcept nogil:
    return ABI | <uint32_t>sizeof(pthread_mutex_t) | (<uint32_t>sizeof(rl_header) << 6 & 0xffc0)


cdef uint64_t job_key_of(rl_region* R, uint32_t job) noexcept nogil:
    """A number for a job that no other job of the session ever has."""
    return <uint64_t>rl_job_at(R, job).serial << 32 | job


cdef class Region:
    """One process's view of a session's shared memory.

    `create` makes it in the first process, and lays the tables out; `attach` in every other. The files stay the caller's.
    """

    def __init__(self):
        raise TypeError("Region.create or Region.attach make regions")

    @staticmethod
    cdef Region _map(int control_fd, int arena_fd, uint64_t control, uint64_t arena, int bell_fd, uint64_t handles):
        cdef Region self = Region.__new__(Region)
        cdef rl_region* R = <rl_region*>calloc(1, sizeof(rl_region))  # outlives the mapping: late handles read it
        cdef int code
        if R == NULL:
            raise MemoryError("no memory for a region's private part")
        R.meta = <char*>mmap(NULL, control, PROT_READ | PROT_WRITE, MAP_SHARED, control_fd, 0)
        R.arena = <char*>mmap(NULL, arena, PROT_READ | PROT_WRITE, MAP_SHARED, arena_fd, 0)
        R.handles = <uint32_t*>mmap(NULL, handles, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        if R.meta == <char*>MAP_FAILED or R.arena == <char*>MAP_FAILED or R.handles == <uint32_t*>MAP_FAILED:
            code = errno
            for at, n in ((<size_t>R.meta, control), (<size_t>R.arena, arena), (<size_t>R.handles, handles)):
                if <void*><size_t>at != MAP_FAILED:
                    munmap(<void*><size_t>at, n)
            free(R)
            raise os_error(code, f"cannot map {control + arena + handles:,} bytes of address space for the region "
                                 "(RLIMIT_AS, `ulimit -v`, may be too low)")
        madvise(R.meta, control, MADV_DONTDUMP)
        madvise(R.arena, arena, MADV_DONTDUMP)
        madvise(R.arena, arena, MADV_HUGEPAGE)  # if the kernel allows them for shared memory (shmem_enabled); else harmless
        R.h = <rl_header*>R.meta
        R.reads = R.handles + handles // 8
        R.control_fd, R.arena_fd, R.bell_fd, R.host_bell_fd = control_fd, arena_fd, bell_fd, bell_fd
        R.h_control_bytes, R.h_arena_bytes, R.handles_bytes = control, arena, handles
        R.fork_generation = rl_generation
        R.connection = -1
        self.R = R
        return self

    @staticmethod
    def create(int control_fd, int arena_fd, int bell_fd, sizes):
        """Lays out a new region in two files of the right size.

        Args:
            control_fd, arena_fd: files of `sizes.control_bytes` and `sizes.arena_bytes` bytes, all zero.
            bell_fd: eventfd that wakes the node.
            sizes: record with control_bytes, arena_bytes, objects, slots, buckets, commit_bytes, page_bytes (of the arena's
                file), reserve_bytes (of the arena, for failures), spill_least (bytes of the smallest object that may be
                spilled, 0: none), room_precedence (ns for which a process that waits for room goes before others),
                trim_bytes (of a free run that is worth trimming, 0: none is), cpus (ten-thousandths), gpus (their number),
                resources (list of the total of each custom resource, in ten-thousandths), aging (ns after which a stalled
                shape gets the reservation), job_turn (ns for which a job may have more than its share of the CPUs while
                another has less), trace_records (of each process's ring: a power of two, 0: none), tracing (whether with
                detail from the start), session_id, namespaces (system/process.py).

        Raises:
            OSError: the files can't be mapped, or this kernel doesn't hand over robust locks.
            ObjectStoreFullError: no memory for the tables.  ValueError: more GPUs than a region has room for.
        """
        if sizes.gpus > RL_GPUS:
            raise ValueError(f"a region has room for {RL_GPUS} GPUs, not for {sizes.gpus}")
        cdef Region self = Region._map(control_fd, arena_fd, sizes.control_bytes, sizes.arena_bytes, bell_fd,
                                       <uint64_t>sizes.objects * 8)
        try:
            self._format(sizes)
        except BaseException:
            self.close()
            raise
        return self

    cdef int _format(self, object sizes) except -1:
        """Makes the header, tables and locks, all that a new region needs before other processes may see it."""
        cdef rl_header* h = self.R.h
        cdef int control_fd = self.R.control_fd
        cdef int rc
        check(commit_pages(control_fd, 0, sizeof(rl_header)))
        lay_out(h, sizes.objects, sizes.slots, sizes.buckets, len(sizes.resources), sizes.trace_records)
        check(commit_pages(control_fd, h.bucket_offset, h.bucket_offset + <uint64_t>h.buckets * 4))
        h.version, h.abi, h.session_id = RL_VERSION, abi(), sizes.session_id
        for t in range(RL_NAMESPACES):
            h.namespaces[t] = sizes.namespaces[t]
        h.control_bytes, h.arena_bytes, h.commit_bytes = sizes.control_bytes, sizes.arena_bytes, sizes.commit_bytes
        h.page_bytes = sizes.page_bytes
        h.arena.pages = <uint32_t>(<uint64_t>sizes.arena_bytes // RL_PAGE)
        h.spill.pages = (<uint32_t>1 << RL_FIRST) - 1
        h.spill_least, h.room_precedence = sizes.spill_least, sizes.room_precedence >> 20
        h.trim_least = <uint32_t>(<uint64_t>sizes.trim_bytes // RL_PAGE)
        h.reserve = <uint32_t>(<uint64_t>sizes.reserve_bytes // RL_PAGE)
        h.aging, h.job_turn, h.tracing = sizes.aging, sizes.job_turn, sizes.tracing
        for t in range(TABLES):
            (<rl_table*>&h.objects)[t].used = 1
        rc = rl_mutex_make(&h.lock.mutex)
        if rc == 0:
            rc = rl_robust_works(&h.lock.mutex)
        if rc == EAGAIN:
            raise os_error(rc, "cannot start a thread (RLIMIT_NPROC, `ulimit -u`, or a pids.max)")
        if rc:
            raise os_error(rc, "this kernel does not tell the next locker that a lock's owner died (robust futexes; "
                               "gVisor and some emulators lack them), so ray_lite cannot run here")
        for t in range(TABLES):
            check(table_grow(self.R, &(<rl_table*>&h.objects)[t]))
        while h.resources.limit < h.resources.capacity:
            check(table_grow(self.R, &h.resources))
        resources_begin(self.R, sizes.cpus, sizes.gpus)
        for t in range(len(sizes.resources)):
            resource_begin(self.R, RL_CUSTOM + t, sizes.resources[t])
        rl_act_for(self.R, RL_HOST_JOB)
        check(job_open(self.R, &self.R.job))
        check(rl_mutex_make(&self.R.j.node_life))
        h.magic = RL_MAGIC
        return 0

    @staticmethod
    def attach(int control_fd, int arena_fd, int bell_fd, namespaces, uint32_t job=RL_HOST_JOB, int host_bell_fd=-1):
        """Maps a region that another process created.

        Args:
            job: the one to which this process belongs; `bell_fd` wakes its node.
            host_bell_fd: eventfd that wakes the host; of the host's job it is `bell_fd`.

        Raises:
            RaySystemError: another version, another ABI (libc, architecture), or another namespace: of pids, by which the
                lock names its owner; of users, whose ids would mean others; of time, which the clocks of all must share.
        """
        cdef rl_header* h
        cdef uint64_t control, arena, handles
        cdef uint32_t version, its_abi
        cdef uint64_t magic
        cdef int64_t there = lseek(control_fd, 0, SEEK_END)
        if there < 0:
            raise os_error(errno, "cannot map the region's header")
        if there < <int64_t>sizeof(rl_header):
            raise RaySystemError("not a region: the file is too short")
        h = <rl_header*>mmap(NULL, sizeof(rl_header), PROT_READ, MAP_SHARED, control_fd, 0)
        if h == <rl_header*>MAP_FAILED:
            raise os_error(errno, "cannot map the region's header")
        magic, version, its_abi = h.magic, h.version, h.abi
        its_namespaces = [h.namespaces[t] for t in range(RL_NAMESPACES)]
        control, arena, handles = h.control_bytes, h.arena_bytes, <uint64_t>h.objects.capacity * 8
        munmap(h, sizeof(rl_header))
        if magic != RL_MAGIC or version != RL_VERSION:
            raise RaySystemError(f"not a region of this version of ray_lite (its format is {version}, ours {RL_VERSION})")
        if its_abi != abi():
            raise RaySystemError("the region was made by a ray_lite with another C library or architecture")
        for kind, its, ours in zip(("pid", "user", "time"), its_namespaces, namespaces):
            if its != ours:
                raise RaySystemError(f"the region belongs to another {kind} namespace (container); sessions don't cross them")
        if lseek(control_fd, 0, SEEK_END) < <int64_t>control or lseek(arena_fd, 0, SEEK_END) < <int64_t>arena:
            raise RaySystemError("the region's files are shorter than its header says")
        cdef Region self = Region._map(control_fd, arena_fd, control, arena, bell_fd, handles)
        rl_act_for(self.R, RL_HOST_JOB)
        if not 0 < job < self.R.h.jobs.used or rl_job_at(self.R, job).state != RL_JOB_ALIVE:
            self.close()
            raise RaySystemError(f"the region has no job {job}")
        rl_act_for(self.R, job)
        self.R.host_bell_fd = bell_fd if job == RL_HOST_JOB else host_bell_fd
        return self

    def join(self, int role, uint32_t pid, uint64_t started):
        """Takes a slot for this process. `kind`: its role, driver or node. `started`: its start in clock ticks since boot."""
        check_region(self.R)
        check(slot_open(self.R, role, pid, started, &self.R.slot))
        if role == RL_NODE and pthread_mutex_lock(&self.R.j.node_life):
            raise RaySystemError("the job has a node already")
        traces_begin(self.R)
        rl_failpoint(self.R, b"join.work")

    def take_slot(self, uint32_t slot):
        """Takes the slot that the host opened for this process."""
        check_region(self.R)
        self.R.slot = slot
        traces_begin(self.R)

    def make_current(self):
        """Makes this region the one that bare and unpickled ids belong to."""
        global current
        current = self.R

    def keep_attached(self, int connection):
        """Gives the region a connection with the host, to be closed when the memory is unmapped: until then somebody may read
        it here, and the host must not free what this driver holds."""
        self.R.connection = connection

    def forget_attachment(self):
        """Closes a forked child's copy of the connection."""
        if self.R.connection >= 0:
            close(self.R.connection)
            self.R.connection = -1

    def retire(self):
        """Refuses calls from now on, since the session has ended. The mapping stays: some calls may be in progress."""
        global current
        cdef rl_region* R = self.R
        if current == R:
            current = NULL
        if not R.closed:
            R.users += 1
            R.closed = CALLS_REFUSED

    def close(self):
        """Forgets the region. Its memory is unmapped now, or when the last exported view is destroyed."""
        self.retire()
        if self.R.closed == CALLS_REFUSED:
            self.R.closed = MAPPING_GONE
            region_leave(self.R)

    @property
    def slot(self) -> int:
        """Slot of this process."""
        return self.R.slot

    @property
    def job(self) -> int:
        """Job of this process."""
        return self.R.job

    @property
    def job_key(self) -> int:
        """A number for this process's job that no other job of the session ever has."""
        return job_key_of(self.R, self.R.job)

    @property
    def cpus(self) -> int:
        """CPUs of the session in ten-thousandths."""
        check_region(self.R)
        return resource_at(self.R, RL_CPU).total

    @property
    def inherited(self) -> bool:
        """Whether this process was forked from the process that the region belongs to."""
        return self.R.fork_generation != rl_generation

    def processes(self) -> list:
        """(pid, role) of the processes that have a slot."""
        cdef uint32_t i
        check_region(self.R)
        return [(rl_slot_at(self.R, i).pid, rl_slot_at(self.R, i).role) for i in range(1, self.R.h.slots.used)
                if rl_slot_at(self.R, i).state == RL_ALIVE and rl_slot_at(self.R, i).pid]

    def workers(self) -> list:
        """(pid, start time, role) of the job's workers and actors' processes, also in a session that is retired or whose node
        died."""
        cdef uint32_t i
        if self.R.closed == MAPPING_GONE:
            return []
        return [(rl_slot_at(self.R, i).pid, rl_slot_at(self.R, i).started, rl_slot_at(self.R, i).role)
                for i in range(1, self.R.h.slots.used) if rl_slot_at(self.R, i).state == RL_ALIVE
                and rl_slot_at(self.R, i).job == self.R.job and rl_slot_at(self.R, i).role in (RL_WORKER, RL_ACTOR)
                and rl_slot_at(self.R, i).pid]

    def check(self):
        """Runs fsck; raises AssertionError with the first invariant that does not hold."""
        cdef rl_finding f
        cdef uint32_t* scratch
        cdef int bad
        check_region(self.R)
        scratch = <uint32_t*>calloc(max(self.R.h.objects.capacity, self.R.h.extents.capacity), sizeof(uint32_t))
        if scratch == NULL:
            raise MemoryError("no memory for fsck")
        self.R.users += 1
        with nogil:
            bad = rl_lock(self.R)
            if not bad:
                bad = fsck(self.R, scratch, &f)
                rl_commit(self.R)
            else:
                wrong(&f, b"poisoned", 0, 0, self.R.h.poison)
        free(scratch)
        region_leave(self.R)
        if bad:
            raise AssertionError(f"{f.what.decode()} (at {f.where}): expected {f.expected}, found {f.found}")

    def statistics(self) -> dict:
        """Counts of what the region holds now, in entries, bytes and pages; racy: each number was true at some moment."""
        cdef rl_header* h
        cdef rl_job* j
        check_region(self.R)
        h, j = self.R.h, self.R.j
        tables = sum((<rl_table*>&h.objects)[t].limit * <uint64_t>(<rl_table*>&h.objects)[t].stride for t in range(TABLES))
        return {
            "objects": max(0, <int64_t>h.objects.live - h.nameless),  # each of the two is racy
            "tasks": h.tasks.live, "refs": h.refs.live, "extents": h.extents.live,
            "actors": h.actors.live, "lanes": h.lanes.live,
            "bytes_used": h.used_bytes, "bytes_spilled": h.spilled_bytes,
            "spill_bytes": h.spill.committed * <uint64_t>RL_PAGE, "kept": h.kept, "bytes_kept": h.kept_bytes,
            "bytes_committed": (h.arena.committed - h.holes.committed) * <uint64_t>RL_PAGE,
            "region_bytes": (h.arena.committed - h.holes.committed) * <uint64_t>RL_PAGE + tables, "arena_bytes": h.arena_bytes,
            "page_bytes": h.page_bytes,
            "ready": j.nready, "idle": j.nidle, "starting": j.nstarting, "slots": h.slots.live, "jobs": h.jobs.live,
            "cpus": resource_at(self.R, RL_CPU).total / 10000.0,  # C would cut off the fraction
            "cpus_free": resource_at(self.R, RL_CPU).free / 10000.0, "stalled": h.nstalled, "reserved": h.reserved_for != 0,
            "recoveries": h.lock.recoveries, "longest_section": h.lock.longest, "poisoned": h.poison != 0,
        }
