"""The operations that are stepped: each a C function of the core, called with what an order holds.

An order is filled before the trap flag is set, so that nothing but the operation runs in between.
"""
cdef struct rl_order:
    rl_region* who
    uint32_t a, b
    uint64_t size
    uint32_t targets[64]
    uint32_t n
    uint8_t id[20]
    rl_origin origin   # of what is made: that id
    rl_spec spec
    rl_creation creation
    uint8_t name[20]   # of an actor that is made
    uint32_t members
    uint32_t returns[64]
    uint32_t generations[64]
    uint32_t out
    uint32_t out2
    bint complete

ctypedef int (*operation)(rl_order*) noexcept nogil

cdef char FILLING[65536]   # arguments and payloads
memset(FILLING, 0x5a, sizeof(FILLING))


cdef int order_put(rl_order* o) noexcept nogil:
    return object_put_small(o.who, &o.origin, RL_PLAIN, FILLING, <uint32_t>o.size, &o.out)


cdef int order_create(rl_order* o) noexcept nogil:
    return object_create(o.who, &o.origin, o.size, o.a, &o.out)


cdef int order_room(rl_order* o) noexcept nogil:
    return object_room(o.who, o.a, o.size, o.b != 0)


cdef int order_contain(rl_order* o) noexcept nogil:
    return object_contain(o.who, o.a, o.targets, o.n)


cdef int order_seal(rl_order* o) noexcept nogil:
    return object_seal(o.who, o.a, RL_PICKLE)


cdef int order_abandon(rl_order* o) noexcept nogil:
    return object_abandon(o.who, o.a)


cdef int order_hold(rl_order* o) noexcept nogil:
    return object_hold(o.who, o.a, o.b)


cdef int order_release(rl_order* o) noexcept nogil:
    return object_release(o.who, o.a)


cdef int order_expose(rl_order* o) noexcept nogil:
    return object_expose(o.who, o.a)


cdef int order_find(rl_order* o) noexcept nogil:
    return object_find(o.who, o.id, o.a, &o.out, &o.out2)


cdef int order_submit(rl_order* o) noexcept nogil:
    cdef int rc = task_submit(o.who, &o.spec)
    o.out = o.spec.task
    return rc


cdef int order_next(rl_order* o) noexcept nogil:
    return task_next(o.who, o.a, &o.out)


cdef int order_finish(rl_order* o) noexcept nogil:
    return task_finish(o.who, o.a)


cdef int order_inline(rl_order* o) noexcept nogil:
    return inline_take(o.who, o.a, &o.out)


cdef int order_leave(rl_order* o) noexcept nogil:
    return idle_leave(o.who)


cdef int order_block(rl_order* o) noexcept nogil:
    return block_begin(o.who, False)


cdef int order_unblock(rl_order* o) noexcept nogil:
    return block_end(o.who)


cdef int order_await(rl_order* o) noexcept nogil:
    return await_object(o.who, o.a)


cdef int order_thread_wait(rl_order* o) noexcept nogil:
    return thread_wait_begin(o.who, o.b != 0)


cdef int order_thread_wake(rl_order* o) noexcept nogil:
    return thread_wait_end(o.who, o.b & 1, o.b & 2)


cdef int order_lend(rl_order* o) noexcept nogil:
    cdef int64_t lent = 0
    return lend(o.who, o.a, &lent)


cdef int order_look(rl_order* o) noexcept nogil:
    cdef rl_waits waits
    return waits_read(o.who, o.b, &waits)


cdef int order_mark(rl_order* o) noexcept nogil:
    return mark_deadlocked(o.who, o.a)


cdef int order_shape(rl_order* o) noexcept nogil:
    cdef rl_shape shape
    cdef uint32_t resources[64]
    cdef int64_t amounts[64]
    cdef uint32_t d
    for d in range(o.n):
        resources[d], amounts[d] = RL_CUSTOM + o.targets[d], RL_UNIT
    shape.job, shape.options, shape.members, shape.cpus, shape.gpus = o.who.job, 0, o.members, <int64_t>o.size, o.b
    shape.n, shape.resources, shape.amounts = o.n, resources, amounts
    return shape_queue(o.who, &shape, &o.out)


