/* edges.pml - a task whose arguments are all sealed becomes READY, once, whoever dies on the way.
 *
 * Models submit_record, submit_ref, submit_ready, unwind_section (tasks/submit_task.pyx) and drop_refs
 * (records/task_records.pyx); edges_drain with the first loop of finish_section (tasks/run_task.pyx), object by object;
 * rl_lock, rl_recover, rl_commit (region/sync.h) as far as a state is published after the commit; the node's Finish and
 * unwinding (node/task_ends.py, tasks/sweep.pyx).
 *
 *   builder 1   submits a task for objects 0 and 1, a section a step; may die
 *   driver 2    submits a task for object 0, then one more, in whatever record is free by then
 *   sealer 3    seals object 0 and drains its edges in chunks of any size; may die, or never seal
 *   sealer 4    the same with object 1; lives
 *   node 5      unwinds what the dead builder left, goes on where the dead sealer stopped
 *
 * Left out, and why that is sound: the log (a section is atomic: the crash enumeration); who waits (seal_wait.pml); queues,
 * since a READY task simply runs and gives its record back; the order in an edge list, since a chunk takes any of its edges;
 * pins, since an argument outlives its tasks.  A re-run after a death seals and drains as the node does here.
 *
 * Property: an edge is never drained of a record that isn't under construction or waiting; `ndeps` is the number of linked
 * edges after every section, so never negative; READY is pushed only when every argument is sealed; when nothing moves any
 * more, no WAITING task has all its arguments sealed and nothing of the dead builder is left.
 * Negatives: RECOMPUTE the sweep counts the unsealed arguments of WAITING tasks anew; OLD_LOOK a submit decides by a look
 * before it has the lock; DRAIN_FIRST edges are drained, then the object is sealed in a section of its own; NO_DRAIN the sweep
 * leaves the edges of what the dead had sealed; KEEP_EDGES unwinding frees the record and forgets its edges; COUNT_LATER
 * unlinking and counting down are two sections; NO_REDO the next locker drops the staged publication.
 */
#ifndef DEATHS
#define DEATHS 2
#endif
#define NODE 5
#define NOTHING 7
#define EDGE(r, o) linked[(r) * 2 + (o)]
#define NEEDS(r, o) refs[(r) * 2 + (o)]

mtype = { FREE, BUILDING, WAITING, READY };

mtype task[2] = FREE;
byte ndeps[2];
bool linked[4], refs[4];
bool sealed[2];
byte owner, due = NOTHING;
bool alive[6] = true, swept[6], finished[6];
byte built = NOTHING;             /* slot 1's building list */
byte deaths;

inline lock(me) { /* with rl_recover */
    atomic {
        (owner == 0 || !alive[owner]);
        owner = me;
#ifdef NO_REDO
        due = NOTHING;
#endif
    }
    atomic {
        if
        :: due != NOTHING -> sealed[due] = true; due = NOTHING
        :: else
        fi
    }
}

inline fsck() {
#ifndef COUNT_LATER
    assert(ndeps[0] == EDGE(0, 0) + EDGE(0, 1));
    assert(ndeps[1] == EDGE(1, 0) + EDGE(1, 1));
#endif
    skip
}

inline submit_ref(me, o) {
#ifdef OLD_LOOK
    unsealed = !sealed[o];
#endif
    lock(me);
    atomic {
#ifndef OLD_LOOK
        unsealed = !sealed[o];
#endif
        NEEDS(r, o) = true;
        if
        :: unsealed -> EDGE(r, o) = true; ndeps[r]++
        :: else
        fi;
        unsealed = false;
        fsck();
        owner = 0
    }
}

inline submit_record(me) {
    lock(me);
    atomic {
        if
        :: task[0] == FREE -> r = 0
        :: task[0] != FREE && task[1] == FREE -> r = 1
        :: else -> r = NOTHING
        fi;
        if
        :: r != NOTHING -> task[r] = BUILDING; ndeps[r] = 0
        :: else
        fi;
        if
        :: me == 1 -> built = r
        :: else
        fi;
        owner = 0
    }
}

inline submit_ready(me) {
    lock(me);
    atomic {
        if
        :: ndeps[r] > 0 -> task[r] = WAITING
        :: ndeps[r] == 0 -> push()
        fi;
        if
        :: me == 1 -> built = NOTHING
        :: else
        fi;
        owner = 0
    }
}

inline push() { /* queue_push */
    assert(!(NEEDS(r, 0) && !sealed[0] && due != 0));
    assert(!(NEEDS(r, 1) && !sealed[1] && due != 1));
    task[r] = READY
}

inline count_down() {
    assert(task[r] == BUILDING || task[r] == WAITING);
    assert(ndeps[r] > 0);
    ndeps[r]--;
    if
    :: ndeps[r] == 0 && task[r] == WAITING -> push()
    :: else
    fi
}

