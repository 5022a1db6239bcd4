/* traces.h - records of what happened: a ring for each process slot, written by its process and read by anybody, without the lock.
 *
 * A record is reserved by an atomic count and whole once its `seq` is that count: so threads may write beside each other, and one
 * whose writer died in between is never shown.  A full ring overwrites its oldest records; readers count what they lost.  A ring
 * outlives the process that wrote it, and the next one of the slot goes on with it.  Nothing depends on what the records say.
 */
#ifndef RL_TRACES_H
#define RL_TRACES_H
#include "atomics.h"
#include "region.h"

/* kind of a record, and what `id` and the other fields mean */
enum rl_trace_kind {
    RL_TRACE_RUN = 1,  /* an attempt at a task or call: `id` the task's, `what` its function, `before` and `after` its call */
    RL_TRACE_SUBMIT,   /* a submission: `id` the task's, `what` its function, `before` the number of returns */
    RL_TRACE_ARGUMENT, /* follows SUBMIT: `id` the task's, `other` the argument's */
    RL_TRACE_QUEUED,   /* a task became READY, or a call was MAILED: `id` the task's */
    RL_TRACE_PUT,      /* a put: `id` the object's */
    RL_TRACE_MOVE,     /* spilling (`outcome` 0) or loading (1): `id` the object's */
    RL_TRACE_DEATH,    /* a process died that ran something: `what` its pid */
    RL_TRACE_EVENT,    /* log_event or log_span: text of `what` bytes in the records behind it, of kind TEXT */
    RL_TRACE_TEXT,
};
enum rl_outcome { RL_OUTCOME_DONE, RL_OUTCOME_FAILED, RL_OUTCOME_AGAIN }; /* of a RUN; the last: it is in its queue again */
#define RL_TRACE_BYTES 64
#define RL_TRACE_TEXT_BYTES 48

typedef struct {
    uint64_t seq;     /*  0 writer: atomic; its number in the ring, from 1 on; 0 while it is written */
    uint32_t pid;     /*  8 writer: slot's process */
    uint8_t kind;     /* 12 writer: slot's process */
    uint8_t outcome;  /* 13 writer: slot's process */
    uint16_t actor;   /* 14 writer: slot's process; the actor whose call it is, or none */
    uint8_t id[RL_ID_BYTES]; /* 16 writer: slot's process; of TEXT: its bytes begin here */
    uint32_t what;    /* 36 writer: slot's process; of ARGUMENT: `other` begins here */
    int64_t begin;    /* 40 writer: slot's process; CLOCK_MONOTONIC, ns */
    int64_t end;      /* 48 writer: slot's process; as `begin` */
    uint32_t before;  /* 56 writer: slot's process; us from `begin` to the call of the function, with detail */
    uint32_t after;   /* 60 writer: slot's process; us from the return of the function to `end`, with detail */
} rl_trace;

typedef struct rl_trace_ring {
    uint64_t written;        /* writer: atomic; records ever reserved */
    uint64_t spare[7];       /* writer: nobody */
    rl_trace records[];
} rl_trace_ring;

static inline rl_trace_ring *rl_trace_ring_of(rl_region *R, uint32_t slot) { /* NULL: it has no pages */
    if (!rl_load(&rl_slot_at(R, slot)->traced)) return NULL;
    return (rl_trace_ring *)(R->meta + R->h->traces + R->h->trace_bytes * slot);
}
static inline int rl_traces_detail(rl_region *R) { return rl_load(&R->h->tracing) != 0; }

static inline rl_trace *rl_trace_reserve(rl_region *R, uint64_t *number) { /* NULL: this process has no ring */
    rl_trace *e;
    if (R->ring == NULL) return NULL;
    *number = __atomic_fetch_add(&R->ring->written, 1, __ATOMIC_RELAXED);
    e = R->ring->records + (*number & (R->h->trace_records - 1));
    __atomic_store_n(&e->seq, 0, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE); /* pairs with the fence in rl_trace_read: who sees a new field sees this 0, or more */
    return e;
}
static inline void rl_trace_publish(rl_trace *e, uint64_t number) {
    __atomic_store_n(&e->seq, number + 1, __ATOMIC_RELEASE); /* pairs with the load in rl_trace_read */
}
static inline void rl_trace_write(rl_region *R, const rl_trace *from) {
    uint64_t number;
    rl_trace *e = rl_trace_reserve(R, &number);
    if (e == NULL) return;
    memcpy((char *)e + sizeof e->seq, (const char *)from + sizeof e->seq, RL_TRACE_BYTES - sizeof e->seq);
    rl_trace_publish(e, number);
}
/* Copies a record of a ring.  0: it is not whole, or overwritten. */
static inline int rl_trace_read(rl_region *R, rl_trace_ring *q, uint64_t number, rl_trace *to) {
    rl_trace *e = q->records + (number & (R->h->trace_records - 1));
    if (__atomic_load_n(&e->seq, __ATOMIC_ACQUIRE) != number + 1) return 0; /* pairs with rl_trace_publish */
    memcpy(to, e, RL_TRACE_BYTES);
    __atomic_thread_fence(__ATOMIC_ACQUIRE); /* pairs with the fence in rl_trace_reserve */
    return __atomic_load_n(&e->seq, __ATOMIC_RELAXED) == number + 1;
}
static inline uint64_t rl_trace_seq(rl_trace_ring *q, uint32_t k) { return __atomic_load_n(&q->records[k].seq, __ATOMIC_ACQUIRE); }
static inline uint64_t rl_traces_written(rl_trace_ring *q) { return __atomic_load_n(&q->written, __ATOMIC_ACQUIRE); }

static inline void rl_trace_span(rl_region *R, uint8_t kind, const uint8_t *id, int64_t begin) { /* until now */
    rl_trace e = {0};
    e.pid = rl_slot_at(R, R->slot)->pid;
    e.kind = kind;
    e.begin = begin;
    e.end = rl_now();
    memcpy(e.id, id, RL_ID_BYTES);
    rl_trace_write(R, &e);
}
#endif
