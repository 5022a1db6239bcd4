"""fsck of actors: each call is in one place, lanes are where their first calls say, no actor rests beside work."""


cdef int fsck_calls(rl_region* R, uint32_t a, uint32_t head, uint32_t state, uint32_t owner, rl_finding* f) noexcept nogil:
    """Checks one list of an actor's calls, linked both ways; minus its length, or 1."""
    cdef uint32_t prev = 0
    cdef uint32_t n = 0
    cdef uint32_t t = head
    cdef rl_task* k
    while t:
        n += 1
        k = task_at(R, t)
        if n > R.h.tasks.live or k.state != state or k.actor != a or k.prev != prev:
            return wrong(f, b"actor: list of calls", a, state, t)
        if k.owner != owner and state != RL_MAILED:
            return wrong(f, b"actor: list of calls", a, state, t)
        prev = t
        t = k.next
    return -<int>n


cdef int fsck_lane_ring(rl_region* R, uint32_t a, uint32_t state, uint32_t* counts, rl_finding* f) noexcept nogil:
    """Checks a ring of an actor's lanes; `counts`: grow by the lanes (0) and their calls (1)."""
    cdef uint32_t first = actor_at(R, a).open if state == RL_LANE_OPEN else actor_at(R, a).stalled
    cdef uint32_t lane = first
    cdef rl_lane* e
    cdef int n
    while lane:
        e = lane_at(R, lane)
        counts[0] += 1
        if counts[0] > R.h.lanes.live or e.state != state or e.actor != a or lane_at(R, e.next).prev != lane:
            return wrong(f, b"lane: ring", lane, state, e.state)
        if e.head == 0 or (task_at(R, e.head).ndeps == 0) != (state == RL_LANE_OPEN):
            return wrong(f, b"lane: first call", lane, state, e.head)
        if lane_find(R, a, e.caller, e.serial) != lane:
            return wrong(f, b"lane: index", lane, lane, lane_find(R, a, e.caller, e.serial))
        n = fsck_calls(R, a, e.head, RL_LANED, lane, f)
        if n > 0:
            return 1
        counts[1] += -n
        lane = e.next if e.next != first else 0
    return 0


cdef int fsck_actor_process(rl_region* R, uint32_t a, rl_finding* f) noexcept nogil:
    """Checks an actor against its process, and what it waits for."""
    cdef rl_actor* e = actor_at(R, a)
    cdef rl_slot* s = rl_slot_at(R, e.slot)
    cdef uint32_t running = 0
    cdef uint32_t t = s.running if e.slot else 0
    if (rl_actor_rules[e.state].facts & RL_HAS_SLOT != 0) != (e.slot != 0):
        return wrong(f, b"actor: slot", a, e.state, e.slot)
    if e.slot and (s.actor != a or s.state == RL_FREE or s.role != RL_ACTOR or s.shape and s.shape != e.turn):
        return wrong(f, b"actor: process", a, a, s.actor)
    while t:
        running += 1
        if running > R.h.tasks.live or task_at(R, t).actor != a:
            return wrong(f, b"actor: running calls", a, e.nrunning, t)
        t = task_at(R, t).next
    if running != e.nrunning:
        return wrong(f, b"actor: nrunning", a, running, e.nrunning)
    if e.wants and e.wants != (e.life if e.state == RL_ACTOR_PENDING else e.turn):
        return wrong(f, b"actor: what it waits for", a, e.turn, e.wants)
    if e.state == RL_ACTOR_PENDING and (e.wants != 0) != (e.creation == 0 or task_at(R, e.creation).state == RL_MAILED):
        return wrong(f, b"actor: waits to be started", a, task_at(R, e.creation).state, e.wants)
    if e.wants and e.slot and s.shape or e.resting and e.slot == 0:
        return wrong(f, b"actor: waits with a turn, or rests without a process", a, e.slot, e.resting)
    if e.nwaiting > e.nrunning or e.nwaiting and e.nwaiting < e.nrunning and s.blocked > s.lent:
        return wrong(f, b"actor: waiting calls", a, e.nrunning, e.nwaiting)
    if e.resting and e.wants == 0 and (e.most == 1 or e.nrunning == 0) and call_next(R, a):
        return wrong(f, b"actor: rests beside a call that it could run", a, 0, call_next(R, a))
    return 0


cdef int fsck_past(rl_region* R, uint32_t a, uint32_t* kept, rl_finding* f) noexcept nogil:
    """Checks the calls that an actor keeps, and those of the mailbox that had begun before; `kept`: grows by the former."""
    cdef rl_actor* e = actor_at(R, a)
    cdef int past = fsck_calls(R, a, e.past, RL_PAST, 0, f)
    cdef int stale = fsck_calls(R, a, e.stale, RL_PAST, 0, f)
    cdef uint32_t again = 0
    cdef uint32_t t = e.head
    if past > 0 or stale > 0:
        return 1
    if e.nkept != <uint32_t>(-past - stale) + (e.rebuild != 0) or (e.past == 0) != (e.past_tail == 0):
        return wrong(f, b"actor: nkept", a, <uint32_t>(-past - stale) + (e.rebuild != 0), e.nkept)
    if e.rebuild and (task_at(R, e.rebuild).state != RL_PAST or task_at(R, e.rebuild).actor != a or e.creation):
        return wrong(f, b"actor: constructor's call", a, e.rebuild, e.creation)
    if e.checkpoint and object_at(R, e.checkpoint).state != RL_SEALED:
        return wrong(f, b"actor: checkpoint", a, RL_SEALED, object_at(R, e.checkpoint).state)
    kept[0] += e.nkept
    while t and task_at(R, t).flags & RL_AGAIN:
        again += 1
        t = task_at(R, t).next
    return wrong(f, b"actor: nagain", a, again, e.nagain) if again != e.nagain else 0


