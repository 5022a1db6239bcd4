/* debt.h - what a section owes until its lock is released: system calls that wake processes and ring nodes, and wake-ups of other
 * jobs.  Must not take the lock or change what it guards. */
#ifndef RL_DEBT_H
#define RL_DEBT_H
#include "atomics.h"
#include "failpoints.h"
#include "region.h"

#define RL_WAKES 64

/* one record per thread, because a section belongs to a thread: words to wake, and nodes to ring */
typedef struct {
    uint32_t n, rings;
    uint32_t *word[RL_WAKES];
    uint32_t ring[RL_JOB_WORDS]; /* bits, by job */
} rl_debt;
static __thread rl_debt rl_owed;

static inline void rl_owe(uint32_t *word) { /* too many at once are woken now, under the lock: slow, but correct */
    if (rl_owed.n < RL_WAKES) rl_owed.word[rl_owed.n++] = word; else rl_futex_wake(word);
}
static inline void rl_owe_node_of(uint32_t job) { rl_owed.rings = 1; rl_owed.ring[job / 32] |= 1u << job % 32; }
static inline void rl_owe_node(rl_region *R) { rl_owe_node_of(R->job); } /* rings the node's doorbell after the unlock */
static inline uint32_t rl_take_bit(uint32_t *words) { /* clears and returns the first bit of RL_JOB_WORDS words; 0: none */
    for (uint32_t k = 0; k < RL_JOB_WORDS; k++)
        if (words[k]) {
            uint32_t bit = (uint32_t)__builtin_ctz(words[k]);
            words[k] &= words[k] - 1;
            return k * 32 + bit;
        }
    return 0;
}
/* Wake-ups that are owed to other jobs, of which tasks have become ready (scheduling/wakeups.pyx).  Lock held. */
static inline void rl_owe_job(rl_region *R, uint32_t job) { R->wakes = 1; R->wake[job / 32] |= 1u << job % 32; }
static inline uint32_t rl_take_owed_job(rl_region *R) { /* 0: none is owed */
    uint32_t job = rl_take_bit(R->wake);
    R->wakes = job != 0;
    return job;
}

/* Rings a doorbell, unless somebody has claimed it.  The eventfd is full only if that node is awake already: nothing is lost if
 * the write fails. */
static inline void rl_ring_bell(rl_region *R, rl_job *j, int fd) {
    uint64_t one = 1;
    if (rl_swap(&j->bell_rung, 1)) return;
    rl_failpoint(R, "claim.ring");
    if (write(fd, &one, sizeof one) < 0) rl_store(&j->bell_rung, 0);
}
static inline void rl_ring(rl_region *R) { /* rings the nodes to which that is owed: those of other jobs through the host */
    uint32_t job, home = rl_slot_at(R, R->slot)->job, relayed = 0;
    while ((job = rl_take_bit(rl_owed.ring))) {
        if (job == home) rl_ring_bell(R, rl_job_at(R, job), R->bell_fd);
        else if (job == RL_HOST_JOB) relayed = 1;
        else { rl_set_bit(R->h->rung_jobs, job); relayed = 1; } /* before the bell: the host looks after it has answered it */
    }
    rl_owed.rings = 0;
    if (relayed) rl_ring_bell(R, rl_job_at(R, RL_HOST_JOB), R->host_bell_fd);
}
/* Rings all other nodes after a death, whoever has claimed a bell: the dead process may have, and not rung it. */
static inline void rl_ring_all(rl_region *R) {
    uint64_t one = 1;
    for (uint32_t i = RL_HOST_JOB + 1; i < R->h->jobs.used; i++)
        if (rl_job_at(R, i)->state != RL_FREE) rl_set_bit(R->h->rung_jobs, i);
    if (write(R->host_bell_fd, &one, sizeof one) < 0) return; /* it is full: the host is awake */
}
static inline void rl_pay(rl_region *R) { /* makes the system calls that the section owes, after the unlock */
    rl_failpoint(R, "unlock.wake");
    for (uint32_t i = 0; i < rl_owed.n; i++) rl_futex_wake(rl_owed.word[i]);
    rl_owed.n = 0;
    if (rl_owed.rings) rl_ring(R);
}
#endif
