"""The judge of one crash state: what a survivor finds if the stepped thread dies after this instruction.

On a private copy: recover as the next locker would; every invariant holds; what the region says is what it said before
the section or what it says after it, and after a roll-back each word is as it was; publications that were committed have
been made; then the node sweeps the dead process, every invariant holds again, nothing of it is left, and what others
hold is untouched.  The digest "after" is learnt at the commit: recovered copies that differ from the last committed
state must all be equal, and equal to the next one.
"""
cdef enum:
    SNAPSHOTS = 256
    ROW_BYTES = 16   # of a holder row, for so few objects

cdef struct rl_court:
    rl_region work          # the copy under judgement
    rl_region calm          # the last committed state
    rl_region node          # the node's view of `work`
    uint64_t committed      # its digest
    uint64_t pending        # the digest that recovered copies have meanwhile, if `differs`
    bint differs
    uint32_t* scratch
    uint32_t who            # the slot that dies; 0: the node itself, whose death ends the session
    uint64_t swept
    uint64_t publications   # states in which committed publications were due
    uint64_t rolled         # states in which something was rolled back
    char* snapshot[256]     # states that recovery is stepped on afterwards
    uint64_t expected[256]  # the digest that recovery must reach
    uint32_t snapshots
    uint32_t every          # one state in so many is kept
    bint guilty
    uint64_t instruction    # of the first finding
    rl_finding finding

cdef rl_court court


cdef int object_to(const char* what, uint64_t where, uint64_t expected, uint64_t found) noexcept nogil:
    if not court.guilty:
        court.guilty = True
        court.instruction = rl_step.instructions
        wrong(&court.finding, what, where, expected, found)
    return 1


cdef int invariants(const char* when) noexcept nogil:
    cdef rl_finding f
    if not fsck(&court.work, court.scratch, &f):
        return 0
    return object_to(f.what, f.where, f.expected, f.found) and 1


cdef int publications_made(uint32_t due) noexcept nogil:
    """The first `due` staged publications show in the recovered copy: the state is sealed, the bell has moved."""
    cdef uint32_t k, w
    cdef rl_stage* e
    cdef rl_object* o
    for k in range(due):
        e = &(<rl_header*>rl_step.last).lock.stage[k]
        if e.what == RL_PUBLISH_BELL:
            if rl_slot_at(&court.work, e.index).bell == rl_slot_at(&court.calm, e.index).bell:
                return object_to(b"committed, but the bell was not rung", e.index, 1, 0)
            continue
        o = object_at(&court.work, e.index)
        if o.state != e.value:
            return object_to(b"committed, but not published", e.index, e.value, o.state)
        w = o.waiter
        if w != RL_NOBODY and w != RL_MANY and rl_slot_at(&court.work, w).arrived == rl_slot_at(&court.calm, w).arrived:
            return object_to(b"committed, but the waiter was not told", e.index, w, 0)
    return 0


cdef int verdict_on_content(bint held, uint64_t word) noexcept nogil:
    """Before or after, nothing else; and after a roll-back the very words of before."""
    cdef uint64_t d = digest(&court.work)
    cdef uint64_t at
    if held and <uint32_t>word:
        court.rolled += 1
        at = different(&court.calm, &court.work)
        if at:
            return object_to(b"a word was not rolled back", at, 0, 0)
    if d != court.committed and court.differs and d != court.pending:
        return object_to(b"neither before nor after", 0, court.pending, d)
    if d != court.committed:
        if held and <uint32_t>word:
            return object_to(b"rolled back to something else", 0, court.committed, d)
        court.differs, court.pending = True, d
    if not held:
        court_adjourn(d)
    return 0


cdef void court_adjourn(uint64_t d) noexcept nogil:
    """The lock is free: this state is committed."""
    court.committed = d
    court.differs = False
    rl_spans_copy(court.calm.meta, rl_step.last)


cdef void judge() noexcept nogil:
    """Called by the trap handler whenever the region has changed; `rl_step.last` is the state to judge."""
    cdef rl_header* last = <rl_header*>rl_step.last
    cdef uint64_t word = last.lock.word
    cdef bint held = rl_mutex_held(&last.lock.mutex)
    if court.guilty:
        return
    rl_spans_copy(court.work.meta, rl_step.last)
    if held:
        rl_recover(&court.work)
    rl_mutex_plain(&court.work.h.lock.mutex)
    if invariants(b"recovered") or verdict_on_content(held, word):
        return
    if held and publications_made(<uint32_t>(word >> 32)):
        return
    court.publications += word >> 32 != 0
    if held and word and court.every and rl_step.states % court.every == 0 and court.snapshots < SNAPSHOTS:
        rl_spans_copy(court.snapshot[court.snapshots], rl_step.last)
        court.expected[court.snapshots] = digest(&court.work)
        court.snapshots += 1
    if court.who:
        bury()


cdef int bury() noexcept nogil:
    """What the node does about the death, on the copy."""
    cdef rl_region* N = &court.node
    cdef uint32_t t = 1
    cdef bint complete = False
    court.swept += 1
    N.slot = 1
    if slot_sweeping(N, court.who) or sweep(N, court.who):
        return object_to(b"sweep: begin", court.who, 0, 1)
    while True:
        if slot_adopt_task(N, court.who, &t, &complete):
            return object_to(b"sweep: adopt", court.who, 0, 1)
        if t == 0:
            break
        if task_finish(N, t) if complete else task_requeue(N, t, True, True):
            return object_to(b"sweep: finish or requeue", t, 0, 1)
    if rl_slot_at(N, court.who).actor and actor_end(N, rl_slot_at(N, court.who).actor, 0):
        return object_to(b"sweep: end the actor", court.who, 0, 1)
    if slot_free(N, court.who):
        return object_to(b"sweep: end", court.who, 0, 1)
    return invariants(b"swept") or nothing_left(court.who) or survivors_keep(court.who) or nothing_owed(&court.work)


