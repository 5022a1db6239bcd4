"""Actors, as Python sees them: making one, and what the node does for it.  Calls are made by submit.pyx and run by execute.pyx.

Must not decide when an actor is started, retired or ended: these are steps that the node takes.
"""
cdef enum:
    DRAIN_STEP = 256  # calls that fail with the GIL dropped

cdef tuple ACTOR_STATES = ("FREE", "PENDING", "STARTING", "ALIVE", "ENDING", "DEAD")


def create_actor(Region region, record, const uint8_t[::1] args, list refs, options, bytes name=None) -> ObjectID:
    """Makes an actor, whose constructor's call is its first; its handle.

    Args:
        record: (function index of the constructor, flags, index of the runtime environment's object).
        args, refs: of the constructor, as for `submit`.
        options: (queue of LIVES with what it holds for life, queue of TURNS with the CPUs of a call or 0, calls that may run at
            a time, calls that may be pending or 0 for any number, index of a kept object with what callers know of it,
            processes that it may lose and come back, whether calls are kept, to be run again by the next process).
        name: digest of 20 bytes of its name, or None.

    Raises:
        ObjectStoreFullError: no room for the arguments, or too many actors.  ValueError: another actor has the name.
    """
    cdef rl_spec spec
    cdef rl_creation creation
    cdef uint32_t handle = 0
    cdef uint32_t generation = 0
    check_region(region.R)
    memset(&spec, 0, sizeof(spec))
    memset(&creation, 0, sizeof(creation))
    spec.function, spec.flags, spec.runtime_env = record
    creation.life, creation.turn, creation.most, creation.limit, creation.facts, creation.max_restarts, creation.keeps = options
    creation.handle, creation.generation = &handle, &generation
    if name is not None:
        creation.name = <const uint8_t*>PyBytes_AS_STRING(name)
    spec.creates = &creation
    submit_packed(region.R, &spec, args, refs)
    return make_id(region.R, handle, generation, object_at(region.R, handle).id)


def actor_of(Region region, ObjectID handle) -> tuple:
    """(index, serial) of the actor of a handle."""
    cdef rl_spec spec
    check_region(region.R)
    spec_of_actor(region.R, &spec, handle)
    return spec.actor, spec.actor_serial


def named_actor(Region region, bytes name):
    """The handle of the actor that has a name (the digest of 20 bytes), or None."""
    cdef uint32_t i = 0
    cdef uint32_t generation = 0
    check_region(region.R)
    cdef int rc = actor_named(region.R, <const uint8_t*>PyBytes_AS_STRING(name), &i, &generation)
    if rc == STALE:
        return None
    check(rc)
    return make_id(region.R, i, generation, object_at(region.R, i).id)


def next_result_of(Region region, ObjectID handle):
    """An id of what the call at the front of an actor's mailbox returns, held by this process; None if it returns nothing, or
    the mailbox is empty."""
    cdef uint32_t i = 0
    cdef uint32_t generation = 0
    a, _ = actor_of(region, handle)
    cdef int rc = next_result(region.R, a, &i, &generation)
    if rc == STALE:
        return None
    check(rc)
    return make_id(region.R, i, generation, object_at(region.R, i).id)


def facts_of_actor(Region region, uint32_t a) -> int:
    """Index of the object with what callers know of an actor, which exists."""
    check_region(region.R)
    return actor_at(region.R, a).facts


def facts_key(Region region, uint32_t a) -> tuple:
    """What names the object with the facts of an actor for good: its index and generation."""
    cdef uint32_t i
    check_region(region.R)
    i = actor_at(region.R, a).facts
    return i, object_at(region.R, i).generation


def job_of_actor(Region region, uint32_t a) -> int:
    """The `Region.job_key` of the job to which an actor belongs, which exists."""
    check_region(region.R)
    return job_key_of(region.R, actor_at(region.R, a).job)


def actor_facts(Region region, uint32_t a) -> tuple:
    """(state, serial, slot or 0, pending calls, running calls, lanes, whether it is to be killed, index of its cause or 0).
    Racy, but for the node's own steps."""
    cdef rl_actor* e
    check_region(region.R)
    if not 0 < a < rl_load(&region.R.h.actors.used):
        check(STALE)
    e = actor_at(region.R, a)
    return (ACTOR_STATES[e.state], e.serial, e.slot, calls_pending(region.R, e), e.nrunning, e.nlanes,
            e.flags & RL_KILLED != 0, e.cause)


def actors(Region region) -> list:
    """Indices of the actors that exist. Racy."""
    cdef uint32_t a
    check_region(region.R)
    return [a for a in range(1, rl_load(&region.R.h.actors.used)) if actor_at(region.R, a).state != RL_FREE]


def own_actor(Region region) -> int:
    """The actor whose process this is, or 0."""
    return rl_slot_at(region.R, region.R.slot).actor


