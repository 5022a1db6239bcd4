/* litmus.c - publish against announce, hammered by two threads: does a wake-up ever get lost?
 *
 * Each round one thread publishes and reads the waiter word, the other announces and reads the state.  At least one of
 * them must see the other; if neither does, a real waiter would sleep and nobody would wake it.  Built with RL_LITMUS,
 * atomics.h uses release and acquire instead of sequential consistency, and rounds are lost: then this test can fail.
 * The words lie in cache lines of their own, and a jitter of some cycles moves the two sides against each other.
 *
 *     litmus MILLISECONDS -> "rounds lost"
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "atomics.h"

#define BATCH 1024

typedef struct { uint32_t word __attribute__((aligned(128))); } line;
static line state[BATCH], waiter[BATCH], turn[2];
static uint32_t seen_waiter[BATCH], seen_state[BATCH];
static uint32_t stop;

static void meet(uint32_t me, uint32_t number) { /* both sides are at the same batch */
    __atomic_store_n(&turn[me].word, number, __ATOMIC_RELEASE);
    while (__atomic_load_n(&turn[1 - me].word, __ATOMIC_ACQUIRE) < number && !__atomic_load_n(&stop, __ATOMIC_RELAXED)) rl_pause();
}
static void jitter(uint32_t k, uint32_t number) {
    for (volatile uint32_t n = (k * 2654435761u + number * 40503u) >> 28; n; n--) {}
}
static void *publisher(void *unused) {
    for (uint32_t number = 1; !__atomic_load_n(&stop, __ATOMIC_RELAXED); number += 2) {
        meet(0, number);
        for (uint32_t k = 0; k < BATCH; k++) {
            jitter(k, number);
            seen_waiter[k] = rl_publish(&state[k].word, RL_SEALED, &waiter[k].word);
        }
        meet(0, number + 1);
    }
    return unused;
}
#ifdef RL_LITMUS /* both sides must be weak: an RMW of either would hide the other's mistake on x86 */
static uint32_t announce(uint32_t *w, uint32_t *s) {
    __atomic_store_n(w, 7, __ATOMIC_RELEASE);
    return __atomic_load_n(s, __ATOMIC_ACQUIRE);
}
#else
static uint32_t announce(uint32_t *w, uint32_t *s) { return rl_announce(w, 7, s); }
#endif

int main(int argc, char **argv) {
    int64_t until = rl_now() + (argc > 1 ? atoll(argv[1]) : 1000) * 1000000;
    uint64_t rounds = 0, lost = 0;
    pthread_t t;
    if (pthread_create(&t, NULL, publisher, NULL)) return 2;
    for (uint32_t number = 1; rl_now() < until; number += 2) {
        for (uint32_t k = 0; k < BATCH; k++) state[k].word = RL_PENDING, waiter[k].word = RL_NOBODY;
        meet(1, number);
        for (uint32_t k = 0; k < BATCH; k++) {
            jitter(k + 99, number);
            seen_state[k] = announce(&waiter[k].word, &state[k].word);
        }
        meet(1, number + 1);
        for (uint32_t k = 0; k < BATCH; k++) lost += seen_state[k] != RL_SEALED && seen_waiter[k] == RL_NOBODY;
        rounds += BATCH;
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    pthread_join(t, NULL);
    printf("%llu %llu\n", (unsigned long long)rounds, (unsigned long long)lost);
    return 0;
}
