"""Jobs: the entry of each driver's job.

Most functions of the core act for the job of their process, `R.j`.  What belongs to a queue, a slot or an actor belongs to the
job which that names.  Neighbours: region/states.h (ALIVE); rings.pyx and idle_workers.pyx keep a job's lists.
"""


cdef void job_begin(rl_region* R, rl_job* j) noexcept nogil:
    """Lock held. Initializes a job: nothing is queued, nobody waits, no process works."""
    memset(&j.ready_ring, 0, <size_t>(<char*>&j.node_life - <char*>&j.ready_ring))
    rl_fresh32(&j.workers_differ, resource_at(R, RL_GPU).total != 0)
    rl_job_become(R, j, RL_JOB_ALIVE)


cdef int job_open(rl_region* R, uint32_t* out) noexcept nogil:
    """Opens a job."""
    cdef int rc = DONE
    while True:
        if rl_lock(R):
            return EIO
        out[0] = table_take(R, &R.h.jobs)
        rc = DONE if out[0] else GROW_JOBS
        if rc == DONE:
            job_begin(R, rl_job_at(R, out[0]))
        if not section_repeats(R, &rc, 0):
            return rc
