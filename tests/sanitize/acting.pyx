"""Actors: who makes and calls them, their processes, which are threads that may die between two calls, and what the node does.

Neighbours: operations.pyx and lives.pyx (everything else that a process does; a call does it, too).
"""
cdef enum:
    PLAYERS = 2          # processes of actors
    ACTORS_ALIVE = 6      # that are alive at a time
    PENDING_MOST = 4     # calls of some actors
    RESTARTS = 4         # processes that some actors may lose, or twice as many
    UNUSED = 3           # of rl_process.gone: it has no slot, and waits for an actor
    TURN = 50000         # nanoseconds

cdef rl_process players[2]
cdef uint32_t lives[2]
cdef uint32_t turns[2]
cdef uint32_t cause


# --- who calls ---


cdef uint32_t any_handle(rl_process* p) noexcept nogil:
    """A handle of an actor that the process holds, or 0."""
    cdef uint32_t k
    cdef uint32_t start = roll(p, p.nheld) if p.nheld else 0
    for k in range(p.nheld):
        if rl_load16(&object_at(&p.R, p.held[(start + k) % p.nheld]).flags) & RL_HANDLE:
            return p.held[(start + k) % p.nheld]
    return 0


cdef void make_actor(rl_process* p) noexcept nogil:
    """A constructor's call; the handle becomes known to others as any object does."""
    cdef uint32_t refs[REFS]
    cdef uint32_t handle = 0
    cdef uint32_t generation = 0
    cdef rl_creation c
    cdef rl_spec s
    cdef char args[20]
    cdef uint32_t kind = roll(p, 4)
    memset(&s, 0, sizeof(s))
    memset(&c, 0, sizeof(c))
    new_id(s.id)
    new_id(c.id)
    memset(args, s.id[0], sizeof(args))
    c.life, c.turn = lives[kind == 3], turns[kind - 1] if 0 < kind < 3 else 0
    c.most, c.limit = 3 if roll(p, 4) == 0 else 1, PENDING_MOST if roll(p, 2) else 0
    c.max_restarts = roll(p, 3) * RESTARTS
    c.keeps = c.most == 1 and c.max_restarts and roll(p, 3)
    c.handle, c.generation = &handle, &generation
    s.parent, s.parent_serial, s.creates = p.record, p.serial, &c
    s.nrefs = some_known(p, refs, roll(p, 3))
    s.args, s.args_size, s.refs = args, sizeof(args), refs
    if did(p, MAKE, task_submit(&p.R, &s)) == DONE:
        keep(p, handle)


cdef void call_actor(rl_process* p) noexcept nogil:
    """A call of an actor whose handle is held; a full one refuses it."""
    cdef uint32_t refs[REFS]
    cdef uint32_t returns[RETURNS]
    cdef uint32_t generations[RETURNS]
    cdef rl_spec s
    cdef char args[300]
    cdef uint32_t handle = any_handle(p)
    cdef uint32_t k
    cdef int rc
    if handle == 0:
        return
    memset(&s, 0, sizeof(s))
    new_id(s.id)
    memset(args, s.id[0], sizeof(args))
    s.actor = (<uint32_t*>object_at(&p.R, handle).data)[0]
    s.actor_serial = (<uint32_t*>object_at(&p.R, handle).data)[1]
    s.parent, s.parent_serial = p.record, p.serial
    s.nreturns = 1 if roll(p, 3) else roll(p, RETURNS + 1)
    s.nrefs = some_known(p, refs, roll(p, REFS + 1)) if roll(p, 2) else 0
    s.args, s.args_size, s.refs, s.returns, s.generations = args, 1 + roll(p, sizeof(args)), refs, returns, generations
    rc = task_submit(&p.R, &s)
    if rc == FULL_CALLS:
        count(p, REFUSED)
    elif did(p, MAIL, rc) == DONE:
        for k in range(s.nreturns):
            keep(p, returns[k])


