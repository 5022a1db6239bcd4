/* states.h - the state machines of the region: what a state means, what it may become, and the one setter of each.
 *
 * Object   FREE; PENDING: return of a task that has not ended; CREATING: a process fills it; SEALED: it has its final value;
 *          GARBAGE: nothing needs it, but ids that it contains are not unpinned yet.
 *          If its owner dies while it is CREATING, the sweep ends it; if the worker of its task dies, the sweep empties it.
 *          SEALED is published (sync.h).
 * Task     FREE; BUILDING: on its slot's list `building`; WAITING: on no list, reached by the edges of its arguments; READY:
 *          in a queue; RUNNING: on its slot's stack `running`; CANCELLED_QUEUED: cancelled and not running, on its job's list
 *          for the node.  If its owner dies, BUILDING is unwound, and RUNNING is queued again or failed.
 *          A call of an actor is never READY: MAILED: it can run, and is in the actor's mailbox; LANED: it is in a lane, behind
 *          a call of the same caller that lacks arguments, or lacks them itself.  PAST: it has ended, its returns are let go, and
 *          it is kept, since its actor may have to run it again.
 * Process  FREE; ALIVE; SWEEPING: the process is gone, and the sweep frees what it held.
 * Actor    FREE; PENDING: no process yet, its constructor or its resources lack something; STARTING: it has a slot, which its
 *          process has not adopted; ALIVE; ENDING: it takes no more calls, and its process ends; DEAD: it has no process, and
 *          its calls fail.
 *          If its process dies, STARTING and ALIVE are PENDING again, or DEAD; ENDING becomes DEAD.  The node decides.
 * Job      FREE; ALIVE: a driver has it; DROPPING: it ends, and the host frees what is left of it.
 * Lane     FREE; STALLED: its first call lacks arguments; OPEN: its first call can run.
 * Worker   (`availability`)  BUSY; IDLE: on the idle list; STARTING: its slot is open, its process is not there yet; RUNG: it
 *          was rung or has just begun, and has not asked for a task yet.  Its job counts the last three.
 *
 * Only table_give (memory/tables.pyx) makes an entry FREE.  It knows no state machine, so callers ask rl_object_may, rl_task_may,
 * rl_process_may or rl_actor_may before.  A forbidden move poisons the region and changes nothing: it is a bug, after
 * which no data can be trusted.  fsck reads these tables; a test compares docs/internals.md with them. */
#ifndef RL_STATES_H
#define RL_STATES_H
#include "sync.h"

#define RL_TO(state) (1u << RL_##state)

enum rl_state_facts { RL_OWNED = 1, RL_MAY_LACK = 2, RL_LACKS = 4, RL_HAS_TASK = 8, RL_HAS_CREATOR = 16, RL_HAS_VALUE = 32,
                      RL_HAS_SLOT = 64 };

typedef struct {
    uint32_t next;  /* a bit for each state that it may become */
    uint32_t facts; /* the rl_state_facts that are true in this state */
} rl_state_rule;

static const rl_state_rule rl_object_rules[] = {
    [RL_FREE] = {RL_TO(PENDING) | RL_TO(CREATING) | RL_TO(SEALED), 0},
    [RL_PENDING] = {RL_TO(SEALED) | RL_TO(GARBAGE) | RL_TO(FREE), RL_HAS_TASK},
    [RL_CREATING] = {RL_TO(SEALED) | RL_TO(GARBAGE) | RL_TO(FREE), RL_HAS_CREATOR},
    [RL_SEALED] = {RL_TO(GARBAGE) | RL_TO(FREE), RL_HAS_VALUE},
    [RL_GARBAGE] = {RL_TO(FREE), 0},
};
static const rl_state_rule rl_task_rules[] = {
    [RL_FREE] = {RL_TO(BUILDING), 0},
    [RL_BUILDING] = {RL_TO(WAITING) | RL_TO(READY) | RL_TO(MAILED) | RL_TO(LANED) | RL_TO(CANCELLED_QUEUED) | RL_TO(FREE),
                     RL_OWNED | RL_MAY_LACK},
    [RL_WAITING] = {RL_TO(READY) | RL_TO(MAILED) | RL_TO(RUNNING) | RL_TO(CANCELLED_QUEUED), RL_MAY_LACK | RL_LACKS},
    [RL_READY] = {RL_TO(RUNNING) | RL_TO(CANCELLED_QUEUED), 0},
    [RL_MAILED] = {RL_TO(RUNNING) | RL_TO(CANCELLED_QUEUED), 0},
    [RL_LANED] = {RL_TO(RUNNING) | RL_TO(CANCELLED_QUEUED), RL_MAY_LACK},
    [RL_RUNNING] = {RL_TO(READY) | RL_TO(MAILED) | RL_TO(PAST) | RL_TO(CANCELLED_QUEUED) | RL_TO(FREE), RL_OWNED},
    [RL_CANCELLED_QUEUED] = {RL_TO(RUNNING), RL_MAY_LACK},
    [RL_PAST] = {RL_TO(MAILED) | RL_TO(FREE), 0},
};
static const rl_state_rule rl_process_rules[] = {
    [RL_FREE] = {RL_TO(ALIVE), 0},
    [RL_ALIVE] = {RL_TO(SWEEPING), 0},
    [RL_SWEEPING] = {RL_TO(FREE), 0},
};
static const rl_state_rule rl_actor_rules[] = {
    [RL_FREE] = {RL_TO(ACTOR_PENDING), 0},
    [RL_ACTOR_PENDING] = {RL_TO(ACTOR_STARTING) | RL_TO(ACTOR_DEAD), 0},
    [RL_ACTOR_STARTING] = {RL_TO(ACTOR_PENDING) | RL_TO(ACTOR_ALIVE) | RL_TO(ACTOR_ENDING) | RL_TO(ACTOR_DEAD), RL_HAS_SLOT},
    [RL_ACTOR_ALIVE] = {RL_TO(ACTOR_PENDING) | RL_TO(ACTOR_ENDING) | RL_TO(ACTOR_DEAD), RL_HAS_SLOT},
    [RL_ACTOR_ENDING] = {RL_TO(ACTOR_DEAD), RL_HAS_SLOT},
    [RL_ACTOR_DEAD] = {RL_TO(FREE), 0},
};
static const rl_state_rule rl_job_rules[] = {
    [RL_FREE] = {RL_TO(JOB_ALIVE), 0},
    [RL_JOB_ALIVE] = {RL_TO(JOB_DROPPING), 0},
    [RL_JOB_DROPPING] = {RL_TO(FREE), 0},
};
static const rl_state_rule rl_lane_rules[] = {
    [RL_FREE] = {RL_TO(LANE_STALLED), 0},
    [RL_LANE_STALLED] = {RL_TO(LANE_OPEN) | RL_TO(FREE), 0},
    [RL_LANE_OPEN] = {RL_TO(LANE_STALLED) | RL_TO(FREE), 0},
};
static const rl_state_rule rl_worker_rules[] = {
    [RL_BUSY] = {RL_TO(IDLE) | RL_TO(STARTING), 0},
    [RL_IDLE] = {RL_TO(BUSY) | RL_TO(RUNG), 0},
    [RL_STARTING] = {RL_TO(RUNG) | RL_TO(BUSY), 0},
    [RL_RUNG] = {RL_TO(BUSY), 0},
};
#define RL_STATES(rules) (sizeof(rules) / sizeof((rules)[0]))

