/* sanitizers.h - what the sanitizers have to be told about the core; forced into the harness before all else (build.py).
 *
 * ASAN: arena bytes that belong to no block are out of bounds, and of a block those beyond what was asked for.  A section
 * that is given up takes nothing and gives nothing back, so blocks are allowed and forbidden at the commit, in order; where
 * the list is full, bytes stay allowed: then less is found, and nothing wrong.
 * TSAN: gcc's does not know pthread_mutex_clocklock, and would take a lock got by it for no lock; pthread_mutex_timedlock
 * it knows.
 */
#ifndef RL_SANITIZERS_H
#define RL_SANITIZERS_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define RL_MOVES 128

static __thread struct { char *at; uint64_t bytes; int taken; } rl_moved[RL_MOVES];
static __thread uint32_t rl_moves;

static inline void rl_move(char *at, uint64_t bytes, int taken) {
    if (rl_moves == RL_MOVES) return;
    rl_moved[rl_moves].at = at;
    rl_moved[rl_moves].bytes = bytes;
    rl_moved[rl_moves++].taken = taken;
}
static inline void rl_settle(int kept) { /* the lock is held: whoever takes the block next finds it so */
    for (uint32_t k = 0; k < rl_moves && kept; k++) {
        if (rl_moved[k].taken) ASAN_UNPOISON_MEMORY_REGION(rl_moved[k].at, rl_moved[k].bytes);
        else ASAN_POISON_MEMORY_REGION(rl_moved[k].at, rl_moved[k].bytes);
    }
    rl_moves = 0;
}
static inline void rl_forbid(void *at, uint64_t bytes) { ASAN_POISON_MEMORY_REGION(at, bytes); }
#define rl_block_taken(at, bytes) rl_move(at, bytes, 1)
#define rl_block_given(at, bytes) rl_move(at, bytes, 0)
#define rl_blocks_settle(kept) rl_settle(kept)
#else
static inline void rl_forbid(void *at, uint64_t bytes) { (void)at, (void)bytes; }
#endif

#ifdef __SANITIZE_THREAD__
static inline int rl_clocklock(pthread_mutex_t *m, const struct timespec *until) { /* `until` of CLOCK_MONOTONIC */
    struct timespec now, t;
    clock_gettime(CLOCK_MONOTONIC, &now);
    clock_gettime(CLOCK_REALTIME, &t);
    int64_t ns = t.tv_nsec + until->tv_nsec - now.tv_nsec + (until->tv_sec - now.tv_sec) * 1000000000L;
    t.tv_sec += ns / 1000000000;
    t.tv_nsec = ns % 1000000000;
    if (t.tv_nsec < 0) t.tv_nsec += 1000000000, t.tv_sec--;
    return pthread_mutex_timedlock(m, &t);
}
#define pthread_mutex_clocklock(m, clock, until) rl_clocklock(m, until)
#endif
#endif