inline drain_some(me, o) { /* lock held, in the section: any number of edges */
    do
    :: EDGE(0, o) || EDGE(1, o) ->
        if
        :: EDGE(0, o) -> r = 0
        :: EDGE(1, o) -> r = 1
        fi;
        EDGE(r, o) = false;
#ifdef COUNT_LATER
        later = true;
        break
#else
        count_down();
        r = 0
#endif
    :: break
    od
}

inline seal_and_drain(me, o) {
    do
    :: lock(me);
        atomic {
            if
#ifdef DRAIN_FIRST
            :: !sealed[o] && !EDGE(0, o) && !EDGE(1, o) -> due = o
#else
            :: !sealed[o] -> due = o
#endif
            :: else
            fi;
            drain_some(me, o);
#ifndef COUNT_LATER
            fsck()
#endif
        } /* the commit */
        atomic {
            if
            :: due != NOTHING -> sealed[due] = true; due = NOTHING
            :: else
            fi;
        }
#ifdef COUNT_LATER
        owner = 0;
        lock(me);
        atomic {
            if
            :: later -> count_down(); r = 0; later = false
            :: else
            fi
        }
#endif
        atomic {
            owner = 0;
            if
            :: sealed[o] && !EDGE(0, o) && !EDGE(1, o) -> break
            :: else
            fi
        }
    od
}

active proctype builder() {
    byte r;
    bool unsealed;
    {
        submit_record(1);
        if
        :: r != NOTHING -> submit_ref(1, 0); submit_ref(1, 1); submit_ready(1)
        :: else
        fi;
        finished[1] = true
    } unless { atomic { !alive[1] -> r = 0; unsealed = false } }
}

active proctype driver() {
    byte r;
    bool unsealed, second;
    do
    :: submit_record(2);
        if
        :: r != NOTHING -> submit_ref(2, 0); submit_ready(2)
        :: else
        fi;
        if
        :: second -> break
        :: !second -> second = true
        fi
    od
}

proctype sealer(byte me; byte o) {
    byte r;
    bool later;
    {
        if
        :: seal_and_drain(me, o)
        :: skip /* a task without end */
        fi;
        finished[me] = true
    } unless { atomic { !alive[me] -> r = 0 } }
}

inline drop_ref(o) {
    lock(NODE);
    atomic {
        if
#ifndef KEEP_EDGES
        :: EDGE(r, o) -> EDGE(r, o) = false; ndeps[r]--
#endif
        :: else
        fi;
        NEEDS(r, o) = false;
        owner = 0
    }
}

inline unwind() {
    lock(NODE);
    atomic { r = built; owner = 0 }
    if
    :: r != NOTHING ->
        drop_ref(0);
        drop_ref(1);
        lock(NODE);
        atomic { task[r] = FREE; built = NOTHING; owner = 0 }
    :: else
    fi
}

inline recompute() {
    atomic {
        r = 0;
        do
        :: r < 2 ->
            if
            :: task[r] == WAITING ->
                ndeps[r] = (NEEDS(r, 0) && !sealed[0]) + (NEEDS(r, 1) && !sealed[1]);
                if
                :: ndeps[r] == 0 -> push()
                :: else
                fi
            :: else
            fi;
            r++
        :: else -> break
        od;
        r = 0; owner = 0
    }
}

active proctype node() {
    byte r;
    bool later;
    do
    :: atomic { !alive[1] && !swept[1] -> swept[1] = true }
        unwind();
        r = 0
    :: atomic { !alive[3] && !swept[3] -> swept[3] = true }
#ifdef RECOMPUTE
        lock(NODE);
        recompute();
#endif
#ifdef NO_DRAIN
        lock(NODE);
        owner = 0;
        if
        :: sealed[0] -> goto left
        :: else
        fi;
#endif
        seal_and_drain(NODE, 0);
left:
        r = 0
    od
}

active proctype runs() { /* READY tasks run and end */
    do
    :: atomic {
        if
        :: task[0] == READY -> task[0] = FREE; NEEDS(0, 0) = false; NEEDS(0, 1) = false
        :: task[1] == READY -> task[1] = FREE; NEEDS(1, 0) = false; NEEDS(1, 1) = false
        fi }
    od
}

active proctype killer() {
    if
    :: skip
    :: deaths = DEATHS /* nobody dies */
    fi;
    do
    :: atomic { deaths < DEATHS && alive[1] && !finished[1] -> alive[1] = false; deaths++ }
    :: atomic { deaths < DEATHS && alive[3] && !finished[3] -> alive[3] = false; deaths++ }
    od
}

#define STUCK(r) (task[r] == WAITING && (!NEEDS(r, 0) || sealed[0]) && (!NEEDS(r, 1) || sealed[1]))

init {
    atomic { run sealer(3, 0); run sealer(4, 1) }
    timeout; /* nothing moves any more */
    d_step {
        assert((owner == 0 || !alive[owner]) && due == NOTHING);
        assert(task[0] != BUILDING && task[1] != BUILDING);
        assert(!STUCK(0) && !STUCK(1));
        fsck()
    }
}
