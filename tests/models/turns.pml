/* turns.pml - actors wait for the CPUs of a turn, and get them from whoever releases some; whoever dies, none is lost.
 *
 * Models call_came, call_post (tasks/actor_calls.pyx), call_section, call_wait (tasks/take_call.pyx), turn_ask, turn_give,
 * turns_give, want, want_remove (scheduling/actor_turns.pyx), grant_release (scheduling/grants.pyx), and slot_sweeping,
 * actor_stops, recheck_all, wake_all (tasks/) of the node.
 *
 *   actors 0, 1   need the only CPU for a call; each gets one, which may be without end
 *   callers 2, 3  make these calls
 *   worker 4      holds the CPU at first, and releases it
 *
 * So many of them as DEATHS says may die at any step, also between the section that grants a turn and the wake-up.
 * Left out, and why that is sound: the log (sections are atomic: the crash enumeration); who is asked to leave
 * (actor_rest.pml); tasks, which alternate with turns inside a section; stalled queues, which are rechecked in the same places.
 *
 * Property: when nothing moves any more, no living actor has a call that it does not run while the CPU is free; the CPU is
 * held by one or free; the queue has living actors that wait, each once.
 * Negatives: KEEPS_TURN the sweep of an actor leaves it what it holds; STAYS_MEMBER and its place in the queue; NO_RECHECK
 * what a dead one held is given to nobody; NO_WAKE_AFTER_SWEEP; NOT_GIVEN whoever releases the CPU leaves it to others to look;
 * GIVEN_LATE it takes the actor out of the queue in one section and grants in the next; RESTS_ON the actor that has
 * asked in vain does not rest.
 */
#ifndef DEATHS
#define DEATHS 1
#endif

mtype = { LIVES, DYING, GONE, BURIED };
mtype process[5];
bool mailed[2], running[2], resting[2], wants[2], granted[2];
bool parked[2], asleep[2], worker_holds = true;
byte bell[2], first = 9, second = 9;          /* the queue */
byte cpus, deaths;

inline join(a) {
    wants[a] = true;
    if
    :: first == 9 -> first = a
    :: else -> second = a
    fi
}

inline part(a) {
    wants[a] = false;
    if
    :: first == a -> first = second; second = 9
    :: else -> second = 9
    fi
}

inline turns_give() { /* lock held */
    if
    :: cpus > 0 && first != 9 ->
        whom = first;
        part(whom);
#ifndef GIVEN_LATE
        cpus--; granted[whom] = true;
        resting[whom] = false; bell[whom]++
#endif
    :: else
    fi
}

inline pay() {
    if
    :: whom != 9 ->
#ifdef GIVEN_LATE
        atomic { if :: cpus > 0 -> cpus--; granted[whom] = true; resting[whom] = false; bell[whom]++ :: else fi }
#endif
        if
        :: parked[whom] -> asleep[whom] = false
        :: !parked[whom]
        fi;
        whom = 9
    :: else
    fi
}

inline turn_ask(a) { /* lock held */
    if
    :: first == 9 && cpus > 0 -> cpus--; granted[a] = true
    :: else -> join(a)
    fi
}

proctype caller(byte me) {
    byte whom = 9;
    {
        atomic {
            mailed[me - 2] = true;
            if
            :: resting[me - 2] && !wants[me - 2] ->
                turn_ask(me - 2);
                if
                :: granted[me - 2] -> resting[me - 2] = false; bell[me - 2]++; whom = me - 2
                :: else
                fi
            :: else
            fi
        }
        if
        :: whom != 9 ->
            if
            :: parked[whom] -> asleep[whom] = false
            :: !parked[whom]
            fi
        :: else
        fi;
        process[me] = BURIED
    } unless { atomic { process[me] == DYING -> process[me] = GONE } }
}

proctype worker() {
    byte whom = 9;
    {
        atomic {
            worker_holds = false; cpus++;
#ifndef NOT_GIVEN
            turns_give()
#endif
        }
        pay();
        process[4] = BURIED
    } unless { atomic { process[4] == DYING -> process[4] = GONE } }
}

