/* failpoints.h - named windows between two steps, in which tests kill a process or make it wait.
 * Compiled in only with RL_FAILPOINTS; otherwise not a byte of this is in the code.
 *
 * A test writes a file with one rl_failpoint_entry for each name, and puts its path into RAY_LITE_FAILPOINTS; every process of
 * the session maps it.  Passages are counted by role; the passage that takes `countdown` to zero is caught.
 */
#ifndef RL_FAILPOINTS_H
#define RL_FAILPOINTS_H
#ifndef RL_FAILPOINTS
#define rl_failpoint(R, name) ((void)0)
#else
#define rl_failpoint(R, name) rl_pass(name, (R)->h, (R)->slot)
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "atomics.h"

enum rl_failpoint_action { RL_COUNT = 0, RL_KILL = 1, RL_HOLD = 2 };

typedef struct {
    char name[32];
    uint32_t action;
    uint32_t kinds;     /* a bit for each rl_role that may be caught */
    uint32_t countdown; /* passages of these roles until one is caught; 0: none is */
    uint32_t caught;    /* pid of the process that was caught */
    uint32_t hits[5];   /* passages by rl_role; 0: of processes without a slot */
} rl_failpoint_entry;

static rl_failpoint_entry *rl_failpoints; /* forked children inherit and share it */
static size_t rl_failpoints_count;

static inline void rl_failpoints_open(void) {
    const char *path = getenv("RAY_LITE_FAILPOINTS");
    struct stat facts;
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0 || fstat(fd, &facts)) return;
    rl_failpoints = mmap(NULL, facts.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (rl_failpoints == MAP_FAILED) abort();
    rl_failpoints_count = facts.st_size / sizeof(rl_failpoint_entry);
    close(fd);
}

static inline void rl_catch(rl_failpoint_entry *e) {
    struct timespec ms = {0, 1000000};
    rl_store(&e->caught, (uint32_t)getpid());
    if (e->action == RL_KILL) kill(getpid(), SIGKILL);
    while (rl_load(&e->action) != RL_COUNT) nanosleep(&ms, NULL); /* until the test releases or kills it */
}

static inline void rl_pass(const char *name, rl_header *h, uint32_t slot) {
    uint32_t kind = slot ? ((rl_slot *)((char *)h + h->slots.offset) + slot)->role : 0;
    rl_failpoint_entry *e;
    if (!rl_failpoints) rl_failpoints_open();
    for (e = rl_failpoints; e < rl_failpoints + rl_failpoints_count; e++) {
        if (strcmp(e->name, name)) continue;
        rl_add(&e->hits[kind], 1);
        if (rl_load(&e->countdown) && e->kinds >> kind & 1 && rl_add(&e->countdown, (uint32_t)-1) == 1) rl_catch(e);
    }
}
#endif
#endif