cdef void act_with_actors(rl_process* p) noexcept nogil:
    """An operation of any sort, or a call, a new actor, the end of one."""
    cdef uint32_t handle
    if roll(p, 4) or rl_load(&world.stop):
        act(p)
    elif roll(p, 30) == 0 and rl_load(&p.R.h.actors.live) < ACTORS_ALIVE:
        make_actor(p)
    elif roll(p, 400) == 0:
        handle = any_handle(p)
        if handle:
            count(p, KILL)
            actor_kill(&p.R, (<uint32_t*>object_at(&p.R, handle).data)[0], (<uint32_t*>object_at(&p.R, handle).data)[1])
    else:
        call_actor(p)


# --- an actor's process ---


cdef void save(rl_process* p) noexcept nogil:
    """A checkpoint, or the past calls are given up."""
    cdef uint8_t id[RL_ID_BYTES]
    cdef rl_origin origin
    cdef char state
    cdef uint32_t i = 0
    if roll(p, 8) == 0:
        did(p, LOSE, actor_lose_past(&p.R))
        return
    new_origin(id, &origin)
    state = <char>id[0]
    if did(p, PUT, object_put_small(&p.R, &origin, RL_PLAIN, &state, 1, &i)) == DONE:
        keep(p, i)
        did(p, SAVE, actor_checkpoint(&p.R, i))


cdef void run_calls(rl_process* p) noexcept nogil:
    """Until it is asked to end, or dies."""
    cdef uint32_t a = rl_slot_at(&p.R, p.R.slot).actor
    cdef uint32_t t = 0
    cdef uint32_t done = 0
    while not p.dying and not rl_load(&p.R.j.closing) and not rl_load(&rl_slot_at(&p.R, p.R.slot).leaving):
        did(p, CALL, call_next_run(&p.R, done, TURN * roll(p, 2), True, &t))
        done = t
        if t:
            if rl_load16(&task_at(&p.R, t).flags) & RL_REPLAY:
                count(p, REPLAY)
            execute(p, t)
            p.dying = p.dying or roll(p, 60) == 0
            if not p.dying and again(p, t):
                done = 0
            if not p.dying and rl_load(&actor_at(&p.R, a).flags) & RL_KEEPS and roll(p, 8) == 0:
                if done:
                    did(p, FINISH, task_finish(&p.R, done))
                done = 0
                save(p)
        else:
            count(p, REST)
            call_wait(&p.R, SPIN * roll(p, 3), MILLISECOND)
    if done and not p.dying:
        did(p, FINISH, task_finish(&p.R, done))


cdef void* play(void* it) noexcept nogil:
    cdef rl_process* p = <rl_process*>it
    while not rl_load(&p.R.j.closing):
        if rl_load(&p.gone) != 2:
            usleep(PAUSE)
            continue
        rl_store(&p.gone, 0)
        memset(p.R.reads, 0, p.R.h.objects.capacity * sizeof(uint32_t))
        p.dying = False
        p.nheld = p.floor = p.depth = p.record = p.serial = 0
        if slot_adopt(&p.R, p.R.slot, 1, 1):
            broken(b"adopt", p.R.slot, 0, 1)
        run_calls(p)
        count(p, DEATH)
        rl_store(&p.gone, 1)
    return NULL


# --- the node ---


cdef void end_one(uint32_t a) noexcept nogil:
    """An actor is DEAD from now on."""
    if actor_end(&node.R, a, cause):
        broken(b"end an actor", a, 0, 1)


cdef void make_cause() noexcept nogil:
    """The cause of all ends; made first, since there may be no room later."""
    cdef uint8_t id[RL_ID_BYTES]
    cdef rl_origin origin
    cdef char text = 1
    new_origin(id, &origin)
    if object_put_small(&node.R, &origin, RL_PLAIN | RL_ERROR, &text, 1, &cause):
        broken(b"no room for a cause", 0, 0, 1)


