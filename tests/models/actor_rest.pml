/* actor_rest.pml - an actor at rest is rung by whoever makes a call, and it ends when nobody can make one any more.
 *
 * Models call_post, call_came (tasks/actor_calls.pyx), call_next_run, call_wait (tasks/take_call.pyx), run_calls
 * (python/execute.pyx), bell_wait (records/idle_workers.pyx), is_unheld, actor_end_if_unneeded (records/references.pyx),
 * actor_named, actor_retire, actor_end, actor_drain (tasks/actor_ends.pyx), and _due and on_exit of the node.
 *
 *   caller 0   has a handle, makes a call, and drops the handle before or after it has the result
 *   caller 1   finds the actor by its name, at any time, and does the same
 *   actor      takes calls, and rests; a call may be without end
 *   node       looks at the actor when that is due; buries the dead
 *
 * One of the callers and the actor's process may die at any step (DEATHS).
 * Left out, and why that is sound: the log (sections are atomic: the crash enumeration); how the node is rung and how results
 * are awaited (doorbell.pml, seal_wait.pml); lanes, which decide inside a section; turns (turns.pml); the bound of the sleep.
 *
 * Property: when nothing moves any more, no call waits for an actor that lives, unless that runs one without end; a dead actor
 * has no calls; an actor that nobody needs has ended; a call fails only if the actor was killed; its name is free at its end.
 * Negatives: BELL_LATE it reads its bell after it looked whether it rests still; PARKED_LATE it says that it sleeps after it
 * does; REST_LATE it rests in a step after that in which it found no call; NO_WAKE_AFTER_SWEEP of a caller that died before it
 * woke the actor; LEAVING_LATE the node asks the actor to leave after it rang the bell; NO_RETEST the node does not look again
 * whether nobody has a handle; NAME_STAYS until the actor is dead; DUE_LATE the node takes the actor off its list after it
 * looked; ONLY_DROPS the end of the last call puts no actor on that list.
 */
#ifndef DEATHS
#define DEATHS 1
#endif

mtype = { LIVES, DYING, GONE, BURIED };   /* of processes */
mtype = { ALIVE, ENDING, DEAD };          /* rl_actor_state */

mtype process[3];                         /* callers, and the actor's */
mtype actor = ALIVE;
bool held[2], mailed[2], done[2], failed[2];
byte ncalls, running;                     /* running: 1 + the caller whose call that is */
bool named = true, resting, leaving, due;
byte bell, deaths;
bool parked, asleep, killed;

#define UNHELD (!held[0] && !held[1])
#define UNNEEDED (ncalls == 0 && UNHELD)

inline end_if_unneeded() { /* lock held */
    if
    :: UNNEEDED && actor != ENDING -> due = true
    :: else
    fi
}

inline pay() { /* rl_publish_one's load of parked, then rl_pay */
    if
    :: whom ->
        if
        :: parked -> asleep = false
        :: !parked
        fi;
        whom = false
    :: else
    fi
}

proctype caller(byte me) {
    bool whom;
    {
        if
        :: me == 0
        :: me == 1 ->
            atomic { if :: named -> held[1] = true :: else fi } /* actor_named */
        fi;
        if
        :: held[me] ->
            atomic { /* call_post, call_came */
                ncalls++; mailed[me] = true;
                if
                :: actor == DEAD -> due = true
                :: actor != DEAD && resting -> resting = false; bell++; whom = true
                :: else
                fi
            }
            pay();
            if
            :: skip
            :: done[me]
            fi;
            atomic { held[me] = false; end_if_unneeded() }
        :: else
        fi;
        process[me] = BURIED
    } unless { atomic { process[me] == DYING -> process[me] = GONE } }
}

inline section() { /* ends a call, takes the next or rests */
    atomic {
        if
        :: running > 0 ->
            done[running - 1] = true; running = 0; ncalls--;
#ifndef ONLY_DROPS
            end_if_unneeded()
#endif
        :: else
        fi;
        if
        :: actor == ALIVE && mailed[0] -> mailed[0] = false; running = 1
        :: actor == ALIVE && mailed[1] -> mailed[1] = false; running = 2
        :: else
        fi;
#ifndef REST_LATE
        resting = running == 0
#endif
    }
#ifdef REST_LATE
    resting = running == 0
#endif
}

