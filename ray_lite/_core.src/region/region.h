/* region.h - a process's view of a region: private memory, made by region.pyx, passed to every function of the core. */
#ifndef RL_REGION_H
#define RL_REGION_H
#include "layout.h"

typedef struct {
    char *meta;
    char *arena;
    rl_header *h;
    uint32_t *handles; /* this process's handles by object; guarded by the GIL */
    uint32_t *reads;   /* its views and readers of bytes that may be spilled, by object; guarded by the GIL */
    int control_fd, arena_fd, bell_fd;
    uint32_t slot;
    uint32_t fork_generation;
    uint32_t row_limit; /* objects whose bit in our holder row has its page */
    uint32_t closed;
    uint32_t shared; /* handles beyond the first of their object; guarded by the GIL */
    uint64_t h_control_bytes, h_arena_bytes, handles_bytes; /* lengths of the mappings */
    int64_t users; /* calls inside the core and exported views; the last one out unmaps; guarded by the GIL */
} rl_region;
#endif
