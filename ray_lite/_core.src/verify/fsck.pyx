"""fsck: checks every invariant of the region under the lock; and a digest of its logical content.

It runs at each test's teardown, after each step of the crash-state enumeration, and in `Region.check()`.  It allocates nothing
(the caller provides scratch memory) and trusts nothing: table sizes bound every walk of a list.
"""


cdef int fsck(rl_region* R, uint32_t* scratch, rl_finding* f) noexcept nogil:
    """Lock held. Checks the region; 0, or 1 with the finding. Of a private copy the lock need not be held.

    `scratch`: as many words as there are objects, or extents if these are more.
    """
    cdef uint32_t i
    if R.h.poison:
        return wrong(f, b"poison", 0, 0, R.h.poison)
    if R.h.lock.word:
        return wrong(f, b"log: not empty", 0, 0, R.h.lock.word)
    if fsck_table(R, &R.h.objects, f) or fsck_table(R, &R.h.tasks, f) or fsck_table(R, &R.h.refs, f):
        return 1
    if fsck_table(R, &R.h.extents, f) or fsck_table(R, &R.h.queues, f) or fsck_table(R, &R.h.slots, f):
        return 1
    if fsck_table(R, &R.h.resources, f) or fsck_table(R, &R.h.demands, f):
        return 1
    if fsck_table(R, &R.h.actors, f) or fsck_table(R, &R.h.lanes, f) or fsck_table(R, &R.h.jobs, f):
        return 1
    for i in range(1, R.h.objects.used):
        if fsck_object(R, i, f):
            return 1
    if fsck_holders(R, f) or fsck_refs(R, scratch, f) or fsck_contents(R, f) or fsck_lists(R, f):
        return 1
    if fsck_runs(R, f) or fsck_free_runs(R, f) or fsck_slabs(R, f) or fsck_blocks(R, scratch, f) or fsck_counted(R, f):
        return 1
    if fsck_tasks(R, f) or fsck_actors(R, scratch, f):
        return 1
    return fsck_queues(R, f) or fsck_resources(R, f) or fsck_jobs(R, f) or fsck_traces(R, f)


cdef inline uint64_t mix(uint64_t a, uint64_t b) noexcept nogil:
    return rl_fold(a ^ FOLD_A, b ^ FOLD_B) + a


cdef uint64_t digest_of_jobs(rl_region* R) noexcept nogil:
    cdef uint64_t d = R.h.jobs.live
    cdef uint64_t e
    cdef uint32_t i
    cdef rl_job* j
    for i in range(1, R.h.jobs.used):
        j = rl_job_at(R, i)
        if j.state != RL_FREE:
            e = mix(mix(i, j.state), mix(j.serial, j.turn_given))
            d += mix(mix(e, mix(j.nready, j.ready_ring)), mix(j.idle_first, j.nstarting))
            d += mix(mix(j.nblocked, j.nworking), mix(j.nworking_nested, j.cancelled_queued))
            d += mix(mix(j.nwanting, j.actors_due), mix(j.turn_ring, j.life_ring))
    return d


cdef uint64_t digest_of_actors(rl_region* R) noexcept nogil:
    cdef uint64_t d = 0
    cdef uint64_t e
    cdef uint32_t i
    cdef rl_actor* a
    for i in range(1, R.h.actors.used):
        a = actor_at(R, i)
        if a.state != RL_FREE:
            e = mix(mix(i, a.state), mix(a.slot, a.ncalls * 8 + a.nrunning))
            d += mix(mix(e, mix(a.length, a.handle)), mix(mix(a.wants, a.cause), mix(a.flags, a.resting * 2 + a.lane_last)))
            d += mix(mix(a.creation, a.waiting), mix(a.open, a.stalled)) + mix(mix(i, a.nmailed), a.nwaiting)
            d += mix(mix(a.past, a.past_tail), mix(a.stale, a.rebuild)) + mix(mix(a.nkept, a.nagain), a.past_bytes)
            d += mix(mix(a.checkpoint, a.restarts), mix(a.incarnation, i))
            d += mix(mix(i, a.facts), a.name_next if a.flags & RL_NAMED else 0)
    for i in range(RL_NAMES):
        d += mix(i, R.h.names[i]) if R.h.names[i] else 0
    return d + mix(<uint64_t>R.h.cpus_held, mix(R.h.actors.live, R.h.lanes.live))


cdef uint64_t digest(rl_region* R) noexcept nogil:
    """Hash of what the region says, not of how it is stored: equal before and after a section that was rolled back."""
    cdef uint64_t d = mix(R.h.nstalled, R.h.used_bytes) + digest_of_jobs(R) + digest_of_actors(R)
    cdef uint64_t e, id
    cdef uint32_t i
    cdef rl_object* o
    cdef rl_task* k
    cdef rl_slot* s
    for i in range(1, R.h.objects.used):
        o = object_at(R, i)
        if o.state != RL_FREE:
            memcpy(&id, o.id, 8)
            e = mix(mix(i, o.state), mix(o.pins, o.holders))
            d += mix(mix(e, id), mix(mix(o.task, o.extent), mix(o.edges, o.contents)))
            if R.h.spill_least and o.state == RL_SEALED and o.extent:
                d += mix(mix(block_info_of(o).readers, block_info_of(o).moves), block_info_of(o).checksum)
    for i in range(1, R.h.tasks.used):
        k = task_at(R, i)
        if k.state != RL_FREE:
            memcpy(&id, k.id, 8)
            e = mix(mix(i, k.state), mix(k.owner, k.ndeps))
            d += mix(mix(e, id), mix(mix(k.returns, k.refs), mix(mix(k.attempts, k.retries_left), mix(k.next, k.flags))))
    for i in range(1, R.h.slots.used):
        s = rl_slot_at(R, i)
        if s.state != RL_FREE:
            d += mix(mix(i, s.state), mix(mix(s.running, s.building), mix(s.shape, s.availability * 8 + s.blocked)))
            d += mix(mix(i, s.gpu_bound), mix(s.gpus[0], s.gpus[1])) + mix(i, s.row_limit)
            d += mix(mix(i, s.lent), mix(s.thread_waits, s.thread_waits_forever)) + mix(mix(i, s.actor), s.held)
    for i in range(1, R.h.resources.used):
        d += mix(mix(i, <uint64_t>resource_at(R, i).free), mix(resource_at(R, i).head, resource_at(R, i).tail))
    d += mix(R.h.kept, R.h.kept_bytes)
    d += mix(mix(R.h.reserved_for, R.h.working_holders), mix(R.h.cancels, R.h.wide_holders))
    d += mix(mix(R.h.arena.committed, R.h.spilled_bytes), mix(R.h.holes.committed, R.h.ntrims))
    d += mix(R.h.nameless, R.h.trimming)
    return d + mix(mix(R.h.objects.live, R.h.tasks.live), R.h.refs.live)