proctype its_process(byte me) {
    byte heard, whom = 9;
    bool rests;
    {
        do
        :: atomic { /* call_section: a call ends, the next begins, or none */
                running[me] = false;
                if
                :: granted[me] && !mailed[me] -> granted[me] = false; cpus++;
#ifndef NOT_GIVEN
                    turns_give()
#endif
                :: mailed[me] && !granted[me] && !wants[me] -> turn_ask(me)
                :: else
                fi;
                if
                :: mailed[me] && granted[me] -> mailed[me] = false; running[me] = true
                :: else
                fi;
#ifdef RESTS_ON
                resting[me] = !running[me] && !mailed[me]
#else
                resting[me] = !running[me]
#endif
            }
            pay();
            if
            :: running[me] ->
                if
                :: skip
                :: skip -> false /* a call without end */
                fi
            :: !running[me] -> /* call_wait */
                heard = bell[me];
                rests = resting[me];
#ifdef RESTS_ON
                rests = true;
#endif
                if
                :: rests ->
                    parked[me] = true;
                    asleep[me] = bell[me] == heard;
                    !asleep[me];
                    parked[me] = false
                :: else
                fi;
                atomic { heard = 0; rests = false }
            fi
        od
    } unless { atomic { process[me] == DYING -> asleep[me] = false; process[me] = GONE } }
}

inline wake_all() {
    atomic {
#ifndef NO_WAKE_AFTER_SWEEP
        bell[0]++; bell[1]++; asleep[0] = false; asleep[1] = false
#endif
        skip
    }
}

inline sweep_actor(a) {
    atomic {
#ifndef STAYS_MEMBER
        if :: wants[a] -> part(a) :: else fi;
#endif
        resting[a] = false; running[a] = false; mailed[a] = false; /* its calls fail */
#ifndef KEEPS_TURN
        if :: granted[a] -> granted[a] = false; cpus++ :: else fi;
#endif
        process[a] = BURIED
    }
    recheck();
    wake_all()
}

inline recheck() {
#ifndef NO_RECHECK
    atomic { turns_give() }
    pay();
#endif
    skip
}

active proctype node() {
    byte whom = 9;
    do
    :: process[0] == GONE -> sweep_actor(0)
    :: process[1] == GONE -> sweep_actor(1)
    :: process[2] == GONE -> process[2] = BURIED; wake_all()
    :: process[3] == GONE -> process[3] = BURIED; wake_all()
    :: process[4] == GONE ->
        atomic {
            process[4] = BURIED;
            if :: worker_holds -> worker_holds = false; cpus++ :: else fi
        }
        recheck();
        wake_all()
    od
}

active proctype killer() {
    if
    :: skip
    :: deaths = DEATHS
    fi;
    do
    :: atomic { deaths < DEATHS && process[0] == LIVES -> process[0] = DYING; deaths++ }
    :: atomic { deaths < DEATHS && process[1] == LIVES -> process[1] = DYING; deaths++ }
    :: atomic { deaths < DEATHS && process[2] == LIVES -> process[2] = DYING; deaths++ }
    :: atomic { deaths < DEATHS && process[3] == LIVES -> process[3] = DYING; deaths++ }
    :: atomic { deaths < DEATHS && process[4] == LIVES -> process[4] = DYING; deaths++ }
    od
}

#define ALIVE(a) (process[a] == LIVES)

init {
    atomic {
        process[0] = LIVES; process[1] = LIVES; process[2] = LIVES; process[3] = LIVES; process[4] = LIVES;
        run its_process(0);
        run its_process(1);
        run caller(2);
        run caller(3);
        run worker()
    }
    timeout; /* nothing moves any more */
    d_step {
        assert(cpus + worker_holds + granted[0] + granted[1] == 1);
        assert((ALIVE(0) || !granted[0]) && (ALIVE(1) || !granted[1]));
        assert(cpus == 0 || !(ALIVE(0) && mailed[0]) && !(ALIVE(1) && mailed[1]));
        assert(!(granted[0] && mailed[0] && !running[0]) && !(granted[1] && mailed[1] && !running[1]));
        assert(first == 9 || ALIVE(first) && wants[first]);
        assert(second == 9 || ALIVE(second) && wants[second] && second != first)
    }
}
