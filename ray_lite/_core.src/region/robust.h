/* robust.h - makes the mutexes, and shows that this kernel hands over a robust lock whose owner died.
 * Also the fork generation: a forked child must not act on what its parent holds. */
#ifndef RL_ROBUST_H
#define RL_ROBUST_H
#include "sync.h"

static uint32_t rl_generation = 1; /* grows in every forked child; pid namespaces and caches would confuse getpid() */
static void rl_after_fork(void) { rl_generation++; }
static inline int rl_watch_forks(void) { return pthread_atfork(NULL, NULL, rl_after_fork); }

static inline int rl_mutex_make(pthread_mutex_t *m) {
    pthread_mutexattr_t a;
    int rc = pthread_mutexattr_init(&a);
    if (!rc) rc = pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    if (!rc) rc = pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    if (!rc) rc = pthread_mutex_init(m, &a);
    return rc;
}

/* Whether this job's node died.  It holds a robust lock for life; when it dies, the kernel marks the word, so one load tells. */
static inline int rl_node_died(rl_region *R) {
    return (__atomic_load_n((uint32_t *)&R->j->node_life, __ATOMIC_RELAXED) & FUTEX_OWNER_DIED) != 0;
}

/* Id of the thread that has the lock, 0 for none; stale at once, so only for the watchdog.  Reads the kernel's own format. */
static inline uint32_t rl_lock_owner(rl_region *R) {
    return __atomic_load_n((uint32_t *)&R->h->lock.mutex, __ATOMIC_RELAXED) & FUTEX_TID_MASK;
}

static void *rl_die_holding(void *m) { pthread_mutex_lock((pthread_mutex_t *)m); return NULL; }

/* Returns 0 if the next locker is told that a thread died, else the error to report.  Takes about 50 us. */
static inline int rl_robust_works(pthread_mutex_t *m) {
    pthread_t t;
    struct timespec until;
    int rc = pthread_create(&t, NULL, rl_die_holding, m);
    if (rc) return rc;
    pthread_join(t, NULL);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 1;
    rc = pthread_mutex_clocklock(m, CLOCK_MONOTONIC, &until);
    if (rc != RL_OWNER_DIED) return ENOTSUP;
    rc = pthread_mutex_consistent(m);
    return rc ? rc : pthread_mutex_unlock(m);
}
#endif
