"""Checkpoints and restarts of actors, as Python sees them.

Must not decide when a checkpoint is made, or whether an actor is started again.
"""


def restart_facts(Region region, uint32_t a) -> tuple:
    """(processes that an actor has lost since its checkpoint, most of these, processes that it has lost in all, whether calls
    are kept for the next process, whether calls that would have to be kept were given up). Racy, but for the node's own
    steps."""
    cdef rl_actor* e = actor_at(region.R, a)
    check_region(region.R)
    return e.restarts, e.max_restarts, e.incarnation, e.flags & RL_KEEPS != 0, e.flags & RL_PAST_LOST != 0


def restart_actor(Region region, uint32_t a) -> bool:
    """Lets an actor have another process, in which its past calls run again first; between `adopt_task` (of all) and
    `end_sweep`. False: it was killed meanwhile."""
    check_region(region.R)
    cdef int rc = actor_restart(region.R, a)
    if rc != STALE:
        check(rc)
    return rc != STALE


def save_checkpoint(Region region, ObjectID state):
    """Makes a sealed object the checkpoint of this process's actor: calls that have ended are not run again."""
    check_region(region.R)
    resolve(region.R, state)
    check(actor_checkpoint(region.R, state.index))


def lose_past(Region region):
    """Gives up the past calls of this process's actor: it can't have another process until it has a new checkpoint."""
    check_region(region.R)
    check(actor_lose_past(region.R))


def saved_checkpoint(Region region):
    """The checkpoint of this process's actor, held by this process, or None."""
    check_region(region.R)
    cdef uint32_t i = actor_at(region.R, rl_slot_at(region.R, region.R.slot).actor).checkpoint
    return hold_id(region.R, i, object_at(region.R, i).generation) if i else None


def call_facts(Region region, uint32_t t) -> tuple:
    """(whether a call that this process has is its actor's constructor's, whether it had ended in an earlier process of the
    actor: nobody waits for its result then)."""
    cdef rl_task* k = task_at(region.R, t)
    check_region(region.R)
    return actor_at(region.R, k.actor).creation == t, rl_load16(&k.flags) & RL_REPLAY != 0


def is_unneeded_actor(Region region, uint32_t a) -> bool:
    """Whether nobody can call an actor any more and it has no calls left, but those that only its next process would see."""
    cdef bint unneeded = False
    check_region(region.R)
    check(actor_is_unneeded(region.R, a, &unneeded))
    return unneeded


def kept_calls(Region region) -> tuple:
    """(number, bytes) of the past calls that this process's actor keeps."""
    cdef rl_actor* e = actor_at(region.R, rl_slot_at(region.R, region.R.slot).actor)
    check_region(region.R)
    return e.nkept, e.past_bytes
