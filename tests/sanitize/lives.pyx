"""The lives: a driver and its second thread, a worker that may die between two operations, the node that buries it."""
cdef enum:
    DRIVERS = 2
    WORKERS = 3
    RESTED = 20000       # nanoseconds after which an idle worker may be asked to end

cdef rl_process node
cdef void (*deed)(rl_process*) noexcept nogil  # what a process does next: set by harness.pyx, for actors are made behind this file
cdef void (*tend)() noexcept nogil  # the node's look at actors
cdef rl_process drivers[2]
cdef rl_process workers[3]


cdef void* drive(void* it) noexcept nogil:
    cdef rl_process* p = <rl_process*>it
    while not rl_load(&world.stop):
        deed(p)
    while rl_load(&p.nlent):
        usleep(PAUSE)
    drop_some(p, 0)
    return NULL


cdef void* drive_second(void* it) noexcept nogil:
    """Only waits: what else the core offers, threads of one process call one at a time."""
    cdef rl_process* p = <rl_process*>it
    cdef uint32_t lack[LENT]
    cdef rl_wait w
    cdef uint32_t n
    while not rl_load(&world.over):
        n = rl_load(&p.nlent)
        if n:
            memcpy(lack, p.lent, sizeof(lack))
            w.lack, w.n, w.allowed, w.marked = lack, n, 0, False
            w.deadline, w.spin, w.park = rl_now() + 3 * MILLISECOND, 0, MILLISECOND
            wait_for(&p.R, &w, 10)
            rl_store(&p.nlent, 0)
        else:
            usleep(PAUSE)
    return NULL


# --- a worker ---


cdef void learn_arguments(rl_process* p, uint32_t t) noexcept nogil:
    """The task's bytes and objects: pinned by the record, so neither can be gone."""
    cdef rl_region* R = &p.R
    cdef rl_task* k = task_at(R, t)
    cdef const char* args = block_at(R, k.extent, k.cell) if k.extent else <char*>k.data
    cdef uint32_t r = k.refs
    cdef uint32_t n = 0
    cdef uint32_t i
    if not all_equal(args, k.args_size, k.id[0]):
        broken(b"arguments", t, k.id[0], <uint8_t>args[0])
    while r:
        i = ref_at(R, r).object
        n += 1
        if not is_sealed(R, i):
            broken(b"an argument that is not ready", t, RL_SEALED, i)
        if p.nheld < HELD - HELD_SPARE and hold(p, i, object_at(R, i).generation):
            read(p, i)
        elif not spillable(R, object_at(R, i)):  # else who reads holds it
            inspect(p, i)
        r = ref_at(R, r).next
    if n != k.nrefs:
        broken(b"arguments that are missing", t, k.nrefs, n)


cdef void give_return(rl_process* p, uint32_t i) noexcept nogil:
    """A return's value; an error when there is no room."""
    cdef uint32_t contents[CONTENTS]
    cdef rl_object* o = object_at(&p.R, i)
    cdef uint32_t n
    if did(p, ROOM, object_room(&p.R, i, any_size(p), False)):
        did(p, ROOM, object_room(&p.R, i, 0, True))
        rl_fresh32(&o.format, RL_PLAIN | RL_ERROR)
        return
    n = give_contents(p, i, contents)
    fill(p, i, contents, n)
    rl_fresh32(&o.format, RL_PICKLE)


cdef void execute(rl_process* p, uint32_t t) noexcept nogil:
    """A task: reads what it got, does this and that, writes its returns."""
    cdef uint32_t outer = p.record
    cdef uint32_t serial = p.serial
    cdef uint32_t i = 0
    p.record, p.serial = t, task_at(&p.R, t).serial
    p.depth += 1
    learn_arguments(p, t)
    while not p.dying and not rl_load(&world.stop) and not rl_load16(&task_at(&p.R, t).flags) & RL_CANCELLED and roll(p, 3):
        deed(p)
        p.dying = p.dying or roll(p, 400) == 0
    i = task_at(&p.R, t).returns
    while i and not p.dying:
        if rl_load(&object_at(&p.R, i).state) == RL_PENDING:
            give_return(p, i)
        i = object_at(&p.R, i).next
        p.dying = roll(p, 1000) == 0
    p.depth -= 1
    p.record, p.serial = outer, serial


cdef void die(rl_process* p) noexcept nogil:
    """Nothing more happens until the node has swept the slot; then another worker begins, with nothing."""
    count(p, DEATH)
    rl_store(&p.gone, 1)
    while rl_load(&p.gone) != 2:
        usleep(PAUSE)
    rl_store(&p.gone, 0)
    p.dying = False
    memset(p.R.reads, 0, p.R.h.objects.capacity * sizeof(uint32_t))
    p.nheld = p.floor = p.depth = p.record = p.serial = 0
    if slot_adopt(&p.R, p.R.slot, 1, 1):
        broken(b"adopt", p.R.slot, 0, 1)


