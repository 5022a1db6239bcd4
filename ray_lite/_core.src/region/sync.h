/* sync.h - the only C that stores to shared words: logged setters, the lock, commit and roll-back, publishing, futexes.
 *
 * Failure model: a thread stops at any instruction (SIGKILL).  All its retired stores stay, and no later one happens.  Several
 * threads may die together, and a recovery may die, too.  So roll-back needs compiler order only (RL_ORDER in atomics.h).
 * control/lock_watchdog.py deals with a process that is stopped inside the lock; damage by wild writes, once seen, sets `poison`.
 *
 * A section: rl_lock, logged stores, staged publications, rl_commit (one store of `word`), publications, unlock.
 * With the lock held, a thread must not take the GIL, allocate from libc, make a system call (but see rl_owe) or run Python.
 */
#ifndef RL_SYNC_H
#define RL_SYNC_H
#include <signal.h>
#include <string.h>
#include "atomics.h"
#include "mutants.h"
#include "debt.h"
#include "failpoints.h"

#define RL_LOCK_SPINS 200 /* a pause each, about 10 us: whoever waits longer between its looks loses the lock to a process in a loop */
#define RL_LOCK_STEP_NS 20000000L /* a bounded sleep, so that a wake-up which the kernel loses does no harm */
#define RL_OWNER_DIED EOWNERDEAD

/* tell ASAN which bytes of the arena belong to blocks, if tests/sanitize defines them; otherwise they do nothing */
#ifndef rl_block_taken
#define rl_block_taken(at, bytes) ((void)0)
#define rl_block_given(at, bytes) ((void)0)
#define rl_blocks_settle(kept) ((void)0)
#endif