cdef int order_open(rl_order* o) noexcept nogil:
    return slot_open(o.who, RL_WORKER, 0, 0, &o.out)


cdef int order_adopt_slot(rl_order* o) noexcept nogil:
    return slot_adopt(o.who, o.a, 4242, 1)


cdef int order_sweeping(rl_order* o) noexcept nogil:
    return slot_sweeping(o.who, o.a)


cdef int order_adopt(rl_order* o) noexcept nogil:
    return slot_adopt_task(o.who, o.a, &o.out, &o.complete)


cdef int order_requeue(rl_order* o) noexcept nogil:
    return task_requeue(o.who, o.a, o.b & 1, o.b & 2)


cdef int order_sweep(rl_order* o) noexcept nogil:
    return sweep(o.who, o.a)


cdef int order_free(rl_order* o) noexcept nogil:
    return slot_free(o.who, o.a)


cdef int order_drain(rl_order* o) noexcept nogil:
    return garbage_drain(o.who)


cdef int order_read(rl_order* o) noexcept nogil:
    return read_begin(o.who, o.a)


cdef int order_unread(rl_order* o) noexcept nogil:
    return read_end(o.who, o.a)


cdef int order_create_spilled(rl_order* o) noexcept nogil:
    return object_create(o.who, NULL, o.size, RL_NAMELESS | IN_SPILL_FILE, &o.out)


cdef int order_exchange(rl_order* o) noexcept nogil:
    return blocks_exchange(o.who, o.a, o.b, <uint32_t>o.size, 0x5a5a)


cdef int order_trim_take(rl_order* o) noexcept nogil:
    return trim_take(o.who, &o.who.h.spill if o.b else &o.who.h.arena)


cdef int order_trim_finish(rl_order* o) noexcept nogil:
    return trim_finish(o.who, &o.who.h.spill if o.b else &o.who.h.arena, o.a)


cdef int order_cancel(rl_order* o) noexcept nogil:
    cdef int found = 0
    cdef int rc = task_cancel(o.who, o.a, o.b, RL_CANCEL_FORCED if o.size else 0, &found)
    o.out = <uint32_t>found
    return rc


cdef int order_take_cancelled(rl_order* o) noexcept nogil:
    return cancelled_queued_take(o.who, &o.out)


cdef int order_again(rl_order* o) noexcept nogil:
    return task_again(o.who, o.a, o.b & 4 == 0, o.b & 1, o.b & 2)


cdef int order_retire(rl_order* o) noexcept nogil:
    return retire_step(o.who, <int64_t>o.size, &o.out)


cdef int order_age(rl_order* o) noexcept nogil:
    return age(o.who)


cdef int order_open_actor(rl_order* o) noexcept nogil:
    return actor_open(o.who, &o.out, &o.out2)


cdef int order_next_call(rl_order* o) noexcept nogil:
    return call_next_run(o.who, o.a, <int64_t>o.size, o.b == 0, &o.out)


cdef int order_end_call(rl_order* o) noexcept nogil:
    return call_end(o.who, o.a)


cdef int order_calls_wait(rl_order* o) noexcept nogil:
    return calls_wait(o.who, <int32_t>o.a - <int32_t>o.b)


cdef int order_call_awaits(rl_order* o) noexcept nogil:
    return call_awaits(o.who, o.a, o.b)


cdef int order_kill_actor(rl_order* o) noexcept nogil:
    return actor_kill(o.who, o.a, o.b)


cdef int order_leave_actor(rl_order* o) noexcept nogil:
    return actor_leave(o.who, o.a)


cdef int order_retire_actor(rl_order* o) noexcept nogil:
    return actor_retire(o.who, o.a, &o.complete)


cdef int order_retry_actor(rl_order* o) noexcept nogil:
    return actor_retry(o.who, o.a)