cdef bint may_come_back(rl_actor* e) noexcept nogil:
    """Whether an actor whose process is gone may have another."""
    return rl_load(&e.state) == RL_ACTOR_ALIVE and e.restarts < e.max_restarts and rl_load(&e.flags) & RL_PAST_LOST == 0


cdef void bury_actor(uint32_t slot) noexcept nogil:
    """What the node does about the death of an actor's process."""
    cdef rl_region* R = &node.R
    cdef uint32_t a = rl_slot_at(R, slot).actor
    cdef uint32_t t = 1
    cdef bint complete = False
    cdef bint back
    cdef int rc = STALE
    did(&node, DEATH, slot_sweeping(R, slot) or sweep(R, slot))
    back = may_come_back(actor_at(R, a))
    while True:
        if slot_adopt_task(R, slot, &t, &complete):
            broken(b"adopt a call", slot, 0, t)
        if t == 0:
            break
        if back and (t == actor_at(R, a).creation or rl_load(&actor_at(R, a).flags) & RL_KEEPS):
            did(&node, REQUEUE, task_requeue(R, t, roll(&node, 2), True))
        elif complete:
            did(&node, COMPLETE, task_finish(R, t))
        else:
            give_up(t)
    if back:
        rc = actor_restart(R, a)
    elif rl_load(&actor_at(R, a).state) == RL_ACTOR_STARTING and roll(&node, 2):
        rc = actor_retry(R, a)
    if rc == STALE:  # or it was killed meanwhile
        end_one(a)
    elif did(&node, RESTART, rc):
        broken(b"restart", a, 0, <uint64_t>rc)
    did(&node, DEATH, slot_free(R, slot))


cdef void ask_to_end(uint32_t slot) noexcept nogil:
    """As a kill would: the thread ends after its call."""
    cdef rl_slot* s = rl_slot_at(&node.R, slot)
    rl_store(&s.leaving, 1)
    rl_add(&s.bell, 1)
    rl_futex_wake(&s.bell)


cdef void answer_due(uint32_t a) noexcept nogil:
    cdef rl_actor* e = actor_at(&node.R, a)
    cdef uint32_t state = rl_load(&e.state)
    cdef uint32_t left = 0
    cdef bint done = False
    if state == RL_ACTOR_ENDING:
        ask_to_end(e.slot)
    elif state == RL_ACTOR_PENDING:
        end_one(a)
    elif state == RL_ACTOR_DEAD:
        count(&node, DRAIN)
        if actor_drain(&node.R, a, 1 << 30, &left) or actor_free(&node.R, a, &done):
            broken(b"drain", a, 0, left)
    elif actor_retire(&node.R, a, &done):
        broken(b"retire", a, 0, 1)


cdef void look_after_actors() noexcept nogil:
    """Deaths, starts, and the actors that are due. When no more tasks are made, actors end that can't be started, or that hold what
    tasks need."""
    cdef uint32_t a = 0
    cdef uint32_t slot = 0
    cdef uint32_t k
    for k in range(PLAYERS):
        if rl_load(&players[k].gone) == 1:
            bury_actor(players[k].R.slot)
            wake_everybody(&node.R)
            rl_store(&players[k].gone, UNUSED)
        if rl_load(&players[k].gone) == UNUSED and did(&node, START, actor_open(&node.R, &a, &slot)) == DONE and a:
            if roll(&node, 8) == 0:  # it dies before it is there
                bury_actor(slot)
                continue
            players[k].R.slot = slot
            rl_store(&players[k].gone, 2)
    for a in range(1, rl_load(&node.R.h.actors.used) if rl_load(&world.stop) else 0):
        if rl_load(&actor_at(&node.R, a).state) == RL_ACTOR_PENDING or actor_at(&node.R, a).life == lives[1]:
            actor_kill(&node.R, a, actor_at(&node.R, a).serial)
    while not actor_due_take(&node.R, &a) and a:
        answer_due(a)
