"""What a process does to objects and tasks, chosen at random; each as the Python layers call the core."""
cdef enum:
    RETURNS = 4
    REFS = 8
    WAITED = 12
    MILLISECOND = 1000000
    SPIN = 20000
    PAUSE = 200          # microseconds


# --- objects ---


cdef void put(rl_process* p) noexcept nogil:
    """A small value in one section."""
    cdef uint8_t id[RL_ID_BYTES]
    cdef rl_origin origin
    cdef char* data
    cdef uint32_t n = 1 + roll(p, RL_OBJECT_SMALL)
    cdef uint32_t i = 0
    new_origin(id, &origin)
    data = <char*>malloc(n)  # of exactly its length: a byte too many that is read shows
    memset(data, id[0], n)
    if n >= HEAD:
        memset(data + 1, 0, HEAD - 1)
    if did(p, PUT, object_put_small(&p.R, &origin, RL_PLAIN, data, n, &i)) == DONE:
        keep(p, i)
    free(data)


cdef uint32_t give_contents(rl_process* p, uint32_t i, uint32_t* out) noexcept nogil:
    """An object that this process owns may contain some that it holds; how many.

    A return, whose id was known before, only those that contain nothing themselves: circles would stay for ever.
    """
    cdef uint64_t room = object_at(&p.R, i).size
    cdef bint leaves = rl_load(&object_at(&p.R, i).state) == RL_PENDING
    cdef uint32_t n = 0
    cdef uint32_t k
    if room < HEAD + 8 or roll(p, 3):
        return 0
    for k in range(some_known(p, out, min(CONTENTS, <uint32_t>((room - HEAD) // 8)))):
        if not leaves or (is_sealed(&p.R, out[k]) and object_at(&p.R, out[k]).contents == 0):
            out[n] = out[k]
            n += 1
    if n == 0 or did(p, CONTAIN, object_contain(&p.R, i, out, n)):
        return 0  # what a full table left half pinned ends with the object
    return n


cdef void build(rl_process* p) noexcept nogil:
    """An object created, given other room, filled, and sealed; or given up on the way."""
    cdef uint8_t id[RL_ID_BYTES]
    cdef rl_origin origin
    cdef uint32_t contents[CONTENTS]
    cdef uint32_t flags = 0 if roll(p, 10) else <uint32_t>RL_JOB_PINNED
    cdef uint32_t i = 0
    cdef uint32_t n
    new_origin(id, &origin)
    if did(p, CREATE, object_create(&p.R, &origin, any_size(p), flags, &i)):
        return
    keep(p, i)
    if roll(p, 8) == 0 and did(p, ROOM, object_room(&p.R, i, any_size(p), False)):
        did(p, ROOM, object_room(&p.R, i, 8, False))
    n = give_contents(p, i, contents)
    fill(p, i, contents, n)
    if flags:
        did(p, ABANDON, object_abandon(&p.R, i))  # sealed, it would stay for the whole session
    elif roll(p, 20):
        did(p, SEAL, object_seal(&p.R, i, RL_PICKLE))


cdef void tell(rl_process* p) noexcept nogil:
    """Something held becomes known to others: its bytes, or a token on the board."""
    cdef uint32_t i = p.held[p.nheld - 1] if p.nheld else 0
    if i == 0 or rl_load(&object_at(&p.R, i).state) == RL_CREATING:
        return
    if roll(p, 2):
        did(p, EXPOSE, object_expose(&p.R, i))
    else:
        __atomic_store_n(&world.board[roll(p, BOARD)], <uint64_t>i << 32 | object_at(&p.R, i).generation, 3)


cdef void hear(rl_process* p) noexcept nogil:
    """A token from the board, or bytes of an id; the object may be gone."""
    cdef uint8_t id[RL_ID_BYTES]
    cdef uint64_t token = __atomic_load_n(&world.board[roll(p, BOARD)], 2)
    cdef uint32_t i = 0
    cdef uint32_t generation = 0
    cdef int rc
    if roll(p, 2):
        if token:
            hold(p, <uint32_t>(token >> 32), <uint32_t>token)
        return
    id_of_number(rl_load(&world.numbers) - roll(p, RECENT), id)
    rc = object_find(&p.R, id, roll(p, 50) == 0, &i, &generation)
    if rc == STALE:
        count(p, MISSED)
    elif did(p, FIND, rc) == DONE and not keeps(p, i):
        keep(p, i)


# --- tasks ---


cdef void call(rl_process* p) noexcept nogil:
    cdef uint32_t refs[REFS]
    cdef uint32_t returns[RETURNS]
    cdef uint32_t generations[RETURNS]
    cdef rl_spec s
    cdef uint32_t size = 1 + (roll(p, 40) if roll(p, 4) else roll(p, 60000))
    cdef char* args = <char*>malloc(size)
    cdef uint32_t k
    memset(&s, 0, sizeof(s))
    new_id(s.id)
    memset(args, s.id[0], size)
    s.queue = world.queues[roll(p, 4)]
    s.parent, s.parent_serial = p.record, p.serial
    s.max_retries = roll(p, 2)
    s.flags = RL_NO_INLINE if roll(p, 10) == 0 else 0
    s.nreturns = 1 if roll(p, 3) else roll(p, RETURNS + 1)
    s.nrefs = some_known(p, refs, roll(p, REFS + 1)) if roll(p, 2) else 0
    s.args, s.args_size, s.refs, s.returns, s.generations = args, size, refs, returns, generations
    if did(p, SUBMIT, task_submit(&p.R, &s)) == DONE:
        for k in range(s.nreturns):
            keep(p, returns[k])
    free(args)


cdef void cancel_some(rl_process* p) noexcept nogil:
    """A task whose return is held; by the time of the call it may have ended, and its record be another's."""
    cdef uint32_t i = any_pending(p)
    cdef uint32_t t, serial
    cdef int found = NOT_THERE
    if i == 0:
        return
    if rl_lock(&p.R):
        broken(b"poisoned", 0, 0, p.R.h.poison)
    t = object_at(&p.R, i).task
    serial = task_at(&p.R, t).serial
    rl_commit(&p.R)
    if roll(p, 4) == 0:
        usleep(PAUSE)
    if task_cancel(&p.R, t, serial, roll(p, 2) * RL_CANCEL_FORCED | roll(p, 2) * RL_CANCEL_RECURSIVE, &found):
        broken(b"cancel", t, DONE, EIO)
    count(p, CANCEL if found == WAS_QUEUED else MARK if found == IS_RUNNING else NOTHING)


cdef bint again(rl_process* p, uint32_t t) noexcept nogil:
    """Some tasks are not finished, but run once more."""
    return roll(p, 16) == 0 and did(p, AGAIN, task_again(&p.R, t, roll(p, 2), roll(p, 2), roll(p, 2))) == DONE


cdef void await_some(rl_process* p) noexcept nogil:
    """`wait`: for some or all of what it holds, not long; a worker runs some inline first and gives its CPUs back meanwhile."""
    cdef uint32_t lack[WAITED]
    cdef uint32_t all[WAITED]
    cdef uint32_t n = some_known(p, lack, 1 + roll(p, WAITED))
    cdef uint32_t i, k
    cdef rl_wait w
    if n == 0:
        return
    i = any_pending(p)
    lack[0] = i if i else lack[0]
    memcpy(all, lack, sizeof(lack))
    for k in range(n if p.depth else 0):
        run_inline(p, lack[k])
    if p.dying:
        return
    if p.depth:
        did(p, BLOCK, block_begin(&p.R, roll(p, 2)))
        if roll(p, 3) == 0:
            did(p, BLOCK, await_object(&p.R, lack[0]))
    w.lack, w.n, w.allowed, w.marked = lack, n, roll(p, n), False
    w.deadline, w.spin, w.park = rl_now() + roll(p, 4) * MILLISECOND // 4, SPIN * roll(p, 2), MILLISECOND
    finish_wait(p, wait_for(&p.R, &w, 10))
    if p.depth and not (p.role == RL_WORKER and roll(p, 300) == 0):
        did(p, BLOCK, block_end(&p.R))
    elif p.depth:
        p.dying = True  # while it is blocked
    for k in range(n):
        if is_sealed(&p.R, all[k]):
            read(p, all[k])


cdef void finish_wait(rl_process* p, int rc) noexcept nogil:
    count(p, WAIT)
    if rc == DONE:
        count(p, SATISFIED)
    elif rc == ETIMEDOUT or rc == MORE:
        count(p, LATE)
    else:
        broken(b"wait", p.R.slot, DONE, <uint64_t>rc)


cdef void wait_twice(rl_process* p) noexcept nogil:
    """The driver's second thread waits too, for some of the same."""
    cdef uint32_t n
    if p.second and rl_load(&p.nlent) == 0:
        n = some_known(p, p.lent, 1 + roll(p, LENT))
        if n:
            count(p, LEND)
            rl_store(&p.nlent, n)


cdef void run_inline(rl_process* p, uint32_t i) noexcept nogil:
    """Runs inline a task that the object waits for, if there is one."""
    cdef uint32_t floor = p.floor
    cdef uint32_t t = 0
    cdef int rc
    if p.dying or p.depth > 4 or p.nheld > HELD // 2 or rl_load(&object_at(&p.R, i).state) != RL_PENDING:
        return
    rc = inline_take(&p.R, i, &t)
    if rc == STALE:
        return
    did(p, INLINE, rc)
    p.floor = p.nheld  # what the caller holds, it holds
    execute(p, t)
    p.floor = floor
    if not p.dying and not again(p, t):
        did(p, FINISH, task_finish(&p.R, t))


# --- any of these ---


cdef void act(rl_process* p) noexcept nogil:
    """Any operation that a program can ask for, in a driver or inside a task."""
    cdef uint32_t what = roll(p, 19)
    if roll(p, 32) == 0 and p.most < HELD - 2 * HELD_SPARE:
        p.most += 1
    if p.nheld > p.most or what < 1:
        drop_some(p, p.nheld - 1 - roll(p, 4) if p.nheld > 4 else 0)
    elif p.counts[<int>FULL] and roll(p, 100) == 0:
        drop_some(p, 4)  # nobody waits for room: whoever holds much lets it go
    elif what < 4:
        put(p)
    elif what < 6:
        build(p)
    elif what < 7:
        tell(p)
    elif what < 9:
        hear(p)
    elif what < 12:
        if not rl_load(&world.stop):
            call(p)
    elif what < 13:
        wait_twice(p)
    elif what < 15:
        move_some(p)
    elif what < 16:
        cancel_some(p)
    else:
        await_some(p)
