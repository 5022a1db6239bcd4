"""The mapped region of this process: which one bare ids belong to, and when its memory is unmapped.

`close` unmaps it if no call is inside the core and no view is exported; otherwise the last call or view that ends does.
"""
cdef rl_region* current = NULL     # region of bare ids and unpickled ids: a process has at most one


cdef inline bint is_own(rl_region* R) noexcept:
    return R != NULL and not R.closed and R.fork_generation == rl_generation


cdef inline bint is_usable(rl_region* R) noexcept:
    """Whether the fast paths may work; `check_region` says why not."""
    return is_own(R) and not rl_node_died(R)


cdef void region_unmap(rl_region* R) noexcept:
    munmap(R.meta, R.h_control_bytes)
    munmap(R.arena, R.h_arena_bytes)
    munmap(R.handles, R.handles_bytes)
    R.meta = NULL
    R.h = NULL
    if R.connection >= 0:
        close(R.connection)
        R.connection = -1


cdef void region_leave(rl_region* R) noexcept:
    R.users -= 1
    if R.users == 0 and R.closed:
        region_unmap(R)