cdef int order_end_actor(rl_order* o) noexcept nogil:
    return actor_end(o.who, o.a, o.b)


cdef int order_due(rl_order* o) noexcept nogil:
    return actor_due_take(o.who, &o.out)


cdef int order_drain_actor(rl_order* o) noexcept nogil:
    return actor_drain(o.who, o.a, o.b, &o.out)


cdef int order_free_actor(rl_order* o) noexcept nogil:
    return actor_free(o.who, o.a, &o.complete)


cdef int order_named(rl_order* o) noexcept nogil:
    return actor_named(o.who, o.id, &o.out, &o.out2)


cdef int order_restart_actor(rl_order* o) noexcept nogil:
    return actor_restart(o.who, o.a)


cdef int order_save_checkpoint(rl_order* o) noexcept nogil:
    return actor_checkpoint(o.who, o.a)


cdef int order_lose_past(rl_order* o) noexcept nogil:
    return actor_lose_past(o.who)


cdef int order_open_job(rl_order* o) noexcept nogil:
    return job_open(o.who, &o.out)


cdef int order_drop_job(rl_order* o) noexcept nogil:
    return job_dropping(o.who, o.a)


cdef int order_lose(rl_order* o) noexcept nogil:
    return task_lose(o.who, o.a, o.b)


cdef int order_lose_cancelled(rl_order* o) noexcept nogil:
    return job_lose_cancelled(o.who, o.a, o.b)


cdef int order_lose_tasks(rl_order* o) noexcept nogil:
    o.out = <uint32_t>o.size
    return job_lose_tasks(o.who, o.a, o.b, &o.out)


cdef int order_forget_sites(rl_order* o) noexcept nogil:
    o.out = <uint32_t>o.size
    return job_forget_sites(o.who, o.a, &o.out)


cdef int order_unkeep(rl_order* o) noexcept nogil:
    o.out = <uint32_t>o.size
    return job_unkeep(o.who, o.a, &o.out)


cdef int order_free_queues(rl_order* o) noexcept nogil:
    o.out = <uint32_t>o.size
    return job_free_queues(o.who, o.a, &o.out)


cdef int order_free_job(rl_order* o) noexcept nogil:
    return job_free(o.who, o.a)


ORDERS = ("put create room contain seal hold release expose find submit next finish inline leave block unblock shape "
          "open adopt_slot sweeping sweep adopt requeue free drain abandon read unread create_spilled exchange trim_take "
          "trim_finish cancel take_cancelled again retire age thread_wait thread_wake lend look mark "
          "open_actor next_call kill_actor leave_actor retire_actor retry_actor end_actor due drain_actor free_actor "
          "named await end_call calls_wait call_awaits restart_actor save_checkpoint lose_past "
          "open_job drop_job lose lose_cancelled lose_tasks forget_sites unkeep free_queues free_job").split()

cdef operation OPERATIONS[69]
OPERATIONS[:] = [
    order_put, order_create, order_room, order_contain, order_seal, order_hold, order_release, order_expose, order_find,
    order_submit, order_next, order_finish, order_inline, order_leave, order_block, order_unblock, order_shape, order_open,
    order_adopt_slot, order_sweeping, order_sweep, order_adopt, order_requeue, order_free, order_drain,
    order_abandon, order_read, order_unread, order_create_spilled, order_exchange, order_trim_take, order_trim_finish,
    order_cancel, order_take_cancelled, order_again, order_retire, order_age,
    order_thread_wait, order_thread_wake, order_lend, order_look, order_mark,
    order_open_actor, order_next_call, order_kill_actor, order_leave_actor, order_retire_actor, order_retry_actor,
    order_end_actor, order_due, order_drain_actor, order_free_actor,
    order_named, order_await, order_end_call, order_calls_wait, order_call_awaits,
    order_restart_actor, order_save_checkpoint, order_lose_past,
    order_open_job, order_drop_job, order_lose, order_lose_cancelled, order_lose_tasks, order_forget_sites, order_unkeep,
    order_free_queues, order_free_job,
]
