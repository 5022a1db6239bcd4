/* death.h - a worker ends with its node, its children with it.
 * PDEATHSIG alone would leave grandchildren: so it is a real-time signal whose handler kills the process group. */
#ifndef RL_DEATH_H
#define RL_DEATH_H
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static void rl_kill_group(int sig) { (void)sig; kill(0, SIGKILL); }

static inline int rl_die_with_parent(int parent) { /* 0, or errno; the caller leads its own process group */
    struct sigaction a;
    memset(&a, 0, sizeof a);
    a.sa_handler = rl_kill_group;
    if (sigaction(SIGRTMAX - 1, &a, NULL) || prctl(PR_SET_PDEATHSIG, SIGRTMAX - 1)) return errno;
    if (getppid() != parent) rl_kill_group(0); /* it died before we asked */
    return 0;
}
static inline int rl_be_subreaper(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1) ? errno : 0; }
#endif