cdef uint32_t finish_half(rl_process* p, uint32_t t) noexcept nogil:
    """Dies between the sections of a finish, if it takes more than one; the task, or 0 when it is finished."""
    cdef uint32_t fresh = 0
    cdef uint32_t given = 0
    cdef int rc
    if rl_lock(&p.R):
        broken(b"poisoned", 0, 0, p.R.h.poison)
    rc = finish_section(&p.R, t, &fresh, &given)
    wake_workers(&p.R, fresh)
    rl_commit(&p.R)
    p.dying = rc == MORE
    if not p.dying and recheck_owed(&p.R, given):
        broken(b"recheck", given, DONE, EIO)
    return t if p.dying else 0


cdef void retired(rl_process* p, uint32_t done) noexcept nogil:
    """It was asked to end, and does, after its last task."""
    count(p, RETIRED)
    if done:
        did(p, FINISH, task_finish(&p.R, done))
    did(p, LEAVE, idle_leave(&p.R))
    p.dying = True


cdef void* work(void* it) noexcept nogil:
    cdef rl_process* p = <rl_process*>it
    cdef uint32_t t = 0
    cdef uint32_t done = 0
    cdef int rc
    while not rl_load(&p.R.j.closing):
        if rl_load(&rl_slot_at(&p.R, p.R.slot).leaving):
            retired(p, done)
            die(p)
            done = 0
        did(p, TAKE, task_next(&p.R, done, &t))
        done = t
        if t:
            execute(p, t)
            if not p.dying and again(p, t):
                done = 0
            elif not p.dying and roll(p, 50) == 0:
                done = finish_half(p, t)
        elif roll(p, 8) == 0:
            did(p, LEAVE, idle_leave(&p.R))
        else:
            rc = idle_wait(&p.R, SPIN * roll(p, 3), MILLISECOND)
            count(p, RUNG if rc == DONE else IDLE)
        if p.dying:
            die(p)
            done = 0
    did(p, LEAVE, idle_leave(&p.R))
    return NULL


# --- the node ---


cdef void give_up(uint32_t t) noexcept nogil:
    """The node fails a task that killed too many workers."""
    cdef rl_region* R = &node.R
    cdef uint32_t i = task_at(R, t).returns
    while i:
        if rl_load(&object_at(R, i).state) == RL_PENDING:
            did(&node, ROOM, object_room(R, i, 0, True))
            rl_fresh32(&object_at(R, i).format, RL_PLAIN | RL_ERROR)
        i = object_at(R, i).next
    did(&node, FAILED, task_finish(R, t))


cdef void bury(uint32_t slot) noexcept nogil:
    """What the node does about a death."""
    cdef rl_region* R = &node.R
    cdef uint32_t t = 1
    cdef bint complete = False
    did(&node, DEATH, slot_sweeping(R, slot) or sweep(R, slot))
    while True:
        if slot_adopt_task(R, slot, &t, &complete):
            broken(b"adopt a task", slot, 0, t)
        if t == 0:
            break
        if complete:
            did(&node, COMPLETE, task_finish(R, t))
        elif task_at(R, t).retries_left == 0:
            give_up(t)
        else:
            did(&node, REQUEUE, task_requeue(R, t, roll(&node, 2), roll(&node, 2)))
    did(&node, DEATH, slot_free(R, slot))


cdef bint look_after(rl_process* w) noexcept nogil:
    """A dead worker is swept, and another takes its place; whether there was one."""
    cdef bint died = rl_load(&w.gone) == 1
    if died:
        bury(w.R.slot)
        if slot_open(&node.R, RL_WORKER, 0, 0, &w.R.slot):
            broken(b"open a slot", 0, 0, 1)
        rl_store(&w.gone, 2)
    return died


cdef void look_at_pool() noexcept nogil:
    """The node's look at the pool: what is stalled for long, who has been idle for long."""
    cdef uint32_t slot = 0
    did(&node, RECHECK, age(&node.R) or wake_workers_unlocked(&node.R, wakeups_wanted(&node.R)))
    if roll(&node, 2) == 0 and retire_step(&node.R, rl_now() - RESTED, &slot) == DONE and slot:
        count(&node, RETIRE)


cdef void end_cancelled() noexcept nogil:
    cdef uint32_t t = 0
    while not cancelled_queued_take(&node.R, &t) and t:
        count(&node, ENDED)
        give_up(t)


cdef void* supervise(void* it) noexcept nogil:
    """Answers the bell, buries, drains garbage, and checks every invariant while all others go on."""
    cdef uint64_t rung
    cdef uint32_t round = 0
    cdef uint32_t k
    cdef bint died
    while not rl_load(&world.over):
        if posix_read(node.R.bell_fd, &rung, 8) == 8:
            count(&node, BELL)
            rl_store(&node.R.j.bell_rung, 0)
        died = False
        for k in range(WORKERS):
            died |= look_after(&workers[k])
        if died:
            wake_everybody(&node.R)
        if round & 3 == 0:
            look_at_pool()
        end_cancelled()
        if garbage_drain(&node.R):
            broken(b"drain", 0, 0, 1)
        tend()
        if round & 7 == 0:
            trim_some(&node)
        if round & 63 == 0:
            check_all()
        round += 1
        usleep(PAUSE)
    return NULL