cdef int nothing_left(uint32_t slot) noexcept nogil:
    """Nothing names the dead slot (fsck has seen that the lists agree)."""
    cdef rl_region* R = &court.work
    cdef rl_slot* s = rl_slot_at(R, slot)
    cdef uint32_t i
    if s.state != RL_FREE or s.running or s.building or s.availability == RL_IDLE:
        return object_to(b"swept: the slot owns something", slot, 0, s.state)
    for i in range(1, R.h.objects.used):
        if holder_has(R, slot, i):
            return object_to(b"swept: a holder bit", i, 0, 1)
        if reader_has(R, slot, i):
            return object_to(b"swept: a reader bit", i, 0, 1)
        if object_at(R, i).state == RL_CREATING and object_at(R, i).owner == slot:
            return object_to(b"swept: an object under construction", i, 0, 1)
    for i in range(1, R.h.tasks.used):
        if rl_task_rules[task_at(R, i).state].facts & RL_OWNED and task_at(R, i).owner == slot:
            return object_to(b"swept: a task", i, 0, 1)
    return 0


cdef bint demanded_in_ring(rl_region* R, uint32_t first, uint32_t k) noexcept nogil:
    cdef uint32_t q = first
    while q:
        if demanded(R, q, k):
            return True
        q = queue_at(R, q).next if queue_at(R, q).next != first else 0
    return False


cdef bint demanded_in_rings(rl_region* R, uint32_t k) noexcept nogil:
    """Whether a queue of any job, from whose ring it will go, demands a resource."""
    cdef uint32_t job
    cdef rl_job* j
    for job in range(1, R.h.jobs.used):
        j = rl_job_at(R, job)
        if j.state != RL_FREE and (demanded_in_ring(R, j.ready_ring, k) or demanded_in_ring(R, j.turn_ring, k)):
            return True
    return False


cdef int no_turn_owed(rl_region* R) noexcept nogil:
    """No actor waits for CPUs that are free, unless the next ones are a task's: then a worker comes, or the node is rung."""
    cdef uint32_t q = R.j.turn_ring if R.j.ready_ring == 0 or not R.j.turn_given else 0
    while q:
        if lacking_resource(R, q) == 0:
            return object_to(b"owed: a turn", q, 0, queue_at(R, q).head)
        q = queue_at(R, q).next if queue_at(R, q).next != R.j.turn_ring else 0
    return 0


cdef int nothing_owed_to(rl_region* R, uint32_t job) noexcept nogil:
    """Nobody of a job idles beside a task that he could run."""
    cdef rl_region its = R[0]
    cdef uint32_t slot = 0
    cdef uint32_t q
    rl_act_for(&its, job)
    q = pick_unserved(&its, its.j.ncoming, True, &slot) if its.j.idle_first else 0
    return object_to(b"owed: a bell", q, job, slot) if q else no_turn_owed(&its)


cdef int nothing_owed(rl_region* R) noexcept nogil:
    """Nobody is in the middle of anything: so nothing is stalled that would fit, unless a queue of the ring demands the
    resource too, since a recheck follows when that one leaves the ring; and nobody idles beside a task that he could run."""
    cdef uint32_t k, q
    for k in range(RL_CPU, R.h.resources.used):
        q = resource_at(R, k).head
        if q and has_enough(R, q, k, 1) and not demanded_in_rings(R, k):
            return object_to(b"owed: a recheck of what is stalled", k, 0, q)
        q = R.h.reserved_for
        if q and queue_at(R, q).listed == RL_STALLED and queue_at(R, q).stalled_on == k and has_enough(R, q, k, 1):
            if not demanded_in_rings(R, k):
                return object_to(b"owed: a recheck of what is reserved for", k, 0, q)
    for k in range(1, R.h.jobs.used):
        if rl_job_at(R, k).state == RL_JOB_ALIVE and nothing_owed_to(R, k):
            return 1
    return 0


cdef bint same_bytes(rl_region* C, rl_object* was, rl_object* now) noexcept nogil:
    """They are where they were, or the exchange that was stepped has moved them."""
    return now.extent == was.extent or spillable(C, was) and block_info_of(now).moves == block_info_of(was).moves + 1


cdef int survivors_keep(uint32_t dead) noexcept nogil:
    """Objects that others hold are there, with the same id and payload, if they were sealed."""
    cdef rl_region* C = &court.calm
    cdef rl_object* was
    cdef rl_object* now
    cdef uint32_t i, s
    for s in range(1, C.h.slots.used):
        for i in range(1, C.h.objects.used if s != dead and s != court.node.slot else 0):
            was, now = object_at(C, i), object_at(&court.work, i)
            if not holder_has(C, s, i) or was.state != RL_SEALED:
                continue
            if now.state != RL_SEALED or memcmp(was.id, now.id, RL_ID_BYTES) or not same_bytes(C, was, now):
                if holder_has(&court.work, s, i):
                    return object_to(b"swept: a survivor's object", i, RL_SEALED, now.state)
    return 0


cdef void judge_recovery() noexcept nogil:
    """The recoverer dies too: the next one reaches the same state."""
    if court.guilty:
        return
    rl_spans_copy(court.work.meta, rl_step.last)
    rl_recover(&court.work)
    if not invariants(b"recovered twice") and digest(&court.work) != court.pending:
        object_to(b"a second recovery differs", 0, court.pending, digest(&court.work))
