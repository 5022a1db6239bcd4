/* seal_wait.pml - who sleeps until objects are sealed is woken, whoever dies on the way.
 *
 * Models rl_commit, rl_recover, rl_publish_all, rl_publish_one, rl_publish, rl_bump, rl_announce and rl_pay (region/sync.h,
 * region/atomics.h); wait_step, still_lacking, announce_all and park_arrived (records/waiting.pyx); wake_everybody and the
 * node's dealing with a dead worker (tasks/sweep.pyx, node/deaths.py).  Every access of an atomic word is a step of its own.
 *
 *   slot 1  driver: thread 0 waits for objects 0 and 1, both or either; thread 1 for object 0
 *   slot 2  with TWO_PROCESSES, a worker instead of thread 1, so that marks become MANY; it may die in its sleep: its marks
 *           and counters then stay, and nothing that it does before the sleep is seen by others otherwise
 *   slot 3  worker: seals the objects in one section or in two, or never; it may die
 *   slot 4  node: recovers the lock, sweeps, wakes everybody
 *
 * Left out, and why that is sound: the log (a section is atomic: the crash enumeration shows that a death inside it leaves
 * nothing); spinning (a look more); a second run of the dead worker's task (it seals as the first does); the time bound of a
 * sleep, since the protocol is to do without it.  The bound is for a sealer that is stopped, not dead, between its commit
 * and its wake, for a kernel that loses a hand-over of the lock, and for the death of the node, which nobody here survives.
 * Bumps of slots where nobody waits are left out: nobody reads them.  Counters don't wrap here, the code compares
 * differences.  Spin assumes sequential consistency; that publish against announce has it is litmus.c's to show.
 *
 * Property: when nothing moves any more, nobody sleeps while what he waits for is sealed, what was committed is published,
 * and the lock is free.
 * Negatives: CHECK_FIRST no look after the announcement; LOOK_LATE the arrivals are read after the look;
 * NO_WAKE_AFTER_SWEEP; NO_REDO the next locker drops staged publications; WAKE_AT_NEXT the second thread asks for the
 * arrival after the last, which the first may be owed; NO_CORRECTION the first thread doesn't look whether a second came in
 * between; MARK_TAKEN_BACK by who leaves; NO_MANY the second process's mark replaces the first one's; TWICE one id, given
 * twice, counts as two to come (with DISTINCT as one: that verifies).
 */
#define NODE 4
#define MANY 7
#ifndef DEATHS
#define DEATHS 1
#endif
#ifdef TWO_PROCESSES
#define OTHER 2 /* thread beside thread 0 */
#define OTHERS_SLOT 2
#else
#define OTHER 1
#define OTHERS_SLOT 1
#endif
#ifdef TWICE
#define SECOND 0
#else
#define SECOND 1
#endif
#if defined(TWICE) && !defined(DISTINCT)
#define COUNT(first) (2 * first)
#else
#define COUNT(first) first
#endif

bool alive[5] = true;
bool swept[5], finished;
byte deaths;

bool sealed[2], committed[2];
byte waiter[2];                           /* none, a slot or MANY */
byte arrived[3], wake_at[3], waiting[3];  /* of slots 1 and 2 */
bool asleep[3], done[3];
byte allowed[3];

byte owner;                               /* slot that has the lock; a dead one has it until somebody recovers */
byte due, stage[2];                       /* rl_mutex.word's high half, and the publications */

inline futex_wake(s) {
    if
    :: s == 1 -> asleep[0] = false; asleep[1] = false
    :: s == 2 -> asleep[2] = false
    fi
}

inline bump(s) {
    atomic { arrived[s]++; v = arrived[s] }
    if
    :: atomic { waiting[s] == 0 -> v = 0 }
    :: waiting[s] != 0 -> atomic { owed[s] = owed[s] || v >= wake_at[s]; v = 0 }
    fi
}

inline publish_all() {
    do
    :: atomic { i < due -> sealed[stage[i]] = true }
        atomic { w = waiter[stage[i]]; i++ }
#ifndef TWO_PROCESSES
        if
        :: w != 0 -> w = 0; bump(1)
        :: else
        fi
#else
        if
        :: w == MANY -> bump(1); w = 2
        :: w == 1 -> w = 0; bump(1)
        :: else
        fi;
        if
        :: w == 2 -> w = 0; bump(2)
        :: else
        fi
#endif
    :: atomic { i >= due -> due = 0; i = 0; break }
    od
}

inline wake_everybody() {
#ifdef NO_WAKE_AFTER_SWEEP
    skip
#else
    arrived[1]++;
    d_step { futex_wake(1) }
#ifdef TWO_PROCESSES
    arrived[2]++;
    d_step { futex_wake(2) }
#endif
#endif
}

inline stage_up(o) {
    if
    :: !committed[o] -> committed[o] = true; stage[due] = o; due++
    :: else
    fi
}

