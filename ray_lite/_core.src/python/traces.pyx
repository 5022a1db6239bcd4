"""Traces, as Python sees them: reading the rings of all processes, records of what the core doesn't see, the switch for detail.

Neighbours: region/traces.h (what a record says); tracing/records.py takes the bytes apart.  Must not interpret a record.
"""
TRACE_RUN, TRACE_SUBMIT, TRACE_ARGUMENT, TRACE_QUEUED = RL_TRACE_RUN, RL_TRACE_SUBMIT, RL_TRACE_ARGUMENT, RL_TRACE_QUEUED
TRACE_PUT, TRACE_MOVE, TRACE_DEATH, TRACE_EVENT, TRACE_TEXT = \
    RL_TRACE_PUT, RL_TRACE_MOVE, RL_TRACE_DEATH, RL_TRACE_EVENT, RL_TRACE_TEXT
TRACE_BYTES, TRACE_TEXT_BYTES = RL_TRACE_BYTES, RL_TRACE_TEXT_BYTES


cdef int64_t trace_attempt(
    rl_region* R, uint32_t t, uint8_t outcome, int64_t begin, int64_t called, int64_t returned
) noexcept:
    """Records an attempt at a task, which ends now; returns this time.

    All times are CLOCK_MONOTONIC, in ns. `called`, `returned`: when its function was called, and when it returned; 0: unknown.
    """
    cdef rl_task* k = task_at(R, t)
    cdef rl_trace e
    memset(&e, 0, sizeof(e))
    e.kind, e.outcome, e.actor, e.what, e.pid = RL_TRACE_RUN, outcome, k.actor, k.function, rl_slot_at(R, R.slot).pid
    memcpy(e.id, k.id, RL_ID_BYTES)
    e.begin, e.end = begin, rl_now()
    if called:
        e.before, e.after = <uint32_t>((called - begin) // 1000), <uint32_t>((e.end - returned) // 1000)
    rl_trace_write(R, &e)
    return e.end


def trace_slots(Region region) -> list:
    """Slots of this process's job that have a ring, also if their process has ended."""
    cdef rl_region* R = region.R
    cdef uint32_t i
    check_region(R)
    return [i for i in range(1, rl_load(&R.h.slots.used)) if rl_slot_at(R, i).job == R.job and
            rl_slot_at(R, i).job_serial == R.j.serial and rl_trace_ring_of(R, i) != NULL]


def read_traces(Region region, uint32_t slot, uint64_t since) -> tuple:
    """Records of a slot's ring.

    Args:
        since: how many records of the ring to pass over: 0, or what an earlier call returned. Those of another job are passed
            over in any case.

    Returns:
        (bytes of whole records, the oldest first; the number to go on with; how many records were overwritten or are not
        whole). A record that is being written now may be missed.
    """
    cdef rl_region* R = region.R
    cdef rl_trace_ring* ring
    cdef uint64_t written, first, k
    cdef Py_ssize_t n = 0
    check_region(R)
    ring = rl_trace_ring_of(R, slot) if 0 < slot < R.h.slots.used else NULL
    if ring == NULL:
        return b"", since, 0
    written = rl_traces_written(ring)
    since = max(since, rl_slot_at(R, slot).trace_since)
    first = since if written - since <= R.h.trace_records else written - R.h.trace_records
    cdef bytes out = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>(written - first) * RL_TRACE_BYTES)
    cdef char* at = PyBytes_AS_STRING(out)
    for k in range(first, written):
        n += rl_trace_read(R, ring, k, <rl_trace*>(at + n * RL_TRACE_BYTES))
    return out[:n * RL_TRACE_BYTES], written, written - since - n


def trace(Region region, int kind, bytes id, uint32_t what, int64_t begin, uint8_t outcome=0):
    """Records something of which the core doesn't know by itself, from `begin` (CLOCK_MONOTONIC, ns) until now."""
    cdef rl_trace e
    check_region(region.R)
    memset(&e, 0, sizeof(e))
    e.kind, e.outcome, e.what, e.pid = kind, outcome, what, rl_slot_at(region.R, region.R.slot).pid
    memcpy(e.id, <const char*>id, min(len(id), RL_ID_BYTES))
    e.begin, e.end = begin, rl_now()
    rl_trace_write(region.R, &e)


def trace_event(Region region, int64_t begin, bytes text):
    """Records what a program says of itself, from `begin` until now: a record of kind EVENT, and the text behind it."""
    cdef rl_trace e
    cdef Py_ssize_t at
    trace(region, RL_TRACE_EVENT, b"", <uint32_t>len(text), begin)
    for at in range(0, len(text), RL_TRACE_TEXT_BYTES):
        memset(&e, 0, sizeof(e))
        e.kind, e.pid = RL_TRACE_TEXT, rl_slot_at(region.R, region.R.slot).pid
        memcpy(e.id, PyBytes_AS_STRING(text) + at, min(len(text) - at, <Py_ssize_t>RL_TRACE_TEXT_BYTES))
        rl_trace_write(region.R, &e)


def return_id(bytes task, uint32_t k) -> bytes:
    """Id of the k-th return of a task, by the task's id of 20 bytes."""
    cdef uint8_t id[RL_ID_BYTES]
    id_derive(<const uint8_t*>PyBytes_AS_STRING(task), k, FOLD_A, id)
    return id[:RL_ID_BYTES]


def traces_detail(Region region) -> bool:
    """Whether processes of the session record details, too."""
    check_region(region.R)
    return rl_traces_detail(region.R)


def set_traces_detail(Region region, bint on):
    """Lets the processes of the session record details, or not, from now on."""
    check_region(region.R)
    rl_store(&region.R.h.tracing, on)
