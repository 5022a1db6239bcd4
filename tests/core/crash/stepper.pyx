"""The Python face of the crash-state enumeration: a small region, actors in its slots, and their operations, stepped.

Actor 0 is the node, 1 a driver, the others workers.  Operations run in an actor's name with the trap flag set, and judge.pyx
judges every state.
"""
cdef enum:
    ACTORS = 8
    QUEUES = 63        # so many are ever made here
    DEMANDS = 64
    JOBS = 4


cdef char* private_copy(uint64_t n) except NULL:
    """Zeroed pages; calloc's alignment is not enough for the lock."""
    cdef char* p = <char*>mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    if p == <char*>MAP_FAILED:
        raise MemoryError("no memory for a copy of the region")
    return p


cdef int stepped(operation f, rl_order* o) noexcept nogil:
    cdef int rc
    rl_trap_on()
    rc = f(o)
    rl_trap_off()
    return rc


cdef void recovery_stepped(rl_region* R) noexcept nogil:
    rl_trap_on()
    rl_recover(R)
    rl_trap_off()
    rl_forget_debts()


cdef class Stepper:
    """A region whose every operation is judged after each instruction that changes it.

    Args:
        region: made by `Region.create` of this module and joined by nobody.
        every: of so many states, recovery itself is stepped on one; 0: on none.
    """
    cdef Region region
    cdef rl_region actor[8]
    cdef rl_order order
    cdef char* nested
    cdef readonly dict totals

    def __init__(self, Region region, uint32_t every):
        cdef uint32_t k
        cdef uint64_t n = region.R.h.control_bytes
        self.region = region
        self.totals = {"operations": 0, "instructions": 0, "states": 0, "nested": 0}
        memset(&court, 0, sizeof(court))
        court.every = every
        court.scratch = <uint32_t*>private_copy(max(region.R.h.objects.capacity, region.R.h.extents.capacity) * 4)
        rl_step.last = private_copy(n)
        self.nested = private_copy(n)
        for k in range(SNAPSHOTS if every else 0):
            court.snapshot[k] = private_copy(n)
        self.copy_of(&court.work, n)
        self.copy_of(&court.calm, n)
        court.node = court.work
        self.spans()
        for k in range(ACTORS):
            self.actor[k] = region.R[0]
            self.actor[k].reads = <uint32_t*>private_copy(region.R.h.objects.capacity * 4)

    cdef int copy_of(self, rl_region* R, uint64_t n) except -1:
        R[0] = self.region.R[0]
        R.meta = private_copy(n)
        R.h = <rl_header*>R.meta
        R.jobs = <rl_job*>(R.meta + self.region.R.h.jobs.offset)  # the copy is empty still
        R.j = R.jobs + R.job
        R.control_fd = R.arena_fd = R.bell_fd = -1
        return 0

    cdef void spans(self):
        cdef rl_region* R = self.region.R
        cdef uint64_t log = <char*>&R.h.lock.undo[0] - R.meta
        cdef uint32_t k
        cdef rl_table* t
        rl_step.spans = 0
        rl_span_add(0, log, True)
        rl_span_add(log, sizeof(rl_header) - log, False)
        rl_span_add(R.h.slots.offset, R.h.slots.capacity * sizeof(rl_slot), True)
        rl_span_add(R.h.queues.offset, (QUEUES + 1) * sizeof(rl_queue), True)
        rl_span_add(R.h.resources.offset, R.h.resources.capacity * sizeof(rl_resource), True)
        rl_span_add(R.h.demands.offset, DEMANDS * sizeof(rl_demand), True)
        rl_span_add(R.h.bucket_offset, R.h.buckets * 4, True)
        for k in range(4):  # objects, tasks, refs, extents
            t = (<rl_table*>&R.h.objects) + k
            rl_span_add(t.offset, <uint64_t>t.capacity * t.stride, True)
        rl_span_add(R.h.actors.offset, <uint64_t>R.h.actors.capacity * R.h.actors.stride, True)
        rl_span_add(R.h.lanes.offset, <uint64_t>R.h.lanes.capacity * R.h.lanes.stride, True)
        rl_span_add(R.h.jobs.offset, JOBS * sizeof(rl_job), True)
        for k in range(R.h.slots.capacity):
            rl_span_add(R.h.rows + k * R.h.row_bytes, ROW_BYTES, True)
            rl_span_add(R.h.rows + k * R.h.row_bytes + R.h.reader_bits, ROW_BYTES, True)

    def close(self):
        """Gives the copies back."""
        cdef uint64_t n = self.region.R.h.control_bytes
        cdef uint32_t k
        munmap(court.scratch, max(self.region.R.h.objects.capacity, self.region.R.h.extents.capacity) * 4)
        for k in range(ACTORS):
            munmap(self.actor[k].reads, self.region.R.h.objects.capacity * 4)
        munmap(rl_step.last, n)
        munmap(self.nested, n)
        munmap(court.work.meta, n)
        munmap(court.calm.meta, n)
        for k in range(SNAPSHOTS if court.every else 0):
            munmap(court.snapshot[k], n)
        rl_step.live = rl_step.last = NULL

    def enter(self, int who, int role, uint32_t job=RL_HOST_JOB):
        """An actor of a job takes a slot, unstepped; the slot. The node must be first."""
        rl_act_for(&self.actor[who], job)
        check(slot_open(&self.actor[who], role, 1000 + who, 1, &self.actor[who].slot))
        self.actor[who].row_limit = 0
        return self.actor[who].slot

    def slot(self, int who) -> int:
        return self.actor[who].slot

    def do(self, str what, int who, **settings):
        """Steps one operation; (result code, out). Raises AssertionError when a state is judged wrong.

        `dies`: the actor whose slot is swept on the copies, by default `who`; the node's death isn't swept.
        """
        cdef rl_order* o = &self.order
        cdef int rc
        memset(o, 0, sizeof(rl_order))
        o.who = &self.actor[who]
        self.fill(settings)
        rl_step.live = self.region.R.meta
        rl_step.changed = judge
        rl_step.instructions = rl_step.states = 0
        rl_spans_copy(rl_step.last, rl_step.live)
        court_adjourn(digest(self.region.R))
        court.guilty = False
        court.snapshots = 0
        court.who = 0 if who == 0 else (settings.get("a", 0) if what == "adopt_slot" else self.actor[who].slot)
        if rl_trap_install():
            raise os_error(errno, "cannot handle SIGTRAP")
        if what == "adopt_slot":
            memset(self.actor[who].reads, 0, self.region.R.h.objects.capacity * 4)
        rc = stepped(OPERATIONS[ORDERS.index(what)], o)
        if not court.guilty:
            nothing_owed(self.region.R)
        self.recoveries()
        rl_trap_remove()
        self.count(rl_step.instructions, rl_step.states)
        self.guilt(what, who, settings)
        return rc, o.out, o.complete or o.out2

    cdef void fill(self, dict settings):
        cdef rl_order* o = &self.order
        cdef uint32_t k
        cdef bytes id = settings.get("id", b"\0" * RL_ID_BYTES)
        o.a, o.b, o.size = settings.get("a", 0), settings.get("b", 0), settings.get("size", 0)
        memcpy(o.id, <const char*>id, RL_ID_BYTES)
        o.origin.id, o.origin.site = o.id, 0
        memcpy(o.spec.id, <const char*>id, RL_ID_BYTES)
        for k, target in enumerate(settings.get("targets", ())):
            o.targets[k] = target
            o.n = k + 1
        o.spec.refs, o.spec.nrefs = o.targets, o.n
        o.spec.returns, o.spec.generations = o.returns, o.generations
        o.spec.nreturns, o.spec.queue = settings.get("nreturns", 0), settings.get("queue", 0)
        o.spec.args, o.spec.args_size = FILLING, <uint32_t>o.size
        o.spec.parent = settings.get("parent", 0)
        o.spec.parent_serial = task_at(self.region.R, o.spec.parent).serial
        o.spec.max_retries = 3
        o.members = settings.get("members", 0)
        o.spec.actor = settings.get("actor", 0)
        o.spec.actor_serial = actor_at(self.region.R, o.spec.actor).serial
        if "makes" in settings:
            o.creation.life, o.creation.turn, o.creation.most, o.creation.limit, o.creation.facts = settings["makes"]
            o.creation.max_restarts, o.creation.keeps = settings.get("back", (0, False))
            memcpy(o.creation.id, o.id, RL_ID_BYTES)
            o.creation.id[19] = 0xff
            o.creation.handle, o.creation.generation = &o.out2, &o.returns[0]
            o.spec.creates = &o.creation
            if settings.get("name") is not None:
                memcpy(o.name, <const char*>(<bytes>settings["name"]), RL_ID_BYTES)
                o.creation.name = o.name

    cdef int recoveries(self) except -1:
        """Steps `rl_recover` itself on the states kept: who recovers may die too."""
        cdef rl_region R = court.work
        cdef uint32_t k
        cdef uint64_t states = rl_step.states
        cdef uint64_t instructions = rl_step.instructions
        R.meta = self.nested
        R.h = <rl_header*>R.meta
        R.jobs = <rl_job*>(R.meta + self.region.R.h.jobs.offset)
        R.j = R.jobs + R.job
        rl_step.live = self.nested
        rl_step.changed = judge_recovery
        rl_step.states = 0
        for k in range(court.snapshots):
            rl_spans_copy(self.nested, court.snapshot[k])
            rl_spans_copy(rl_step.last, self.nested)
            court.pending = court.expected[k]
            recovery_stepped(&R)
        self.totals["nested"] += rl_step.states
        rl_step.states, rl_step.instructions = states, instructions
        return 0

    cdef void count(self, uint64_t instructions, uint64_t states):
        self.totals["operations"] += 1
        self.totals["instructions"] += instructions
        self.totals["states"] += states
        self.totals["swept"], self.totals["rolled"] = court.swept, court.rolled
        self.totals["published"] = court.publications

    cdef int guilt(self, str what, int who, dict settings) except -1:
        cdef rl_finding* f = &court.finding
        if court.guilty:
            raise AssertionError(f"{what} by {who} {settings}: after instruction {court.instruction}: {f.what.decode()} "
                                 f"(at {f.where}): expected {f.expected}, found {f.found}")
        return 0

    def announce(self, int who, uint32_t i, bint asleep):
        """The actor waits for an object, and sleeps or not: publications then have somebody to tell."""
        cdef rl_slot* s = rl_slot_at(self.region.R, self.actor[who].slot)
        rl_announce(&object_at(self.region.R, i).waiter, self.actor[who].slot, &object_at(self.region.R, i).state)
        rl_store(&s.wake_at, rl_load(&s.arrived) + 1)
        rl_store(&s.waiting, asleep)
        rl_store(&s.parked, asleep)

    def holds(self, int who) -> list:
        """(index, state, generation, owner slot, returning task) of what the actor holds."""
        cdef rl_region* R = self.region.R
        cdef uint32_t i
        cdef list out = []
        for i in range(1, R.h.objects.used):
            if holder_has(R, self.actor[who].slot, i):
                o = object_at(R, i)
                out.append((i, o.state, o.generation, o.owner, o.task))
        return out

    def work(self, int who) -> tuple:
        """(idle, blocked, running tasks, innermost first) of an actor's slot."""
        cdef rl_slot* s = rl_slot_at(self.region.R, self.actor[who].slot)
        cdef uint32_t t = s.running
        cdef list out = []
        while t:
            out.append(t)
            t = task_at(self.region.R, t).next
        return s.availability == RL_IDLE, s.blocked - s.lent, out

    def crowd(self, int who) -> tuple:
        """(calls that the actor whose process it is may run at a time, those that wait now)."""
        cdef rl_actor* e = actor_at(self.region.R, rl_slot_at(self.region.R, self.actor[who].slot).actor)
        return e.most, e.nwaiting

    def threads(self, int who) -> tuple:
        """(threads of an actor that wait, those of them that wait for ever, whether its CPUs are lent)."""
        cdef rl_slot* s = rl_slot_at(self.region.R, self.actor[who].slot)
        return s.thread_waits, s.thread_waits_forever, s.lent != 0

    def returns(self, uint32_t t) -> list:
        """The PENDING returns of a task."""
        cdef uint32_t i = task_at(self.region.R, t).returns
        cdef list out = []
        while i:
            if object_at(self.region.R, i).state == RL_PENDING:
                out.append(i)
            i = object_at(self.region.R, i).next
        return out

    def movable(self, int who) -> list:
        """(index, size, whether spilled, moves, readers, reads of this one) of what the actor holds and may move."""
        cdef rl_region* R = self.region.R
        cdef list found = []
        for i in [entry[0] for entry in self.holds(who) if entry[1] == RL_SEALED]:
            o = object_at(R, i)
            if spillable(R, o):
                u = block_info_of(o)
                found.append((i, o.size, is_spilled(R, o), u.moves, u.readers, self.actor[who].reads[i]))
        return found

    def reads(self, int who, uint32_t i) -> int:
        return self.actor[who].reads[i]

    def id_of(self, uint32_t i) -> bytes:
        return object_at(self.region.R, i).id[:RL_ID_BYTES]

    def generation(self, uint32_t i) -> int:
        return object_at(self.region.R, i).generation

    def availability(self, int who) -> int:
        """How the actor stands: busy, idle, starting or rung."""
        return rl_slot_at(self.region.R, self.actor[who].slot).availability

    def leaving(self, int who) -> bool:
        """Whether the actor was asked to end."""
        return rl_load(&rl_slot_at(self.region.R, self.actor[who].slot).leaving) != 0

    def tasks(self) -> list:
        """(record, serial) of the live tasks."""
        cdef rl_region* R = self.region.R
        return [(t, task_at(R, t).serial) for t in range(1, R.h.tasks.used) if task_at(R, t).state != RL_FREE]

    def actors(self) -> list:
        """(actor, serial, state, slot, calls, lanes, cause, whether it is due) of those that exist."""
        cdef rl_region* R = self.region.R
        cdef rl_actor* e
        cdef uint32_t a
        cdef list out = []
        for a in range(1, R.h.actors.used):
            e = actor_at(R, a)
            if e.state != RL_FREE:
                out.append((a, e.serial, e.state, e.slot, e.ncalls, e.nlanes, e.cause, e.flags & RL_DUE != 0))
        return out

    def mailbox(self, uint32_t a) -> list:
        """The calls in an actor's mailbox, in order."""
        return self.chain(actor_at(self.region.R, a).head)

    def past(self, uint32_t a) -> list:
        """The calls that have ended and would run again, in order."""
        return self.chain(actor_at(self.region.R, a).past)

    cdef list chain(self, uint32_t t):
        cdef list out = []
        while t:
            out.append(t)
            t = task_at(self.region.R, t).next
        return out

    def back(self, uint32_t a) -> tuple:
        """(whether an actor may have another process, whether it keeps calls, its constructor's call if that has not ended,
        that call if it has ended, calls that it keeps in all)."""
        cdef rl_actor* e = actor_at(self.region.R, a)
        may = e.state == RL_ACTOR_ALIVE and e.restarts < e.max_restarts and e.flags & RL_PAST_LOST == 0
        return may, e.flags & RL_KEEPS != 0, e.creation, e.rebuild, e.nkept

    def replays(self, uint32_t t) -> bool:
        """Whether a call had ended in an earlier process."""
        return task_at(self.region.R, t).flags & RL_REPLAY != 0

    def handles(self, int who) -> list:
        """(handle, actor) of the handles that one holds."""
        return [(i, handle_actor(self.region.R, i)) for i, *_ in self.holds(who)
                if object_at(self.region.R, i).flags & RL_HANDLE]

    def left(self) -> tuple:
        """How many objects, tasks and refs could still be made."""
        cdef rl_header* h = self.region.R.h
        return h.objects.capacity - h.objects.live, h.tasks.capacity - h.tasks.live, h.refs.capacity - h.refs.live