cdef int fsck_actor(rl_region* R, uint32_t a, uint32_t* counts, rl_finding* f) noexcept nogil:
    """`counts`: grow by the lanes (0), their calls (1), the calls in mailboxes (2), those that wait (3), and past ones (4)."""
    cdef rl_actor* e = actor_at(R, a)
    cdef rl_object* o = object_at(R, e.handle)
    cdef uint32_t lanes = counts[0]
    cdef int n
    if e.state > RL_ACTOR_DEAD:
        return wrong(f, b"actor: state", a, RL_ACTOR_DEAD, e.state)
    if e.handle == 0 and e.state != RL_ACTOR_DEAD:
        return wrong(f, b"actor: no handle", a, 1, 0)
    if e.handle and (o.state != RL_SEALED or not o.flags & RL_HANDLE or handle_actor(R, e.handle) != a):
        return wrong(f, b"actor: handle", a, e.handle, o.state)
    if e.facts and (e.facts >= R.h.objects.used or not (object_at(R, e.facts).flags & RL_JOB_PINNED or e.flags & RL_ORPHAN)):
        return wrong(f, b"actor: facts", a, RL_JOB_PINNED, e.facts)
    n = fsck_calls(R, a, e.head, RL_MAILED, 0, f)
    if n > 0 or e.length != <uint32_t>-n:
        return 1 if n > 0 else wrong(f, b"actor: length", a, <uint32_t>-n, e.length)
    counts[2] += -n
    n = fsck_calls(R, a, e.waiting, RL_WAITING, 0, f)
    if n > 0:
        return 1
    counts[3] += -n
    if e.creation:
        if task_at(R, e.creation).actor != a or task_at(R, e.creation).state == RL_FREE:
            return wrong(f, b"actor: creation", a, a, e.creation)
        counts[2] += task_at(R, e.creation).state == RL_MAILED
        counts[3] += task_at(R, e.creation).state == RL_WAITING
    if fsck_lane_ring(R, a, RL_LANE_OPEN, counts, f) or fsck_lane_ring(R, a, RL_LANE_STALLED, counts, f):
        return 1
    if counts[0] - lanes != e.nlanes:
        return wrong(f, b"actor: lanes", a, counts[0] - lanes, e.nlanes)
    return fsck_past(R, a, &counts[4], f) or fsck_actor_process(R, a, f)


cdef int fsck_names(rl_region* R, rl_finding* f) noexcept nogil:
    """Checks that the chains of names are those of the actors that have one: none that ends, and no two that have the same."""
    cdef uint32_t named = 0
    cdef uint32_t n = 0
    cdef uint32_t k, a
    for a in range(1, R.h.actors.used):
        if actor_at(R, a).state != RL_FREE and actor_at(R, a).flags & RL_NAMED:
            named += 1
            if actor_at(R, a).state > RL_ACTOR_ALIVE:
                return wrong(f, b"actor: it ends, and its name is not free", a, RL_ACTOR_ALIVE, actor_at(R, a).state)
    for k in range(RL_NAMES):
        a = R.h.names[k]
        while a:
            n += 1
            if n > named or actor_at(R, a).state == RL_FREE or not actor_at(R, a).flags & RL_NAMED:
                return wrong(f, b"actor: chain of names", a, named, n)
            if name_find(R, &actor_at(R, a).name[0]) != a:
                return wrong(f, b"actor: name", a, a, name_find(R, &actor_at(R, a).name[0]))
            a = actor_at(R, a).name_next
    return wrong(f, b"actor: named, but in no chain", 0, named, n) if n != named else 0


cdef int fsck_actors(rl_region* R, uint32_t* calls, rl_finding* f) noexcept nogil:
    """Checks all actors, and that no call is in a list of none. `calls`: scratch memory, a word for each actor."""
    cdef uint32_t counts[5]
    cdef uint32_t found[5]
    cdef uint32_t a, t
    memset(counts, 0, sizeof(counts))
    memset(found, 0, sizeof(found))
    memset(calls, 0, R.h.actors.used * sizeof(uint32_t))
    for t in range(1, R.h.tasks.used):
        if task_at(R, t).state == RL_FREE or task_at(R, t).actor == 0:
            continue
        if task_at(R, t).actor >= R.h.actors.used or actor_at(R, task_at(R, t).actor).state == RL_FREE:
            return wrong(f, b"task: a call of no actor", t, 0, task_at(R, t).actor)
        calls[task_at(R, t).actor] += 1
        found[1] += task_at(R, t).state == RL_LANED
        found[2] += task_at(R, t).state == RL_MAILED
        found[3] += task_at(R, t).state == RL_WAITING
        found[4] += task_at(R, t).state == RL_PAST
    found[0] = R.h.lanes.live
    for a in range(1, R.h.actors.used):
        if actor_at(R, a).state == RL_FREE:
            continue
        if fsck_actor(R, a, counts, f):
            return 1
        if calls[a] != actor_at(R, a).ncalls:
            return wrong(f, b"actor: ncalls", a, calls[a], actor_at(R, a).ncalls)
    for a in range(5):
        if counts[a] != found[a]:
            return wrong(f, b"actors: lanes or calls in no list", a, found[a], counts[a])
    return fsck_names(R, f)
