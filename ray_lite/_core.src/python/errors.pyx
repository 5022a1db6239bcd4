"""Exceptions for result codes: the only place where a code becomes an exception."""
from ray_lite.exceptions import (
    ForkedError, FullReason, ObjectLostError, ObjectStoreFullError, PendingCallsLimitExceeded, RaySystemError,
)

cdef dict FULL_REASONS = {
    FULL_ARENA: FullReason.STORE, ROOM_PROMISED: FullReason.PROMISED, FULL_FILE: FullReason.MEMORY,
    FULL_SPILL: FullReason.SPILL_FILE, FULL_TABLE: FullReason.TABLE,
}


cdef int check(int rc) except -1:
    """Raises the exception that a result code means; DONE and MORE pass."""
    if rc >= 0 and rc != EIO:
        return 0
    if rc == EIO:
        raise RaySystemError(
            "the shared region cannot be trusted any more (a lock was lost or a table is damaged); "
            "shutdown() and init() start a new session")
    if rc == STALE:
        raise ObjectLostError("the object is gone, or never existed in this session")
    if rc in FULL_REASONS:
        raise ObjectStoreFullError(FULL_REASONS[rc].value, FULL_REASONS[rc])
    if rc == FULL_SHAPES:
        raise ValueError(f"this session has seen {QUEUES_MOST - 1:,} different sets of num_cpus, num_gpus, resources and "
                         "options of its tasks, which is the most there can be; use fewer different ones")
    if rc == NAME_TAKEN:
        raise ValueError("another actor has this name")
    if rc == FULL_CALLS:
        raise PendingCallsLimitExceeded("the actor has as many pending calls as max_pending_calls allows: wait for some")
    raise RaySystemError(f"unexpected result {rc} from the core")


cdef int check_region(rl_region* R) except -1:
    """Raises unless the region is open, belongs to this process (not to its parent), and its node lives."""
    if R == NULL or R.closed:
        if R != NULL and R.closed == CALLS_REFUSED and rl_slot_at(R, R.slot).role == RL_WORKER:
            raise RaySystemError("this worker is about to end: its exit handlers can't use the session any more")
        raise RaySystemError("this session has ended; call ray_lite.init() to start one")
    if R.fork_generation != rl_generation:
        raise ForkedError("this process was forked from one that uses ray_lite; it holds no session. "
                          "Call ray_lite.init() here to start its own")
    if rl_load(&R.j.closing) == RL_HOST_LOST and rl_slot_at(R, R.slot).role == RL_DRIVER:
        if R.job == RL_HOST_JOB:
            raise RaySystemError("this session was stopped; call ray_lite.shutdown() and ray_lite.init() to start another one")
        raise RaySystemError("the session to which this driver was attached has ended; shutdown() and init() start or find "
                             "another one")
    if rl_node_died(R) and (not rl_load(&R.j.closing) or rl_slot_at(R, R.slot).role == RL_DRIVER):
        raise RaySystemError("the node process of this session died, and the session with it; shutdown() and init() start "
                             "a new one")
    return 0


cdef object os_error(int code, str what):
    return OSError(code, f"{what}: {strerror(code).decode()}")