static inline int rl_may(rl_region *R, const rl_state_rule *rules, uint32_t n, uint32_t from, uint32_t to) {
    if (from < n && rules[from].next >> to & 1) return 1;
    rl_store(&R->h->poison, EUCLEAN);
    return 0;
}
static inline int rl_object_may(rl_region *R, rl_object *o, uint32_t to) {
    return rl_may(R, rl_object_rules, RL_STATES(rl_object_rules), o->state, to);
}
static inline int rl_task_may(rl_region *R, rl_task *k, uint32_t to) {
    return rl_may(R, rl_task_rules, RL_STATES(rl_task_rules), k->state, to);
}
static inline int rl_process_may(rl_region *R, rl_slot *s, uint32_t to) {
    return rl_may(R, rl_process_rules, RL_STATES(rl_process_rules), s->state, to);
}
static inline int rl_actor_may(rl_region *R, rl_actor *a, uint32_t to) {
    return rl_may(R, rl_actor_rules, RL_STATES(rl_actor_rules), a->state, to);
}
static inline int rl_lane_may(rl_region *R, rl_lane *l, uint32_t to) {
    return rl_may(R, rl_lane_rules, RL_STATES(rl_lane_rules), l->state, to);
}
static inline int rl_job_may(rl_region *R, rl_job *j, uint32_t to) {
    return rl_may(R, rl_job_rules, RL_STATES(rl_job_rules), j->state, to);
}
/* Setters.  Lock held. */
static inline void rl_object_become(rl_region *R, rl_object *o, uint32_t to) {
    if (rl_object_may(R, o, to)) rl_set32(R, &o->state, to);
}
static inline void rl_object_publish(rl_region *R, uint32_t i) { /* SEALED after the commit, for readers without the lock */
    rl_object *o = (rl_object *)(R->meta + R->h->objects.offset) + i;
    if (rl_object_may(R, o, RL_SEALED)) rl_stage_up(R, RL_PUBLISH_STATE, i, RL_SEALED);
}
static inline void rl_task_become(rl_region *R, rl_task *k, uint32_t to) {
    if (rl_task_may(R, k, to)) rl_set32(R, &k->state, to);
}
static inline void rl_process_become(rl_region *R, rl_slot *s, uint32_t to) {
    if (rl_process_may(R, s, to)) rl_set32(R, &s->state, to);
}
static inline void rl_actor_become(rl_region *R, rl_actor *a, uint32_t to) {
    if (rl_actor_may(R, a, to)) rl_set32(R, &a->state, to);
}
static inline void rl_lane_become(rl_region *R, rl_lane *l, uint32_t to) {
    if (rl_lane_may(R, l, to)) rl_set32(R, &l->state, to);
}
static inline void rl_job_become(rl_region *R, rl_job *j, uint32_t to) {
    if (rl_job_may(R, j, to)) rl_set32(R, &j->state, to);
}
static inline uint32_t *rl_worker_count(rl_job *j, uint32_t availability) {
    return availability == RL_IDLE ? &j->nidle : availability == RL_STARTING ? &j->nstarting
         : availability == RL_RUNG ? &j->ncoming : NULL;
}
static inline void rl_worker_become(rl_region *R, rl_slot *s, uint32_t to) { /* changes the job's counts, too */
    rl_job *j = rl_job_at(R, s->job);
    uint32_t *less = rl_worker_count(j, s->availability), *more = rl_worker_count(j, to);
    if (!rl_may(R, rl_worker_rules, RL_STATES(rl_worker_rules), s->availability, to)) return;
    if (less) rl_set32(R, less, *less - 1);
    if (more) rl_set32(R, more, *more + 1);
    rl_set32(R, &s->availability, to);
}
#endif