/* --- stores --- */
static inline void rl_log(rl_region *R, void *p, uint64_t old, uint64_t bytes) {
    rl_mutex *L = &R->h->lock;
    uint32_t n = (uint32_t)L->word;
    if (n >= RL_LOG_MAX) { /* a bug. Dying here is safe: the section is undone. Not abort(): no core, no handlers */
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    L->undo[n].where = (uint64_t)((char *)p - R->meta) | bytes << 56;
    L->undo[n].old = old;
    RL_ORDER(); /* the entry before its count, the count before the store */
    L->word = n + 1;
    RL_ORDER();
}
static inline void rl_set16(rl_region *R, uint16_t *p, uint16_t v) { rl_log(R, p, *p, 2); rl_put16(p, v); RL_ORDER(); }
static inline void rl_set32(rl_region *R, uint32_t *p, uint32_t v) { rl_log(R, p, *p, 4); rl_put32(p, v); RL_ORDER(); }
static inline void rl_set64(rl_region *R, uint64_t *p, uint64_t v) { rl_log(R, p, *p, 8); rl_put64(p, v); RL_ORDER(); }
/* plain stores to what no other process can reach: fresh entries, and the payload of this process's unsealed objects */
static inline void rl_fresh32(uint32_t *p, uint32_t v) { *(volatile uint32_t *)p = v; }
static inline void rl_fresh16(uint16_t *p, uint16_t v) { *(volatile uint16_t *)p = v; }
static inline void rl_fresh64(uint64_t *p, uint64_t v) { *(volatile uint64_t *)p = v; }
static inline uint32_t rl_log_used(rl_region *R) { return (uint32_t)R->h->lock.word; }

/* --- publications --- */
static inline int rl_staged_full(rl_region *R) { return R->h->lock.staged + 8 > RL_STAGE_MAX; }
static inline void rl_stage_up(rl_region *R, uint32_t kind, uint32_t index, uint32_t value) {
    rl_mutex *L = &R->h->lock;
    rl_stage s = {kind, index, value, 0};
    if (L->staged >= RL_STAGE_MAX) { kill(getpid(), SIGKILL); for (;;) pause(); }
    L->stage[L->staged++] = s;
}
static inline void rl_bump(rl_slot *s) {
    uint32_t v = rl_add(&s->arrived, 1) + 1; /* pairs with the waiter's store of wake_at and its re-check of arrived */
    if (__atomic_load_n(&s->waiting, __ATOMIC_SEQ_CST) && (int32_t)(v - __atomic_load_n(&s->wake_at, __ATOMIC_SEQ_CST)) >= 0)
        rl_owe(&s->arrived);
}
static inline void rl_publish_one(rl_region *R, rl_stage *e) {
    if (e->what == RL_PUBLISH_STATE) {
        rl_object *o = (rl_object *)(R->meta + R->h->objects.offset) + e->index;
        uint32_t w = rl_publish(&o->state, e->value, &o->waiter);
        if (w == RL_MANY) {
            for (uint32_t i = 1; i < R->h->slots.used; i++) rl_bump(rl_slot_at(R, i));
        } else if (w != RL_NOBODY && w < R->h->slots.used)
            rl_bump(rl_slot_at(R, w));
    } else {
        rl_slot *s = rl_slot_at(R, e->index);
        rl_add(&s->bell, 1); /* pairs with the worker's store of parked and the kernel's check of bell */
        if (__atomic_load_n(&s->parked, __ATOMIC_SEQ_CST)) rl_owe(&s->bell);
    }
}
static inline void rl_publish_all(rl_region *R) {
    rl_mutex *L = &R->h->lock;
    uint32_t p = (uint32_t)(L->word >> 32);
    for (uint32_t i = 0; i < p; i++) rl_publish_one(R, &L->stage[i]);
    RL_ORDER();
    L->word = 0;
    RL_ORDER();
}

/* --- the lock --- */
static inline void rl_roll_back(rl_region *R) { /* can be run again: the count falls after each restore */
    rl_mutex *L = &R->h->lock;
    uint32_t n;
    while ((n = (uint32_t)L->word) > 0) {
        rl_undo *u = &L->undo[n - 1];
        char *p = R->meta + (u->where & 0xffffffffffffffull);
        if (u->where >> 56 == 2) rl_put16((uint16_t *)p, (uint16_t)u->old);
        else if (u->where >> 56 == 4) rl_put32((uint32_t *)p, (uint32_t)u->old);
        else rl_put64((uint64_t *)p, u->old);
        RL_ORDER();
        L->word = n - 1;
        RL_ORDER();
    }
}
/* The owner died: undoes an uncommitted section, or publishes what a committed one did not.  No other code recovers. */
static inline void rl_recover(rl_region *R) {
    rl_mutex *L = &R->h->lock;
    uint32_t n = (uint32_t)L->word, bad = n > RL_LOG_MAX || (L->word >> 32) > RL_STAGE_MAX;
    for (uint32_t i = 0; i < n && !bad; i++) {
        uint64_t at = L->undo[i].where & 0xffffffffffffffull, bytes = L->undo[i].where >> 56;
        bad = (bytes != 2 && bytes != 4 && bytes != 8) || at + bytes > R->h->control_bytes;
    }
    if (bad) rl_store(&R->h->poison, EUCLEAN);
    else if (n) rl_roll_back(R);
    else rl_publish_all(R);
    L->recoveries++;
}
static inline int rl_lock(rl_region *R) { /* returns 0, or EIO if the region is poisoned */
    rl_mutex *L = &R->h->lock;
    int r = EBUSY;
    for (int k = 0; k < RL_LOCK_SPINS && r == EBUSY; k++) {
        if (k) rl_pause();
        r = pthread_mutex_trylock(&L->mutex);
    }
    while (r == EBUSY || r == ETIMEDOUT) {
        int64_t until = rl_now() + RL_LOCK_STEP_NS;
        struct timespec t = {until / 1000000000, until % 1000000000};
        if (rl_load(&R->h->poison)) return EIO;
        r = pthread_mutex_clocklock(&L->mutex, CLOCK_MONOTONIC, &t);
    }
    if (r == RL_OWNER_DIED) { rl_recover(R); r = pthread_mutex_consistent(&L->mutex); }
    if (r) { rl_store(&R->h->poison, (uint32_t)r); return EIO; } /* ENOTRECOVERABLE follows only a bug */
    if (rl_load(&R->h->poison)) { pthread_mutex_unlock(&L->mutex); return EIO; }
    L->staged = 0;
    return 0;
}
static inline void rl_commit(rl_region *R) { /* commits, publishes, unlocks, then makes the system calls owed */
    rl_mutex *L = &R->h->lock;
    uint32_t n = (uint32_t)L->word;
    if (n > L->longest) L->longest = n;
    rl_blocks_settle(1);
#ifdef RL_MUTANT_EARLY_PUBLISH
    for (uint32_t i = 0; i < L->staged; i++) rl_publish_one(R, &L->stage[i]);
#endif
    RL_ORDER();
#ifndef RL_MUTANT_LATE_CLEAR
    L->word = (uint64_t)L->staged << 32; /* the commit: nothing to undo, this much to publish */
    RL_ORDER();
    if (L->staged) {
        rl_failpoint(R, "commit.publish");
        rl_publish_all(R);
        rl_failpoint(R, "publish.unlock");
    }
    pthread_mutex_unlock(&L->mutex);
#else
    pthread_mutex_unlock(&L->mutex);
    RL_ORDER();
    L->word = 0;
#endif
    if (rl_owed.n || rl_owed.rings) rl_pay(R);
}
static inline void rl_abort(rl_region *R) { /* undoes the section as if it had never begun */
    rl_roll_back(R);
    rl_blocks_settle(0);
    if (rl_owed.rings) memset(rl_owed.ring, 0, sizeof rl_owed.ring);
    rl_owed.rings = 0;
    pthread_mutex_unlock(&R->h->lock.mutex);
    if (rl_owed.n) rl_pay(R); /* wake-ups of a recovery in this section's rl_lock */
}
#endif
