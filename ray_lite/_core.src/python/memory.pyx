"""Memory of the store, for the node: trimming runs that have long been free, and preallocating pages."""


def has_trimmable(Region region) -> bool:
    """Whether a free run that is worth trimming appeared since `trim` found none."""
    return not region.R.closed and region.R.h.trimmable != 0


def trim(Region region, int spill_fd) -> int:
    """Trims a large free run: memory of the arena, or disk space of the spill file if `spill_fd` is not -1.

    Returns:
        Bytes that were trimmed; 0: no run (or no other one) is worth it.
    """
    cdef rl_region* R = region.R
    cdef int64_t given = 0
    check_region(R)
    if R.h.page_bytes == RL_PAGE:
        given = trim_one(R, &R.h.arena, R.arena_fd)
    if given == 0 and spill_fd >= 0:
        given = trim_one(R, &R.h.spill, spill_fd)
    check(<int>min(given, 0))
    if given == 0:
        if rl_lock(R):
            check(EIO)
        rl_set32(R, &R.h.trimmable, 0)
        rl_commit(R)
    return given


def should_preallocate(Region region) -> bool:
    """Whether another process had to let the arena grow since `preallocate` last had nothing more to do."""
    return not region.R.closed and region.R.h.grew != 0


def preallocate(Region region, uint64_t size) -> bool:
    """Commits a step of pages if fewer than `size` bytes are free behind the last run in use; whether more steps are needed."""
    cdef bint more = False
    check_region(region.R)
    if region.R.h.page_bytes == RL_PAGE:
        check(preallocate_step(region.R, <uint32_t>(min(size, region.R.h.arena_bytes // 16) // RL_PAGE), &more))
    elif region.R.h.grew:
        check(preallocate_step(region.R, 0, &more))
    return more