def open_actor(Region region) -> tuple:
    """Opens a slot for the next actor that can be started, whose process is to be forked then: (actor, slot), or (0, 0)."""
    cdef uint32_t a = 0
    cdef uint32_t slot = 0
    check_region(region.R)
    check(actor_open(region.R, &a, &slot))
    return a, slot


def take_due_actor(Region region) -> int:
    """The next actor for which the node has something to do, or 0: it was killed, nobody can call it, or it is DEAD and has
    calls that must fail or nothing left at all."""
    cdef uint32_t a = 0
    check_region(region.R)
    check(actor_due_take(region.R, &a))
    return a


def retire_actor(Region region, uint32_t a) -> bool:
    """Asks the process of an actor to end if nobody can call it and it has no calls left; whether that is so."""
    cdef bint retired = False
    check_region(region.R)
    check(actor_retire(region.R, a, &retired))
    return retired


def retry_actor(Region region, uint32_t a) -> bool:
    """Lets an actor be started again whose process is gone and had not begun its constructor; between the sweep and
    `end_sweep`. False: it was killed."""
    check_region(region.R)
    cdef int rc = actor_retry(region.R, a)
    if rc != STALE:
        check(rc)
    return rc != STALE


def end_actor(Region region, uint32_t a, ObjectID cause=None):
    """Makes an actor DEAD: one without a process, or between `adopt_task` (of all) and `end_sweep`. `cause`: sealed error that
    its calls raise, unless the process left one."""
    check_region(region.R)
    if cause is not None:
        resolve(region.R, cause)
    check(actor_end(region.R, a, 0 if cause is None else cause.index))


def drain_actor(Region region, uint32_t a, uint32_t most) -> int:
    """Fails at most `most` calls of a DEAD actor, which has a cause; how many calls are left."""
    cdef uint32_t left = 0
    cdef uint32_t step
    check_region(region.R)
    while most:
        step = min(most, <uint32_t>DRAIN_STEP)
        most -= step
        check(actor_drain(region.R, a, step, &left))
        if left == 0:
            break
    return left


def free_actor(Region region, uint32_t a) -> bool:
    """Frees the entry of a DEAD actor that has no calls and no handle any more; whether that was so."""
    cdef bint freed = False
    check_region(region.R)
    check(actor_free(region.R, a, &freed))
    return freed


def kill_actor(Region region, ObjectID handle) -> bool:
    """Asks the node to kill an actor; none of its calls begins any more. False: it is dead already."""
    cdef int rc
    a, serial = actor_of(region, handle)
    rc = actor_kill(region.R, a, serial)
    if rc == STALE:
        return False
    check(rc)
    return True


def leave_actor(Region region, ObjectID cause=None):
    """Ends the actor of this process after the calls that it runs. `cause`: sealed error that its other calls raise."""
    check_region(region.R)
    if cause is not None:
        resolve(region.R, cause)
    check(actor_leave(region.R, 0 if cause is None else cause.index))


def own_handle(Region region) -> ObjectID:
    """The handle of the actor whose process this is, which must be one."""
    cdef uint32_t i = actor_at(region.R, rl_slot_at(region.R, region.R.slot).actor).handle
    return make_id(region.R, i, object_at(region.R, i).generation, object_at(region.R, i).id)


def actor_in(Region region, uint32_t slot) -> int:
    """The actor whose process has a slot, or 0."""
    check_region(region.R)
    return rl_slot_at(region.R, slot).actor


def actor_id(Region region, uint32_t a) -> bytes:
    """The id of an actor's handle. Racy."""
    check_region(region.R)
    return object_at(region.R, actor_at(region.R, a).handle).id[:RL_ID_BYTES]


def actor_process(Region region, uint32_t a) -> tuple:
    """(pid of an actor's process or 0, calls that it has finished, the constructor's not counted). Racy."""
    check_region(region.R)
    cdef rl_actor* e = actor_at(region.R, a)
    cdef rl_slot* s = rl_slot_at(region.R, e.slot)
    if e.slot == 0:
        return 0, 0
    return s.pid, s.finished - (s.finished != 0 and (e.incarnation == 0 or e.rebuild != 0))


def actor_of_task(Region region, uint32_t t) -> int:
    """The actor whose call a task is, or 0. Racy."""
    check_region(region.R)
    return task_at(region.R, t).actor


def actors_busy(Region region) -> int:
    """Actors of the job that can make progress by themselves: they start, or their process neither rests nor waits without a
    timeout. Racy."""
    cdef rl_region* R = region.R
    cdef uint32_t a, n = 0
    cdef rl_actor* e
    check_region(R)
    for a in range(1, rl_load(&R.h.actors.used)):
        e = actor_at(R, a)
        if e.job != R.job:
            continue
        if e.state == RL_ACTOR_STARTING:
            n += 1
        elif e.state == RL_ACTOR_ALIVE and not e.resting:
            n += rl_slot_at(R, e.slot).blocked == 0 or rl_load(&rl_slot_at(R, e.slot).deadlock_flag) == 0
    return n
