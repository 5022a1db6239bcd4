/* atomics.h - atomic words, futexes, and the publish/announce pair.  Must not know any structure of the region.
 * Every access names its memory order; a comment at each half of a pair names the other half. */
#ifndef RL_ATOMICS_H
#define RL_ATOMICS_H
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "layout.h"

#define RL_ORDER() __asm__ __volatile__("" ::: "memory") /* enough: the stores of a dead thread happened in program order */

static inline uint32_t rl_load(const uint32_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline uint16_t rl_load16(const uint16_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline uint32_t rl_add(uint32_t *p, uint32_t v) { return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST); }
static inline uint32_t rl_swap(uint32_t *p, uint32_t v) { return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST); }
static inline void rl_store(uint32_t *p, uint32_t v) { __atomic_store_n(p, v, __ATOMIC_SEQ_CST); }
/* stores to words that are written under the lock and may be read without it (rl_load): one plain mov, never torn */
static inline void rl_put16(uint16_t *p, uint16_t v) { __atomic_store_n((volatile uint16_t *)p, v, __ATOMIC_RELAXED); }
static inline void rl_put32(uint32_t *p, uint32_t v) { __atomic_store_n((volatile uint32_t *)p, v, __ATOMIC_RELAXED); }
static inline void rl_put64(uint64_t *p, uint64_t v) { __atomic_store_n((volatile uint64_t *)p, v, __ATOMIC_RELAXED); }
static inline uint64_t rl_load64(const uint64_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline int rl_cas(uint32_t *p, uint32_t old, uint32_t v) {
    return __atomic_compare_exchange_n(p, &old, v, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
/* bits of an array of words; relaxed order is enough, since a bit gives access to no other data */
static inline void rl_set_bit(uint32_t *bits, uint32_t i) { __atomic_fetch_or(bits + i / 32, 1u << i % 32, __ATOMIC_RELAXED); }
static inline void rl_clear_bit(uint32_t *bits, uint32_t i) {
    __atomic_fetch_and(bits + i / 32, ~(1u << i % 32), __ATOMIC_RELAXED);
}
static inline int rl_has_bit(const uint32_t *bits, uint32_t i) {
    return __atomic_load_n(bits + i / 32, __ATOMIC_RELAXED) >> i % 32 & 1;
}
static inline void rl_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ __volatile__("yield" ::: "memory");
#endif
}
static inline int64_t rl_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
static inline int rl_futex_wait(uint32_t *p, uint32_t expected, int64_t ns) { /* 0, EAGAIN, EINTR or ETIMEDOUT */
    struct timespec t = {ns / 1000000000, ns % 1000000000};
    return syscall(SYS_futex, p, FUTEX_WAIT, expected, &t, NULL, 0) == 0 ? 0 : errno;
}
static inline void rl_futex_wake(uint32_t *p) { syscall(SYS_futex, p, FUTEX_WAKE, INT_MAX, NULL, NULL, 0); }

/* Publish against announce.  The sealing process stores the state, then loads the waiter word.  The waiting process stores the
 * waiter word, then loads the state.  Both pairs must be sequentially consistent: with release/acquire each side may miss the
 * other (store buffering, seen on x86), and the wake-up is lost.  Compiled with RL_LITMUS, tests/core/region/litmus.c fails. */
static inline uint32_t rl_publish(uint32_t *state, uint32_t value, uint32_t *waiter) {
#ifdef RL_LITMUS
    __atomic_store_n(state, value, __ATOMIC_RELEASE);
    return __atomic_load_n(waiter, __ATOMIC_ACQUIRE);
#elif defined(RL_MUTANT_PLAIN_PUBLISH) /* for TSAN: a store that is not ordered after those before it */
    *state = value;
    return __atomic_load_n(waiter, __ATOMIC_SEQ_CST);
#else
    __atomic_exchange_n(state, value, __ATOMIC_SEQ_CST); /* pairs with rl_announce */
    return __atomic_load_n(waiter, __ATOMIC_SEQ_CST);
#endif
}
static inline uint32_t rl_announce(uint32_t *waiter, uint32_t slot, uint32_t *state) {
    uint32_t seen = RL_NOBODY; /* a second process makes it MANY; the RMW that stores the mark pairs with rl_publish */
    if (!__atomic_compare_exchange_n(waiter, &seen, slot, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) && seen != slot)
        __atomic_exchange_n(waiter, RL_MANY, __ATOMIC_SEQ_CST);
    return __atomic_load_n(state, __ATOMIC_SEQ_CST);
}
#endif
