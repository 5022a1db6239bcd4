"""Jobs as the session's host sees them: it opens one for each driver, and rings their nodes for processes of other jobs."""


def open_job(Region region) -> int:
    """Opens a job; its index. The caller is the host, or makes the region."""
    cdef uint32_t job = 0
    check_region(region.R)
    check(job_open(region.R, &job))
    check(rl_mutex_make(&rl_job_at(region.R, job).node_life))
    return job


def take_rung_jobs(Region region) -> list:
    """Jobs whose nodes the host is to ring, since processes of other jobs have found work for them."""
    cdef list out = []
    cdef uint32_t bits, word
    check_region(region.R)
    for word in range(RL_JOB_WORDS):
        bits = rl_swap(&region.R.h.rung_jobs[word], 0)
        while bits:
            out.append(word * 32 + __builtin_ctz(bits))
            bits &= bits - 1
    return out