inline call_wait() {
#ifdef BELL_LATE
    rests = resting && !leaving;
    heard = bell;
#else
    heard = bell;
    rests = resting && !leaving;
#endif
    if
    :: rests ->
#ifdef PARKED_LATE
        atomic { asleep = bell == heard }
        parked = true;
#else
        parked = true;
        asleep = bell == heard; /* the kernel compares and sleeps in one */
#endif
        !asleep;
        parked = false
    :: else
    fi;
    atomic { heard = 0; rests = false }
}

active proctype its_process() {
    byte heard;
    bool rests;
    {
        do
        :: leaving -> break
        :: !leaving ->
            section();
            if
            :: running == 0 -> call_wait()
            :: running > 0 ->
                if
                :: skip
                :: skip -> false /* a call without end */
                fi
            fi
        od;
        atomic { asleep = false; process[2] = GONE }
    } unless { atomic { process[2] == DYING -> asleep = false; killed = true; process[2] = GONE } }
}

inline retire() {
    atomic {
#ifdef NO_RETEST
        asked = actor == ALIVE;
#else
        asked = actor == ALIVE && UNNEEDED;
#endif
        if
        :: asked ->
            actor = ENDING;
#ifndef NAME_STAYS
            named = false;
#endif
#ifndef LEAVING_LATE
            leaving = true
#endif
        :: else
        fi
    }
    if
    :: asked ->
        atomic { bell++; whom = true }
        pay();
#ifdef LEAVING_LATE
        leaving = true;
#endif
        asked = false
    :: else
    fi
}

inline bury(c) { /* of a caller: its bit, then whom it may owe a wake-up */
    atomic {
        if
        :: held[c] -> held[c] = false; end_if_unneeded()
        :: else
        fi;
        process[c] = BURIED
    }
#ifndef NO_WAKE_AFTER_SWEEP
    atomic { bell++; asleep = false }
#endif
    skip
}

inline drain(c) {
    if
    :: mailed[c] -> mailed[c] = false; ncalls--; done[c] = true; failed[c] = true
    :: else
    fi
}

active proctype node() {
    bool whom, asked;
    do
    :: due ->
#ifndef DUE_LATE
        due = false;
#endif
        if
        :: actor == DEAD -> atomic { drain(0); drain(1) }
        :: else -> retire()
        fi;
#ifdef DUE_LATE
        due = false;
#endif
        skip
    :: process[0] == GONE -> bury(0)
    :: process[1] == GONE -> bury(1)
    :: process[2] == GONE ->
        resting = false; /* slot_sweeping */
        atomic {         /* the calls that it ran fail */
            if
            :: running > 0 -> failed[running - 1] = true; done[running - 1] = true; running = 0; ncalls--
            :: else
            fi
        }
        atomic {
            actor = DEAD; named = false; process[2] = BURIED;
            if
            :: ncalls > 0 -> due = true
            :: else
            fi
        }
    od
}

active proctype killer() {
    if
    :: skip
    :: deaths = DEATHS /* nobody dies */
    fi;
    do
    :: atomic { deaths < DEATHS && process[0] == LIVES -> process[0] = DYING; deaths++ }
    :: atomic { deaths < DEATHS && process[1] == LIVES -> process[1] = DYING; deaths++ }
    :: atomic { deaths < DEATHS && process[2] == LIVES -> process[2] = DYING; deaths++ }
    od
}

init {
    atomic {
        process[0] = LIVES; process[1] = LIVES; process[2] = LIVES;
        held[0] = true;
        run caller(0);
        run caller(1)
    }
    timeout; /* nothing moves any more */
    d_step {
        assert(actor == DEAD || running > 0 || !mailed[0] && !mailed[1]);
        assert(actor != DEAD || ncalls == 0);
        assert(actor == DEAD || !UNNEEDED);
        assert(killed || !failed[0] && !failed[1]);
        assert(actor == ALIVE || !named);
        assert(ncalls == mailed[0] + mailed[1] + (running > 0))
    }
}
