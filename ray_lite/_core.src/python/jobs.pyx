"""Jobs as the session's host sees them: it opens one for each driver, rings their nodes for processes of other jobs, and frees
what a job leaves behind.

Neighbour: tasks/job_ends.pyx.  Must not decide when a job ends: node/jobs.py does.
"""


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


def open_driver(Region region, uint32_t job, uint32_t pid, uint64_t started) -> int:
    """Opens a slot for the driver of a job; the slot. `started`: its start in clock ticks since boot."""
    cdef rl_region its
    cdef uint32_t slot = 0
    check_region(region.R)
    its = region.R[0]
    rl_act_for(&its, job)
    check(slot_open(&its, RL_DRIVER, pid, started, &slot))
    return slot


def end_jobs(Region region):
    """Says in all jobs that the session ends: calls of their drivers raise that, and their workers take no more tasks."""
    cdef uint32_t job
    check_region(region.R)
    for job in range(RL_HOST_JOB + 1, rl_load(&region.R.h.jobs.used)):
        if rl_job_at(region.R, job).state != RL_FREE:
            rl_store(&rl_job_at(region.R, job).closing, RL_HOST_LOST)
    wake_everybody(region.R)


def job_processes(Region region, uint32_t job) -> list:
    """(slot, pid, start time, role) of a job's slots; pid 0: a process that was never there."""
    cdef rl_region* R = region.R
    cdef rl_slot* s
    cdef list out = []
    cdef uint32_t i
    check_region(R)
    for i in range(1, rl_load(&R.h.slots.used)):
        s = rl_slot_at(R, i)
        if s.state != RL_FREE and s.job == job:
            out.append((i, s.pid, s.started, s.role))
    return out


def job_of_task(Region region, uint32_t t) -> int:
    """The job of a task: that of its queue, or of its actor. Racy."""
    cdef rl_task* k
    check_region(region.R)
    k = task_at(region.R, t)
    return actor_at(region.R, k.actor).job if k.actor else queue_at(region.R, k.queue).job


def job_actors(Region region, uint32_t job) -> list:
    """(actor, whether it is DEAD) of a job's actors."""
    cdef rl_region* R = region.R
    cdef uint32_t a
    check_region(R)
    return [(a, actor_at(R, a).state == RL_ACTOR_DEAD) for a in range(1, rl_load(&R.h.actors.used))
            if actor_at(R, a).state != RL_FREE and actor_at(R, a).job == job]


def begin_drop(Region region, uint32_t job):
    """Begins the end of a job."""
    check_region(region.R)
    check(job_dropping(region.R, job))


cdef uint32_t cause_index(Region region, ObjectID cause) except 0:
    check_region(region.R)
    resolve(region.R, cause)
    return cause.index


def lose_task(Region region, uint32_t t, ObjectID cause):
    """Ends a task that this process has adopted: its unsealed returns refer to `cause`, a sealed error."""
    check(task_lose(region.R, t, cause_index(region, cause)))


def lose_tasks(Region region, uint32_t job, ObjectID cause, uint32_t at) -> int:
    """Ends tasks of a job that don't run, as `lose_task` does; `at`: 1, then what the last call returned, until that is 0."""
    cdef uint32_t i = cause_index(region, cause)
    if at == 1:
        check(job_lose_cancelled(region.R, job, i))
    check(job_lose_tasks(region.R, job, i, &at))
    return at


def orphan_actor(Region region, uint32_t a, uint32_t q):
    """Gives a DEAD actor of a job that ends to this process's job. `q`: a queue for actors that demand nothing."""
    check_region(region.R)
    check(actor_orphan(region.R, a, q))


def forget_sites(Region region, uint32_t job, uint32_t at) -> int:
    """Takes a job's call sites away from objects; `at` and the result as in `lose_tasks`."""
    check_region(region.R)
    check(job_forget_sites(region.R, job, &at))
    return at


def unkeep_objects(Region region, uint32_t job, uint32_t at) -> int:
    """Lets go of objects that a job keeps; `at` and the result as in `lose_tasks`."""
    check_region(region.R)
    check(job_unkeep(region.R, job, &at))
    return at


def free_queues(Region region, uint32_t job, uint32_t at) -> int:
    """Frees queues of a job, which are empty; `at` and the result as in `lose_tasks`."""
    check_region(region.R)
    check(job_free_queues(region.R, job, &at))
    return at


def free_job(Region region, uint32_t job):
    """Frees the entry of a job of which nothing is left."""
    check_region(region.R)
    check(job_free(region.R, job))


def task_rows(Region region, uint32_t most) -> list:
    """The tasks of this job that have not ended, `most` of them: (id, state, index of the function, actor, pid of its process
    or 0)."""
    cdef rl_region* R = region.R
    cdef rl_task* k
    cdef uint32_t t, owner
    cdef list out = []
    check_region(R)
    for t in range(1, rl_load(&R.h.tasks.used)):
        k = task_at(R, t)
        if k.state in (RL_FREE, RL_BUILDING, RL_PAST) or job_of_task(region, t) != R.job:
            continue
        owner = k.owner if k.state == RL_RUNNING else 0
        out.append(((<char*>k.id)[:RL_ID_BYTES], TASK_STATES[k.state], k.function, k.actor,
                    rl_slot_at(R, owner).pid if 0 < owner < R.h.slots.used else 0))
        if len(out) == most:
            break
    return out
