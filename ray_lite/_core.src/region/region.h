/* region.h - one process's view of a region: private memory, made by python/region.pyx, passed to all functions of the core. */
#ifndef RL_REGION_H
#define RL_REGION_H
#include "layout.h"

typedef struct {
    char *meta;
    char *arena;
    rl_header *h;
    rl_job *jobs;
    rl_job *j; /* the job of this process; of a copy of this struct, another one for which it acts */
    uint32_t *handles; /* number of this process's handles, by object; guarded by the GIL */
    struct rl_trace_ring *ring; /* of this process's slot, or NULL: there is none */
    uint32_t *reads;   /* how often this process reads an object's bytes that may be spilled, by object; guarded by the GIL */
    int control_fd, arena_fd;
    int connection; /* of an attached driver with the host: closed when the memory is unmapped; else -1 */
    int bell_fd, host_bell_fd; /* doorbells: of this job's node and of the host; the same in the host's job */
    uint32_t slot;
    uint32_t job; /* the index of `j` */
    uint32_t released; /* the last resource released in this section of which other jobs may make use, or none; guarded by the lock */
    uint32_t wakes; /* whether wake-ups of other jobs are owed, */
    uint32_t wake[RL_JOB_WORDS]; /* and of which: a bit for each; guarded by the lock */
    uint32_t fork_generation;
    uint32_t row_limit; /* of this process's slot, or 0; a copy, because it is read for each object that a process begins to hold */
    uint32_t closed;
    int64_t share_look; /* when this worker looks next whether another job waits for CPUs (scheduling/sharing.pyx) */
    uint32_t shared; /* handles beyond the first one of each object; guarded by the GIL */
    uint64_t h_control_bytes, h_arena_bytes, handles_bytes; /* lengths of the mappings */
    int64_t users; /* calls inside the core and exported views; after a close the last one unmaps; guarded by the GIL */
} rl_region;

static inline rl_job *rl_job_at(rl_region *R, uint32_t i) { return R->jobs + i; }
static inline void rl_act_for(rl_region *R, uint32_t job) {
    R->jobs = (rl_job *)(R->meta + R->h->jobs.offset);
    R->job = job;
    R->j = R->jobs + job;
}
static inline rl_slot *rl_slot_at(rl_region *R, uint32_t i) { return (rl_slot *)(R->meta + R->h->slots.offset) + i; }
#endif