inline unlock_and_pay() {
    owner = 0;
    if
    :: atomic { owed[1] -> owed[1] = false; futex_wake(1) }
    :: !owed[1]
    fi;
#ifdef TWO_PROCESSES
    if
    :: atomic { owed[2] -> owed[2] = false; futex_wake(2) }
    :: !owed[2]
    fi
#endif
}

active proctype sealer() {
    byte i, v, w;
    bool owed[3];
    {
        do
        :: atomic { owner == 0 && !(committed[0] && committed[1]);
                owner = 3;
                if
                :: !committed[0] -> stage_up(0)
                :: !committed[1] -> stage_up(1)
                :: !committed[0] && !committed[1] -> stage_up(0); stage_up(1)
                fi
            } /* the commit */
            publish_all();
            unlock_and_pay()
        :: break /* a task may be without end */
        od;
        finished = true
    } unless { atomic { !alive[3] -> i = 0; v = 0; w = 0; owed[1] = false; owed[2] = false } }
}

active proctype node() {
    byte i, v, w;
    bool owed[3];
    do
    :: atomic { !alive[3] && !swept[3] && (owner == 0 || !alive[owner]) -> owner = NODE }
#ifdef NO_REDO
        due = 0;
#endif
        publish_all(); /* rl_recover */
        swept[3] = true;
        unlock_and_pay();
        wake_everybody()
    :: atomic { !alive[2] && !swept[2] -> swept[2] = true }
        wake_everybody()
    od
}

inline announce(o) { /* rl_announce */
#ifdef NO_MANY
    waiter[o] = s;
#else
    atomic {
        w = waiter[o];
        if
        :: w == 0 -> waiter[o] = s
        :: else
        fi
    }
    if
    :: w != 0 && w != s -> waiter[o] = MANY
    :: else
    fi;
#endif
    w = 0
}

inline park() { /* park_arrived: `missing` after `seen` */
    atomic { w = waiting[s]; waiting[s]++ }
    if
    :: w == 0 ->
        wake_at[s] = seen + missing;
#ifndef NO_CORRECTION
        if
        :: waiting[s] != 1 ->
            w = arrived[s];
            wake_at[s] = w + 1;
            d_step { futex_wake(s) }
        :: waiting[s] == 1
        fi
#endif
    :: else ->
        w = arrived[s];
#ifdef WAKE_AT_NEXT
        wake_at[s] = w + 1
#else
        wake_at[s] = w
#endif
    fi;
    w = arrived[s];
    if
    :: w - seen < missing ->
        atomic { asleep[t] = (arrived[s] == w); w = 0 } /* FUTEX_WAIT compares and sleeps in one */
        !asleep[t]
    :: else
    fi;
    waiting[s]--
}

inline still_lacking() {
    if
    :: first -> first = !sealed[a]
    :: else
    fi;
    if
    :: second -> second = !sealed[b]
    :: else
    fi;
    missing = COUNT(first) + second
}

proctype waits(byte t; byte s; byte a; byte b) { /* for object a, and b unless they are the same */
    byte seen, missing, w;
    bool marked, first, second;
    first = true;
    second = a != b;
    do
    :: seen = arrived[s];
        still_lacking();
#ifdef LOOK_LATE
        seen = arrived[s];
#endif
        if
        :: missing <= allowed[t] -> break
        :: missing > allowed[t] && !marked ->
            if
            :: first -> announce(a)
            :: else
            fi;
            if
            :: second -> announce(b)
            :: else
            fi;
            marked = true;
#ifndef CHECK_FIRST
            goto again
#endif
        :: missing > allowed[t] && marked
        fi;
        missing = missing - allowed[t];
        park();
again:
        atomic { seen = 0; missing = 0; w = 0 }
    od;
#ifdef MARK_TAKEN_BACK
    if
    :: first -> waiter[a] = 0
    :: else
    fi;
#endif
    atomic { done[t] = true; seen = 0; missing = 0; first = false; second = false }
}

active proctype killer() {
    if
    :: skip
    :: deaths = DEATHS /* nobody dies */
    fi;
    do
    :: atomic { deaths < DEATHS && alive[3] && !finished -> alive[3] = false; deaths++ }
#ifdef TWO_PROCESSES
    :: atomic { deaths < DEATHS && alive[2] && asleep[2] -> alive[2] = false; deaths++ }
#endif
    od
}

#define HERE(o) (sealed[o] -> 0 : 1)

init {
    atomic {
#ifdef TWICE
        allowed[0] = 0;
#else
        if
        :: allowed[0] = 0
        :: allowed[0] = 1
        fi;
#endif
        run waits(0, 1, 0, SECOND);
#ifndef ALONE
        run waits(OTHER, OTHERS_SLOT, 0, 0)
#endif
    }
    timeout; /* nothing moves any more */
    d_step {
        assert((owner == 0 || !alive[owner]) && due == 0);
        assert(committed[0] == sealed[0] && committed[1] == sealed[1]);
        assert(done[0] || HERE(0) + HERE(SECOND) > allowed[0]);
#ifndef ALONE
        assert(done[OTHER] || !alive[OTHERS_SLOT] || !sealed[0]);
#endif
    }
}
