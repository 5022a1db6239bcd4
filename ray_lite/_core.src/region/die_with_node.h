/* die_with_node.h - ends a worker and its children when its node dies.
 * SIGKILL as PDEATHSIG would leave the worker's children alive, so it is a real-time signal whose handler kills the group. */
#ifndef RL_DIE_WITH_NODE_H
#define RL_DIE_WITH_NODE_H
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static void rl_kill_group(int sig) { (void)sig; kill(0, SIGKILL); }

static inline int rl_die_with_parent(int parent) { /* returns 0 or errno; the caller leads its own process group */
    struct sigaction a;
    memset(&a, 0, sizeof a);
    a.sa_handler = rl_kill_group;
    if (sigaction(SIGRTMAX - 1, &a, NULL) || prctl(PR_SET_PDEATHSIG, SIGRTMAX - 1)) return errno;
    if (getppid() != parent) rl_kill_group(0); /* the parent died before prctl */
    return 0;
}
static inline int rl_outlive_parent(void) { return prctl(PR_SET_PDEATHSIG, 0) ? errno : 0; }
static inline int rl_be_subreaper(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1) ? errno : 0; }
#endif
